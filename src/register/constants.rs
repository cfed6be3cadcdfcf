//! The constants of `config/registration.yaml`.

use crate::quantity::constant::{Constant, embedded};
use serde::Deserialize;
use std::sync::LazyLock;

/// See the file for the meaning of each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constants {
    pub levels_mm: Constant<Vec<f64>>,
    pub levels_of_two_modalities_mm: Constant<Vec<f64>>,
    pub ct_window_hu: Constant<[f32; 2]>,
    pub correlation_min_ct: Constant,
    pub correlation_min_emission: Constant,
    pub mutual_information_min: Constant,
    pub overlap_min: Constant,
}

/// The constants, read once.
pub fn constants() -> &'static Constants {
    static CONSTANTS: LazyLock<Constants> = LazyLock::new(|| {
        embedded("config/registration.yaml", include_str!("../../config/registration.yaml"))
    });
    &CONSTANTS
}
