//! A treatment plan: one YAML file a course, as written by a person or a hospital's system.
//!
//! [`Plan::read`] takes the file to typed values: activities in Bq, instants in UTC, a nuclide
//! that exists, rules that compile. A plan with any fault is no plan.

mod administration;
mod check;
mod file;
mod measured;
mod samples;
mod tracer;

pub use administration::{ActivityMeter, AdministrationDetails, Route};
pub use measured::{
    BiologicalTerm, BloodSample, Coefficient, ExternalBeam, LiverMeasured, Measured, MeasuredDose,
    RegionMass, WholeBodyCount,
};
pub use samples::Table;
pub(super) use samples::beside;
pub use tracer::{Therapy, Tracer};

use super::priors::Priors;
use super::protocol::{Parameters, Protocols};
use super::yaml::{Document, Fault};
use crate::biology::organ::Adult;
use crate::dicom::PatientIdentity;
use crate::quantity::Becquerel;
use crate::quantity::nuclide::Nuclide;
use check::Check;
use file::PlanFile;
use globset::GlobMatcher;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// Series-level attributes that `match` may name; the reader of headers fills these.
pub const MATCH_KEYWORDS: [&str; 10] = [
    "SeriesDescription",
    "ProtocolName",
    "StudyDescription",
    "Manufacturer",
    "ManufacturerModelName",
    "StationName",
    "Modality",
    "ImageType",
    "BodyPartExamined",
    "SeriesNumber",
];

/// One course of treatment. Valid by construction.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the file, for messages to the people who wrote it.
    pub file: String,
    /// The file as it was read: what a worker is given.
    pub text: String,
    /// What was measured, where it stands in a table beside the plan.
    pub table: Option<Table>,
    pub patient: PlanPatient,
    /// Id of the protocol.
    pub protocol: String,
    /// As the plan or the protocol names it; the nuclide where neither does.
    pub radiopharmaceutical: String,
    pub nuclide: Nuclide,
    pub patient_facts: PatientFacts,
    /// Dates of those facts that the table gives one.
    pub facts_on: BTreeMap<String, Date>,
    /// Ascending by number and by time of administration.
    pub cycles: Vec<Cycle>,
    pub match_rules: Vec<MatchRule>,
    /// What was measured beside the images.
    pub measured: Measured,
    /// Who signed which proposal.
    pub signed: Vec<Signature>,
    /// Earlier objects to be fetched, of the plan or else of the protocol.
    pub priors: Option<Priors>,
    /// The protocol's parameters with the plan's `settings`.
    pub parameters: Parameters,
}

/// Identity is (id, issuer). Prints as `***`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanPatient {
    pub id: String,
    #[serde(default)]
    pub issuer: String,
}

impl std::fmt::Debug for PlanPatient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlanPatient(***)")
    }
}

impl PlanPatient {
    /// Same ID, and no contradiction between issuers that are both given.
    pub fn is(&self, identity: &PatientIdentity) -> bool {
        let own = PatientIdentity {
            id: self.id.clone(),
            issuer: self.issuer.clone(),
            ..PatientIdentity::default()
        };
        own.is_same_person(identity)
    }
}

/// What protocols may ask for; each absent until given.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PatientFacts {
    pub weight_kg: Option<f64>,
    pub height_cm: Option<f64>,
    pub age_years: Option<f64>,
    pub sex: Option<Sex>,
    pub egfr_ml_min: Option<f64>,
    pub creatinine_umol_l: Option<f64>,
    /// Fraction, 0 to 1.
    pub haematocrit: Option<f64>,
    /// 10^9 per litre.
    pub platelets_giga_l: Option<f64>,
    pub bilirubin_umol_l: Option<f64>,
}

impl PatientFacts {
    /// Facts that are numbers, with what is plausible.
    const RANGES: [(&str, f64, f64); 8] = [
        ("weight_kg", 1.0, 400.0),
        ("height_cm", 30.0, 250.0),
        ("age_years", 0.0, 120.0),
        ("egfr_ml_min", 1.0, 250.0),
        ("creatinine_umol_l", 5.0, 3000.0),
        ("haematocrit", 0.1, 0.75),
        ("platelets_giga_l", 1.0, 3000.0),
        ("bilirubin_umol_l", 1.0, 1000.0),
    ];

    fn number_mut(&mut self, key: &str) -> Option<&mut Option<f64>> {
        Some(match key {
            "weight_kg" => &mut self.weight_kg,
            "height_cm" => &mut self.height_cm,
            "age_years" => &mut self.age_years,
            "egfr_ml_min" => &mut self.egfr_ml_min,
            "creatinine_umol_l" => &mut self.creatinine_umol_l,
            "haematocrit" => &mut self.haematocrit,
            "platelets_giga_l" => &mut self.platelets_giga_l,
            "bilirubin_umol_l" => &mut self.bilirubin_umol_l,
            _ => return None,
        })
    }

