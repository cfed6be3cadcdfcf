//! `dose:` from time-integrated activity to absorbed dose.

use super::{Check, Section, Sourced};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// By nuclide, voxel size and density; the result says which one and why.
    Auto,
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
    #[serde(default)]
    pub monte_carlo: MonteCarlo,
}

/// How far Monte Carlo goes; what is absent is as `config/dose.yaml` has it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonteCarlo {
    /// Relative standard uncertainty (k = 1) of every steering region's mean dose at which it ends.
    pub relative_uncertainty: Option<Sourced<f64>>,
    /// It ends after this time in any case, s; absent: decays and the job's time are the limit.
    pub time_budget_s: Option<Sourced<f64>>,
    /// Most decays that are simulated.
    pub max_histories: Option<Sourced<f64>>,
    /// Regions from this volume on steer how long it takes, ml.
    pub steering_volume_ml: Option<Sourced<f64>>,
}

impl Section for Dose {
    fn check(&self, check: &mut Check<'_>) {
        check.optional("spacing_mm", self.spacing_mm.as_ref(), 0.5..=20.0);
        check.number("stated_density_g_per_ml", &self.stated_density_g_per_ml, 0.1..=3.0);
        if self.grid == DoseGrid::Ct && self.spacing_mm.is_none() {
            let message = "a dose grid in the CT's frame wants its `spacing_mm`, for instance 4";
            check.fault(&["grid".into()], message);
        }
        let limits = &self.monte_carlo;
        let mut limit = |key: &str, number: &Option<Sourced<f64>>, range| {
            if let Some(number) = number {
                check.value(&["monte_carlo".into(), key.into()], number.value, range);
            }
        };
        limit("relative_uncertainty", &limits.relative_uncertainty, 5e-4..=0.2);
        limit("time_budget_s", &limits.time_budget_s, 1.0..=86_400.0);
        limit("max_histories", &limits.max_histories, 1e4..=1e11);
        limit("steering_volume_ml", &limits.steering_volume_ml, 0.1..=1e4);
    }
}
