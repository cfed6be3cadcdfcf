//! The constants of `config/segmentation.yaml`.

use crate::quantity::constant::{Constant, embedded};
use serde::Deserialize;
use std::sync::LazyLock;

/// See the file for the meaning of each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constants {
    pub sphere_inside_min: Constant,
    pub hottest_part: Constant,
    pub body_above_hu: Constant,
    pub lungs_below_hu: Constant,
    pub bone_above_hu: Constant,
    pub lung_least_ml: Constant,
    pub second_lung_least: Constant,
    pub bone_part_least_ml: Constant,
}

/// The constants, read once.
pub fn constants() -> &'static Constants {
    static CONSTANTS: LazyLock<Constants> = LazyLock::new(|| {
        embedded("config/segmentation.yaml", include_str!("../../config/segmentation.yaml"))
    });
    &CONSTANTS
}
