//! Allocation-free, bounded pre-scan of untrusted data sets, before any parser sees them.
