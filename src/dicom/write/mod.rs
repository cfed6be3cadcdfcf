//! The modules that every result object shares.
