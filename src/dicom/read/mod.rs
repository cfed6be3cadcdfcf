//! One file a kind of object: data sets to values that are valid by construction.
