//! `biology:` from absorbed dose to its effect.

use super::{Check, Section, Sourced};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Biology {
    /// Is biologically effective dose reported?
    pub bed: bool,
    /// Overrides of the table of biological parameters, by region.
    #[serde(default)]
    pub bed_parameters: BTreeMap<String, Sourced<BedParameters>>,
    /// Is the BED of every voxel written, as an RT Dose of its own?
    #[serde(default)]
    pub voxel_bed: bool,
    /// α of the equivalent uniform dose by region, 1/Gy; `default` for every other one.
    #[serde(default)]
    pub eud_alpha_per_gy: BTreeMap<String, Sourced<f64>>,
    /// Doses at which the part of each region that receives at least that is stated, Gy.
    #[serde(default)]
    pub volumes_at_gy: Vec<f64>,
    /// How samples of blood become a dose of the marrow; without it they do not.
    pub marrow: Option<Marrow>,
}

/// Concentration in the marrow over that in blood: stated, or extracellular fraction / (1 − haematocrit).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marrow {
    pub marrow_to_blood: Option<Sourced<f64>>,
    pub extracellular_fraction: Option<Sourced<f64>>,
    pub blood_g_per_ml: Sourced<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BedParameters {
    pub alpha_beta_gy: f64,
    pub repair_half_time_h: f64,
}

impl Section for Biology {
    fn check(&self, check: &mut Check<'_>) {
        for (region, bed) in &self.bed_parameters {
            let at =
                |key: &'static str| ["bed_parameters".into(), region.as_str().into(), key.into()];
            check.value(&at("alpha_beta_gy"), bed.value.alpha_beta_gy, 0.1..=100.0);
            check.value(&at("repair_half_time_h"), bed.value.repair_half_time_h, 0.01..=100.0);
        }
        for (region, alpha) in &self.eud_alpha_per_gy {
            check.value(
                &["eud_alpha_per_gy".into(), region.as_str().into()],
                alpha.value,
                1e-4..=10.0,
            );
        }
        for (n, gy) in self.volumes_at_gy.iter().enumerate() {
            check.value(&["volumes_at_gy".into(), n.into()], *gy, 0.0..=1e4);
        }
        if let Some(marrow) = &self.marrow {
            let at = |key: &'static str| ["marrow".into(), key.into()];
            check.value(&at("blood_g_per_ml"), marrow.blood_g_per_ml.value, 0.9..=1.2);
            match (&marrow.marrow_to_blood, &marrow.extracellular_fraction) {
                (Some(ratio), None) => {
                    check.value(&at("marrow_to_blood"), ratio.value, 0.01..=10.0);
                }
                (None, Some(part)) => {
                    check.value(&at("extracellular_fraction"), part.value, 0.01..=0.9);
                }
                _ => check.fault(
                    &["marrow".into()],
                    "wants one of `marrow_to_blood` and `extracellular_fraction`",
                ),
            }
        }
        if self.voxel_bed && !self.bed {
            check.fault(&["voxel_bed".into()], "needs `bed: true`");
        }
    }
}
