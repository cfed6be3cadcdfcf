//! `biology:` from absorbed dose to its effect.

use super::{Check, Section, Sourced};
use crate::biology::organ::{RADAR, RADAR_SOURCE, SValues};
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
    /// The site's own S values and masses, in place of the built-in ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organ_s_values: Option<OrganTable>,
}

/// S values of organs, and the masses that they belong to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganTable {
    /// Stands beside every dose from it.
    pub source: String,
    /// Rows as of `config/organ_s_values.csv`.
    pub csv: String,
}

impl Biology {
    /// The site's table, else the built-in one.
    pub fn s_values(&self) -> SValues {
        // A table that cannot be read is a fault of the protocol or the plan, which then is none.
        let own = self.organ_s_values.as_ref().and_then(|own| SValues::read(&own.csv).ok());
        own.unwrap_or_else(|| RADAR.clone())
    }

    /// Where they come from.
    pub fn s_values_source(&self) -> &str {
        self.organ_s_values.as_ref().map_or(RADAR_SOURCE, |own| &own.source)
    }
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
        if let Some(own) = &self.organ_s_values {
            if own.source.trim().is_empty() {
                check.fault(
                    &["organ_s_values".into(), "source".into()],
                    "say where the values come from",
                );
            }
            if let Err(why) = SValues::read(&own.csv) {
                check.fault(&["organ_s_values".into(), "csv".into()], why);
            }
        }
        if self.voxel_bed && !self.bed {
            check.fault(&["voxel_bed".into()], "needs `bed: true`");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::biology::organ::Adult;
    use crate::config::{Plan, Protocols};
    use crate::quantity::nuclide::Nuclide;

    fn plan(table: &str) -> Result<Plan, Vec<String>> {
        let text = format!(
            "patient: {{ id: P-1 }}\nprotocol: multi-time-point\nnuclide: Tc-99m\ncycles:\n  - {{ number: 1, \
             administered: {{ activity_mbq: 185, at: 2026-01-02T10:00:00Z }} }}\nsettings:\n  biology:\n    \
             organ_s_values:\n{table}"
        );
        let read = Plan::read("p.yaml", &text, &Protocols::load(None).unwrap());
        read.map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_site_s_table_stands_in_place_of_the_built_in_one() {
        let table = "      source: our own\n      csv: |\n        nuclide,target,source,male,female\n        \
                     mass,kidneys,kidneys,300,270\n        Tc-99m,kidneys,kidneys,1e-5,1.1e-5\n";
        let biology = plan(table).unwrap().parameters.biology;
        let nuclide = |name| Nuclide::parse(name).unwrap();
        let (own, female) = (biology.s_values(), Adult::Female);
        assert_eq!(own.s(&nuclide("Tc-99m"), "kidneys", "kidneys", female), Ok(1.1e-5 * 1e-9));
        assert!(own.s(&nuclide("Lu-177"), "kidneys", "kidneys", female).is_err());
        assert_eq!(biology.s_values_source(), "our own");
    }

    #[test]
    fn a_table_that_cannot_be_read_is_a_fault_of_the_plan() {
        let header = "        nuclide,target,source,male,female\n";
        for (source, rows, wanted) in [
            ("ours", "        Tc-99m,kidneys,kidneys,x,1\n", "line 2: `x` is no S value or mass"),
            ("\"\"", "        Tc-99m,kidneys,kidneys,1,1\n", "say where the values come from"),
        ] {
            let table = format!("      source: {source}\n      csv: |\n{header}{rows}");
            let faults = plan(&table).unwrap_err();
            assert!(faults.iter().any(|fault| fault.contains(wanted)), "{faults:?}");
        }
    }
}
