//! Constants of this stage: `config/quantification.yaml`.

use crate::quantity::constant::{Constant, embedded};
use serde::Deserialize;
use std::sync::LazyLock;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constants {
    pub least_recovery: Constant,
    pub least_spheres: Constant<usize>,
    pub template_error: Constant,
    pub misfit_warn: Constant,
    pub projection_voxel: Constant,
    pub photopeak_least_intensity: Constant,
}

pub static CONSTANTS: LazyLock<Constants> = LazyLock::new(|| {
    embedded("config/quantification.yaml", include_str!("../../config/quantification.yaml"))
});
