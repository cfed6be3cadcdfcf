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
    }
}
