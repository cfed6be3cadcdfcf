//! `gates:` what a fact about the patient must be before an activity is proposed.

use super::{Check, Section, Sourced};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One fact of `patient_facts`, by its key. A fact that is not given holds too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    pub at_least: Option<Sourced<f64>>,
    pub at_most: Option<Sourced<f64>>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// By the key of `patient_facts`.
    pub facts: BTreeMap<String, Gate>,
    /// What a person has to look at: each becomes a line of the proposal.
    pub manual: Vec<String>,
}

/// Keys of `patient_facts` that are numbers.
pub const FACTS: [&str; 8] = [
    "weight_kg",
    "height_cm",
    "age_years",
    "egfr_ml_min",
    "creatinine_umol_l",
    "haematocrit",
    "platelets_giga_l",
    "bilirubin_umol_l",
];

impl Section for Gates {
    fn check(&self, check: &mut Check<'_>) {
        for (fact, gate) in &self.facts {
            if !FACTS.contains(&fact.as_str()) {
                let message =
                    format!("`{fact}` is no fact of a plan; write one of {}", FACTS.join(", "));
                check.fault(&["facts".into(), fact.as_str().into()], message);
            }
            for (key, bound) in [("at_least", &gate.at_least), ("at_most", &gate.at_most)] {
                if let Some(bound) = bound {
                    let at = ["facts".into(), fact.as_str().into(), key.into()];
                    check.value(&at, bound.value, 0.0..=1e5);
                }
            }
        }
    }
}
