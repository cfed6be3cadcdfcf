//! Constants of `config/`: each a value with its unit and where it comes from.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// One number (or list of numbers) with where it comes from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant<T = f64> {
    pub value: T,
    pub unit: String,
    /// S, P, D or M.
    pub provenance: String,
    pub source: String,
}

/// A file of `config/` that is part of the program.
///
/// # Panics
/// When it is no such table: the tests would not have passed.
pub(crate) fn embedded<T: DeserializeOwned>(name: &str, text: &str) -> T {
    serde_saphyr::from_str(text)
        .unwrap_or_else(|error| panic!("{name} is compiled in and a test reads it: {error}"))
}