    fn implausible(key: &str, value: f64) -> Option<String> {
        let (_, low, high) = Self::RANGES.into_iter().find(|(name, ..)| *name == key)?;
        let message = format!("{value} is not plausible; write {low} to {high} in the key's unit");
        (!(low..=high).contains(&value)).then_some(message)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sex {
    F,
    M,
    O,
}

impl Sex {
    /// The reference adult of that sex.
    pub fn adult(self) -> Option<Adult> {
        match self {
            Self::F => Some(Adult::Female),
            Self::M => Some(Adult::Male),
            Self::O => None,
        }
    }
}

/// One administration and the imaging that follows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cycle {
    pub number: u32,
    pub administered: Administration,
    /// Rate of the whole spectrum during each SPECT of the cycle, counts/s in the order of their
    /// acquisition, for cameras with a dead time whose objects do not carry it.
    pub wide_window_cps: Vec<f64>,
    /// Where another agent than the plan's was given, to be imaged.
    pub tracer: Option<Tracer>,
    /// Date of the camera's last quality control, for the report.
    pub camera_checked_on: Option<Date>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Administration {
    /// Net of the residual.
    pub activity: Becquerel,
    pub at: Timestamp,
    pub details: AdministrationDetails,
}

/// A named person's word on a cycle's activity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    pub cycle: u32,
    pub by: String,
    /// When, with a zone offset.
    #[serde(default, deserialize_with = "file::instant")]
    pub at: Option<Timestamp>,
    /// The activity that is signed; another proposal is then not signed.
    #[serde(default)]
    pub activity_mbq: Option<f64>,
}

/// `match:` one attribute and the glob that its text must fit (case counts not).
#[derive(Debug, Clone)]
pub struct MatchRule {
    pub keyword: String,
    pub glob: GlobMatcher,
}

impl MatchRule {
    /// Does a series with these tags fit?
    pub fn fits(&self, series_tags: &BTreeMap<String, String>) -> bool {
        series_tags.get(&self.keyword).is_some_and(|text| self.glob.is_match(text))
    }
}

impl Plan {
    /// Reads and checks one plan with the table beside it; `Err` holds every fault of both.
    pub fn open(path: &Path, protocols: &Protocols) -> Result<Self, Vec<Fault>> {
        let text = super::read_text(path).map_err(|fault| vec![fault])?;
        let table = beside(path, &text).map_err(|fault| vec![fault])?;
        Self::with_table(&path.display().to_string(), &text, table, protocols)
    }

    /// Reads and checks one plan that has no table; `Err` holds every fault. `file` is what faults call it.
    pub fn read(file: &str, text: &str, protocols: &Protocols) -> Result<Self, Vec<Fault>> {
        Self::with_table(file, text, None, protocols)
    }

    /// The same with the table that was found beside it.
    pub fn with_table(
        file: &str,
        text: &str,
        table: Option<Table>,
        protocols: &Protocols,
    ) -> Result<Self, Vec<Fault>> {
        let mut document = Document::parse(file, text).map_err(|fault| vec![fault])?;
        let (plan, faults) = document.read::<PlanFile>();
        let Some(mut plan) = plan else { return Err(faults) };
        let mut check = Check { document: &document, faults };
        let facts_on = check.table(&mut plan, table.as_ref());
        check.patient(&plan);
        check.cycles(&plan.cycles);
        check.measured(&plan.measured);
        check.limits(&plan);
        check.facts(&plan.patient_facts);
        check.signatures(&plan.signed);
        check.priors(plan.priors.as_ref());
        let rules = check.rules(&plan.match_rules);
        let protocol = check.protocol(&plan, protocols);
        let nuclide = check.nuclide(&plan, protocol);
        let tracers = check.tracers(&plan, protocol, nuclide.as_ref());
        let parameters = check.parameters(protocol, protocols);
        let proposes = parameters.as_ref().is_some_and(|p| p.prescription.rule().is_some());
        check.any_cycle(&plan.cycles, proposes);
        match (protocol, nuclide, parameters, check.faults) {
            (Some(protocol), Some(nuclide), Some(parameters), faults) if faults.is_empty() => {
                let plan =
                    plan.into_plan(file, text, protocol, parameters, nuclide, tracers, rules);
                Ok(Self { table, facts_on, ..plan })
            }
            (.., faults) => Err(faults),
        }
    }

    /// Names the course without naming the patient: stable while patient, protocol and
    /// radiopharmaceutical stay.
    pub fn course_id(&self) -> String {
        let mut hash = Sha256::new();
        for part in ["course", &self.patient.id, &self.patient.issuer, &self.protocol] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(self.radiopharmaceutical.as_bytes());
        hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The cycle of this number.
    pub fn cycle(&self, number: u32) -> Option<&Cycle> {
        self.cycles.iter().find(|cycle| cycle.number == number)
    }
}

#[cfg(test)]
mod tests;
