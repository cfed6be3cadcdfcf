//! The constants of `config/registration.yaml`.

use serde::Deserialize;
use std::sync::LazyLock;

/// A value with where it comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant<T = f64> {
    pub value: T,
    pub unit: String,
    /// S, P, D or M.
    pub provenance: String,
    pub source: String,
}

/// See the file for the meaning of each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constants {
    pub levels_mm: Constant<Vec<f64>>,
    pub ct_window_hu: Constant<[f32; 2]>,
    pub correlation_min_ct: Constant,
    pub correlation_min_emission: Constant,
    pub overlap_min: Constant,
}

/// The constants, read once.
///
/// # Panics
/// When the file that is compiled in is no such table: the tests would not have passed.
pub fn constants() -> &'static Constants {
    static CONSTANTS: LazyLock<Constants> = LazyLock::new(|| {
        serde_saphyr::from_str(include_str!("../../config/registration.yaml"))
            .expect("config/registration.yaml is a table of constants")
    });
    &CONSTANTS
}
