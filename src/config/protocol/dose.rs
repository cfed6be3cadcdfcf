//! `dose:` from time-integrated activity to absorbed dose.

use super::{Check, Section, Sourced};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// All non-penetrating energy stays in its voxel.
    Local,
    /// Convolution with dose kernels.
    Kernel,
    /// Particle transport on the patient's CT.
    MonteCarlo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoseGrid {
    /// The grid of the reference time point's SPECT or PET.
    Emission,
    /// The frame of the CT at `spacing_mm`.
    Ct,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dose {
    pub engine: Engine,
    pub grid: DoseGrid,
    /// Voxel edge of a grid in the CT's frame, mm.
    pub spacing_mm: Option<Sourced<f64>>,
    /// Mass density where there is no CT, g/mL.
    pub stated_density_g_per_ml: Sourced<f64>,
}

impl Section for Dose {
    fn check(&self, check: &mut Check<'_>) {
        check.optional("spacing_mm", self.spacing_mm.as_ref(), 0.5..=20.0);
        check.number("stated_density_g_per_ml", &self.stated_density_g_per_ml, 0.1..=3.0);
    }
}
