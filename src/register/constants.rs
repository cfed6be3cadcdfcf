//! The constants of `config/registration.yaml`.

use super::{DeformableSettings, Metric, Motion, Settings};
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
    pub stretch: Constant<[f64; 2]>,
    pub deformable_levels_mm: Constant<Vec<f64>>,
    pub deformable_window: Constant,
    pub deformable_smoothing: Constant,
    pub deformable_rounds: Constant,
    pub deformable_settled: Constant,
    pub jacobian_bounds: Constant<[f64; 2]>,
}

impl Constants {
    /// What the pipeline asks of a rigid or affine registration.
    pub fn settings(&self, motion: Motion, metric: Metric, score_min: f64) -> Settings {
        let levels_mm = match metric {
            Metric::Correlation => &self.levels_mm,
            Metric::MutualInformation => &self.levels_of_two_modalities_mm,
        };
        Settings {
            motion,
            metric,
            levels_mm: levels_mm.value.clone(),
            score_min,
            overlap_min: self.overlap_min.value,
            stretch: self.stretch.value,
        }
    }

    /// What the pipeline asks of a deformable registration.
    pub fn deformable(&self, score_min: f64) -> DeformableSettings {
        DeformableSettings {
            levels_mm: self.deformable_levels_mm.value.clone(),
            window: self.deformable_window.value,
            smoothing: self.deformable_smoothing.value,
            rounds_max: self.deformable_rounds.value as usize,
            settled: self.deformable_settled.value,
            score_min,
            jacobian: self.jacobian_bounds.value,
        }
    }
}

/// The constants, read once.
pub fn constants() -> &'static Constants {
    static CONSTANTS: LazyLock<Constants> = LazyLock::new(|| {
        embedded("config/registration.yaml", include_str!("../../config/registration.yaml"))
    });
    &CONSTANTS
}
