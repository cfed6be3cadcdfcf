//! `uncertainty:` what the budget of a dose's uncertainty needs beside calibration and curve.

use super::{Check, Section, Sourced};
use serde::{Deserialize, Serialize};

/// What is absent is not known: the result says so.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Uncertainty {
    /// Voxel edge and resolution (FWHM) of the image that regions are drawn on, mm.
    pub outline_voxel_mm: Option<Sourced<f64>>,
    pub outline_fwhm_mm: Option<Sourced<f64>>,
    /// Resolution (FWHM) of the reconstructed emission image, mm.
    pub emission_fwhm_mm: Option<Sourced<f64>>,
}

impl Section for Uncertainty {
    fn check(&self, check: &mut Check<'_>) {
        check.optional("outline_voxel_mm", self.outline_voxel_mm.as_ref(), 0.1..=50.0);
        check.optional("outline_fwhm_mm", self.outline_fwhm_mm.as_ref(), 0.1..=50.0);
        check.optional("emission_fwhm_mm", self.emission_fwhm_mm.as_ref(), 0.5..=50.0);
    }
}
