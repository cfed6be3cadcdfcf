//! The constants of `config/kinetics.yaml`.

use crate::quantity::constant::{Constant, embedded};
use serde::Deserialize;
use std::sync::LazyLock;

/// See the file for the meaning of each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constants {
    pub assumed_relative_uncertainty: Constant,
    pub halvings_before_first_point: Constant,
    pub extrapolated_fraction_warn: Constant,
    pub residual_warn: Constant,
    pub early_fraction_warn: Constant,
    pub propagated_uncertainty_max: Constant,
    pub rise_refused: Constant,
    pub parameter_uncertainty_max: Constant,
    pub parameter_correlation_max: Constant,
    pub unknown_half_life_spread: Constant,
    pub first_body_count_h_most: Constant,
    pub carried_early_h: Constant,
    pub carried_late_h: Constant,
    pub prior_half_life_uncertainty_early: Constant,
    pub prior_half_life_uncertainty: Constant,
    pub stated_half_life_uncertainty_early: Constant,
    pub stated_half_life_uncertainty: Constant,
    pub spectral_rate_min: Constant,
    pub spectral_rate_max: Constant,
    pub spectral_terms: Constant,
    pub voxel_fit_apart_warn: Constant,
}

impl Constants {
    /// Every constant of the file.
    pub fn all(&self) -> [&Constant; 20] {
        [
            &self.assumed_relative_uncertainty,
            &self.halvings_before_first_point,
            &self.extrapolated_fraction_warn,
            &self.residual_warn,
            &self.early_fraction_warn,
            &self.propagated_uncertainty_max,
            &self.rise_refused,
            &self.parameter_uncertainty_max,
            &self.parameter_correlation_max,
            &self.unknown_half_life_spread,
            &self.carried_early_h,
            &self.carried_late_h,
            &self.prior_half_life_uncertainty_early,
            &self.prior_half_life_uncertainty,
            &self.stated_half_life_uncertainty_early,
            &self.stated_half_life_uncertainty,
            &self.spectral_rate_min,
            &self.spectral_rate_max,
            &self.spectral_terms,
            &self.voxel_fit_apart_warn,
        ]
    }
}

/// Read once; the file is part of the program.
pub static CONSTANTS: LazyLock<Constants> =
    LazyLock::new(|| embedded("config/kinetics.yaml", include_str!("../../config/kinetics.yaml")));
