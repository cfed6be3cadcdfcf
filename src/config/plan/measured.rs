//! `measured:` of a plan: what was measured beside the images, or before grayd.

use crate::prescribe::HalfLifeSource;
use crate::quantity::Seconds;
use serde::{Deserialize, Serialize};

/// Everything is optional; a rule that lacks something holds and says what.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Measured {
    /// Doses of cycles, of this radiopharmaceutical or another.
    pub doses: Vec<MeasuredDose>,
    pub external_beam: Vec<ExternalBeam>,
    /// Dose per activity by a tracer, each tissue and agent.
    pub coefficients: Vec<Coefficient>,
    /// Whole-body counts, the first before voiding.
    pub whole_body_counts: Vec<WholeBodyCount>,
    /// Microspheres: volumes and counts of the surrogate's images.
    pub liver: Option<LiverMeasured>,
    /// Biological curve of a tracer in the organ of the rule.
    pub biological_curve: Vec<BiologicalTerm>,
    /// The organ's mass, g.
    pub organ_mass_g: Option<f64>,
    /// Masses of regions, where doses are of organs (views without a CT).
    pub masses: Vec<RegionMass>,
    /// Fraction of the administered activity in the body after 48 h.
    pub retention_48_h: Option<f64>,
    /// Samples of blood, from which the residence time in it is integrated.
    pub blood_samples: Vec<BloodSample>,
    /// Residence time in 1 mL of blood, h, where it was integrated elsewhere.
    pub blood_residence_h_per_ml: Option<f64>,
    /// The instrument that counted samples of blood, for the report.
    pub well_counter: Option<String>,
    /// Residence time in the body, h.
    pub whole_body_residence_h: Option<f64>,
    pub diffuse_lung_metastases: bool,
    /// Change of the tumours' volume since the last cycle, as a fraction; -0.6 is a fall by 60 %.
    pub tumour_volume_change: Option<f64>,
    /// Dose per activity predicted for the first cycle, Gy/GBq, by whoever signs the plan.
    pub predicted_gy_per_gbq: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredDose {
    pub cycle: u32,
    pub region: String,
    pub dose_gy: f64,
    pub bed_gy: Option<f64>,
    /// k = 1.
    pub relative_uncertainty: Option<f64>,
    pub effective_half_life_h: Option<f64>,
    pub half_life_source: Option<HalfLifeSource>,
    /// Where it is not this plan's: counts toward the limit, not toward the next coefficient.
    pub radiopharmaceutical: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalBeam {
    pub region: String,
    pub eqd2_gy: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficient {
    pub region: String,
    /// Where there are two.
    pub radiopharmaceutical: Option<String>,
    pub gy_per_gbq: f64,
    /// Of a lesion: it is to get much, not little.
    #[serde(default)]
    pub lesion: bool,
    pub mass_g: Option<f64>,
    /// Of a lesion in bone.
    #[serde(default)]
    pub bone: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionMass {
    pub region: String,
    pub mass_g: f64,
    /// k = 1.
    pub relative_uncertainty: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeBodyCount {
    /// From the beginning of the infusion.
    pub hours: f64,
    pub anterior: f64,
    pub posterior: f64,
    #[serde(default)]
    pub anterior_background: f64,
    #[serde(default)]
    pub posterior_background: f64,
}

impl WholeBodyCount {
    /// Counts `[anterior, posterior]` of which no background was measured.
    pub fn without_background(after: Seconds, [anterior, posterior]: [f64; 2]) -> Self {
        let (anterior_background, posterior_background) = (0.0, 0.0);
        let hours = after.hours();
        Self { hours, anterior, posterior, anterior_background, posterior_background }
    }
}

/// Whole blood at the instant of the sample: not corrected for decay. One of the two units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BloodSample {
    /// From the administration.
    pub hours: f64,
    /// Percent of the administered activity in 1 mL.
    pub percent_per_ml: Option<f64>,
    pub mbq_per_ml: Option<f64>,
    /// k = 1; absent: that of the protocol's measured activities.
    pub relative_uncertainty: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BiologicalTerm {
    pub fraction: f64,
    pub half_life_h: f64,
}

/// Each absent until stated or seen in the images of the surrogate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LiverMeasured {
    pub tumour_mass_g: Option<f64>,
    pub normal_mass_g: Option<f64>,
    pub tumour_counts: Option<f64>,
    pub normal_counts: Option<f64>,
    pub lung_shunt: Option<f64>,
    /// Part of the liver that is not perfused, where the rule asks for it.
    pub hepatic_reserve: Option<f64>,
    pub lung_dose_before_gy: f64,
    pub lung_mass_g: Option<f64>,
    /// Hours from the vial's calibration at which it may be given.
    pub slots_h: Vec<f64>,
}

impl Measured {
    /// What cannot be: the path below `measured`, and why.
    pub(super) fn faults(&self) -> Vec<(Vec<String>, String)> {
        let json = serde_json::to_value(self).unwrap_or_default();
        let mut faults = Vec::new();
        walk(&json, &mut Vec::new(), &mut faults);
        for (index, sample) in self.blood_samples.iter().enumerate() {
            if sample.percent_per_ml.is_some() == sample.mbq_per_ml.is_some() {
                let path = vec!["blood_samples".to_owned(), index.to_string()];
                faults.push((path, "write either percent_per_ml or mbq_per_ml".to_owned()));
            }
        }
        for (index, mass) in self.masses.iter().enumerate() {
            if mass.mass_g == 0.0 {
                let path = vec!["masses".to_owned(), index.to_string(), "mass_g".to_owned()];
                faults.push((path, "a mass of 0 g has no dose".to_owned()));
            }
        }
        if self.blood_residence_h_per_ml.is_some() && !self.blood_samples.is_empty() {
            let path = vec!["blood_residence_h_per_ml".to_owned()];
            faults.push((path, "follows from the samples of blood; remove one of both".to_owned()));
        }
        faults
    }
}

/// Fractions by key; every other number is a dose, a count, a mass, a time: none is negative.
fn range(key: &str) -> (f64, f64) {
    match key {
        "lung_shunt" | "hepatic_reserve" | "retention_48_h" | "fraction" => (0.0, 1.0),
        "tumour_volume_change" => (-1.0, 100.0),
        "relative_uncertainty" => (0.0, 5.0),
        "percent_per_ml" => (0.0, 100.0),
        "cycle" => (1.0, 1000.0),
        "dose_gy" | "bed_gy" | "eqd2_gy" | "gy_per_gbq" | "predicted_gy_per_gbq" => (0.0, 1e4),
        _ => (0.0, 1e12),
    }
}

fn walk(
    value: &serde_json::Value,
    path: &mut Vec<String>,
    faults: &mut Vec<(Vec<String>, String)>,
) {
    match value {
        serde_json::Value::Number(number) => {
            let (low, high) = range(path.last().map_or("", String::as_str));
            let number = number.as_f64().unwrap_or(f64::NAN);
            if !(low..=high).contains(&number) {
                let message = format!("{number} is out of range; write {low} to {high}");
                faults.push((path.clone(), message));
            }
        }
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                path.push(key.clone());
                walk(value, path, faults);
                path.pop();
            }
        }
        serde_json::Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                walk(item, path, faults);
                path.pop();
            }
        }
        _ => {}
    }
}
