//! One typed result, many forms: RT Dose, SEG, SR and `results.json`.
//!
//! Writers are pure: result in, data set out; one file a kind of object. The result's type is in
//! `result.rs`.

pub mod result;

pub use result::*;
