//! A treatment plan: one YAML file a course, as written by a person or a hospital's system.
//!
//! [`Plan::read`] takes the file to typed values: activities in Bq, instants in UTC, a nuclide
//! that exists, rules that compile. A plan with any fault is no plan.

mod administration;
mod measured;
mod tracer;
mod samples;

pub use administration::{ActivityMeter, AdministrationDetails, Route};
pub use measured::{
    BiologicalTerm, BloodSample, Coefficient, ExternalBeam, LiverMeasured, Measured, MeasuredDose,
    WholeBodyCount,
};
pub use samples::Table;
pub(super) use samples::beside;
pub use tracer::{Therapy, Tracer};

use super::priors::Priors;
use super::protocol::{Parameters, Protocol, Protocols};
use super::yaml::{Document, Fault, Step, steps};
use crate::dicom::PatientIdentity;
use crate::quantity::Becquerel;
use crate::quantity::nuclide::Nuclide;
use globset::{GlobBuilder, GlobMatcher};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use tracer::TracerFile;

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

/// More than any therapy gives: 1 TBq.
const ACTIVITY_MBQ_MAX: f64 = 1e6;

/// More than any gamma camera counts.
const RATE_CPS_MAX: f64 = 1e7;

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
    #[serde(default, deserialize_with = "instant")]
    pub at: Option<Timestamp>,
    /// The activity that is signed; another proposal is then not signed.
    #[serde(default)]
    pub activity_mbq: Option<f64>,
}

fn instant<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    Option::<Instant>::deserialize(deserializer).map(|instant| instant.map(|instant| instant.0))
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile {
    patient: PlanPatient,
    protocol: String,
    radiopharmaceutical: Option<String>,
    nuclide: Option<String>,
    #[serde(default)]
    patient_facts: PatientFacts,
    cycles: Vec<CycleFile>,
    #[serde(default)]
    measured: Measured,
    /// A table in the plan's folder; without it that of the plan's own name, where there is one.
    measured_csv: Option<String>,
    #[serde(default)]
    signed: Vec<Signature>,
    priors: Option<Priors>,
    /// Who answers for changed limits.
    limits_by: Option<String>,
    #[serde(default, rename = "match")]
    match_rules: BTreeMap<String, String>,
    /// Read as a part of the protocol.
    #[serde(rename = "settings")]
    _settings: Option<BTreeMap<String, serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CycleFile {
    number: u32,
    administered: AdministrationFile,
    #[serde(default)]
    wide_window_cps: Vec<f64>,
    tracer: Option<TracerFile>,
    camera_checked_on: Option<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdministrationFile {
    activity_mbq: f64,
    /// What stayed in syringe and tubing, at the same instant.
    #[serde(default)]
    residual_mbq: f64,
    at: Instant,
    route: Option<Route>,
    by: Option<String>,
    activity_meter: Option<ActivityMeter>,
    #[serde(default)]
    co_medication: Vec<String>,
}

impl AdministrationFile {
    fn details(&self) -> AdministrationDetails {
        AdministrationDetails {
            residual: Becquerel::from_mbq(self.residual_mbq),
            route: self.route.clone(),
            by: self.by.clone(),
            activity_meter: self.activity_meter.clone(),
            co_medication: self.co_medication.clone(),
        }
    }
}

/// An instant with its zone offset; without one it is refused, as a guess is hours of decay.
struct Instant(Timestamp);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| {
            let what = if text.parse::<jiff::civil::DateTime>().is_ok() {
                "has no zone offset"
            } else {
                "is no instant"
            };
            serde::de::Error::custom(format!(
                "`{text}` {what}; write date, time and zone offset: 2026-03-02T10:15:00+01:00"
            ))
        })
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

impl PlanFile {
    /// What the plan is about, by its own name or the protocol's; the nuclide where neither has one.
    fn therapy(&self, protocol: &Protocol, nuclide: &Nuclide) -> Therapy {
        let own = self.radiopharmaceutical.as_ref().or(protocol.radiopharmaceutical.as_ref());
        let radiopharmaceutical = own.map_or_else(|| nuclide.to_string(), Clone::clone);
        Therapy { radiopharmaceutical, nuclide: nuclide.clone() }
    }

    #[expect(clippy::too_many_arguments, reason = "the checked parts of one file")]
    fn into_plan(
        self,
        file: &str,
        text: &str,
        protocol: &Protocol,
        parameters: Parameters,
        nuclide: Nuclide,
        tracers: Vec<Option<Tracer>>,
        match_rules: Vec<MatchRule>,
    ) -> Plan {
        let radiopharmaceutical = self.therapy(protocol, &nuclide).radiopharmaceutical;
        let cycles = self.cycles.into_iter().zip(tracers).map(|(cycle, tracer)| Cycle {
            number: cycle.number,
            administered: Administration {
                activity: Becquerel::from_mbq(
                    cycle.administered.activity_mbq - cycle.administered.residual_mbq,
                ),
                at: cycle.administered.at.0,
                details: cycle.administered.details(),
            },
            wide_window_cps: cycle.wide_window_cps,
            tracer,
            camera_checked_on: cycle.camera_checked_on,
        });
        Plan {
            file: file.to_owned(),
            text: text.to_owned(),
            table: None,
            facts_on: BTreeMap::new(),
            patient: self.patient,
            protocol: self.protocol,
            radiopharmaceutical,
            nuclide,
            patient_facts: self.patient_facts,
            cycles: cycles.collect(),
            match_rules,
            measured: self.measured,
            signed: self.signed,
            priors: self.priors.or_else(|| protocol.priors.clone()),
            parameters,
        }
    }
}

/// Checks that go beyond types; each names the key that it is about.
struct Check<'a> {
    document: &'a Document,
    faults: Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, at: &[Step<'_>], message: impl Into<String>) {
        self.faults.push(self.document.fault_at(at, message));
    }

    fn patient(&mut self, plan: &PlanFile) {
        for (key, text, required) in
            [("id", &plan.patient.id, true), ("issuer", &plan.patient.issuer, false)]
        {
            let legal = text.chars().count() <= 64
                && text.trim() == text
                && !text.chars().any(|c| c.is_control() || c == '\\');
            if !legal || (required && text.is_empty()) {
                self.fault(
                    steps!["patient", key],
                    "must be as DICOM writes it: 1 to 64 characters, no backslash, no spaces \
                     around it",
                );
            }
        }
    }

    fn cycles(&mut self, cycles: &[CycleFile]) {
        for (index, cycle) in cycles.iter().enumerate() {
            let at = |key: &'static str| [Step::from("cycles"), index.into(), key.into()];
            let administered = |key: &'static str| {
                [Step::from("cycles"), index.into(), "administered".into(), key.into()]
            };
            if cycle.number == 0 {
                self.fault(&at("number"), "cycles count from 1");
            }
            let activity = cycle.administered.activity_mbq;
            if !(activity.is_finite() && activity > 0.0 && activity <= ACTIVITY_MBQ_MAX) {
                self.fault(
                    &administered("activity_mbq"),
                    format!(
                        "{activity} MBq cannot have been given; write MBq (1 mCi = 37 MBq, \
                         1 GBq = 1000 MBq)"
                    ),
                );
            }
            let residual = cycle.administered.residual_mbq;
            if residual != 0.0 && !(residual > 0.0 && residual < activity) {
                self.fault(
                    &administered("residual_mbq"),
                    format!(
                        "{residual} MBq cannot have stayed behind of {activity} MBq; correct one"
                    ),
                );
            }
            for (key, message) in cycle.administered.details().faults() {
                self.fault(&administered(key), message);
            }
            for (n, cps) in cycle.wide_window_cps.iter().enumerate() {
                if !(0.0..=RATE_CPS_MAX).contains(cps) {
                    self.fault(
                        steps!["cycles", index, "wide_window_cps", n],
                        format!("{cps} is out of range; write counts per second"),
                    );
                }
            }
            let Some(before) = index.checked_sub(1).and_then(|i| cycles.get(i)) else { continue };
            if before.number >= cycle.number {
                self.fault(&at("number"), "cycles must ascend; give each its own number");
            }
            let drug = |cycle: &CycleFile| {
                cycle.tracer.as_ref().map(|tracer| tracer.radiopharmaceutical.clone())
            };
            // Two agents may be given, and imaged, at once.
            let (at_before, at) = (before.administered.at.0, cycle.administered.at.0);
            if at_before > at || (at_before == at && drug(before) == drug(cycle)) {
                self.fault(
                    &administered("at"),
                    "is not after the cycle before; correct date, time or order",
                );
            }
        }
    }

    /// A course that is yet to begin may ask for its first activity; any other has a cycle.
    fn any_cycle(&mut self, cycles: &[CycleFile], proposes: bool) {
        // Cycles that were taken out with a fault of their own are no missing cycles.
        if cycles.is_empty() && !proposes && self.document.is_whole() {
            self.fault(steps!["cycles"], "no cycle is given; write at least the first");
        }
    }

    fn measured(&mut self, measured: &Measured) {
        for (path, message) in measured.faults() {
            let steps = path.iter().map(|key| match key.parse::<usize>() {
                Ok(index) => Step::from(index),
                Err(_) => Step::from(key.as_str()),
            });
            let path: Vec<Step<'_>> = std::iter::once("measured".into()).chain(steps).collect();
            self.fault(&path, message);
        }
    }

    /// Limits are not changed without somebody who answers for it.
    fn limits(&mut self, plan: &PlanFile) {
        let changed = self.document.has(steps!["settings", "limits"]);
        if changed && plan.limits_by.as_ref().is_none_or(|by| by.trim().is_empty()) {
            self.fault(
                steps!["settings", "limits"],
                "changes limits of the protocol; add `limits_by: NAME` of who answers for it",
            );
        }
    }

    fn signatures(&mut self, signed: &[Signature]) {
        for (index, signature) in signed.iter().enumerate() {
            if signature.by.trim().is_empty() {
                self.fault(steps!["signed", index, "by"], "a signature has a name");
            }
            let activity = signature.activity_mbq.unwrap_or(1.0);
            if !(activity > 0.0 && activity <= ACTIVITY_MBQ_MAX) {
                let message = format!("{activity} MBq cannot be given; write MBq");
                self.fault(steps!["signed", index, "activity_mbq"], message);
            }
        }
    }

    fn priors(&mut self, priors: Option<&Priors>) {
        for (key, message) in priors.map(Priors::faults).unwrap_or_default() {
            self.fault(steps!["priors", key], message);
        }
    }

    fn facts(&mut self, facts: &PatientFacts) {
        let mut facts = facts.clone();
        for (key, ..) in PatientFacts::RANGES {
            let Some(value) = facts.number_mut(key).and_then(|value| *value) else { continue };
            if let Some(message) = PatientFacts::implausible(key, value) {
                self.fault(steps!["patient_facts", key], message);
            }
        }
    }

    /// Joins the table beside the plan to what stands in the plan itself.
    fn table(&mut self, plan: &mut PlanFile, table: Option<&Table>) -> BTreeMap<String, Date> {
        let mut dates = BTreeMap::new();
        let samples = match (table, &plan.measured_csv) {
            (Some(table), _) => table.read(),
            (None, Some(_)) => {
                self.fault(steps!["measured_csv"], "cannot be read; is it beside the plan?");
                return dates;
            }
            (None, None) => return dates,
        };
        match samples {
            Ok(samples) => {
                let faults = samples.join(&mut plan.patient_facts, &mut dates, &mut plan.measured);
                for (path, message) in faults {
                    let path: Vec<Step<'_>> = path.iter().map(|key| key.as_str().into()).collect();
                    self.fault(&path, message);
                }
            }
            Err(faults) => self.faults.extend(faults),
        }
        dates
    }

    fn rules(&mut self, rules: &BTreeMap<String, String>) -> Vec<MatchRule> {
        let mut compiled = Vec::new();
        for (keyword, pattern) in rules {
            if !MATCH_KEYWORDS.contains(&keyword.as_str()) {
                self.fault(
                    steps!["match", keyword.as_str()],
                    format!(
                        "`{keyword}` cannot be matched; write one of {}",
                        MATCH_KEYWORDS.join(", ")
                    ),
                );
                continue;
            }
            match GlobBuilder::new(pattern).case_insensitive(true).build() {
                Ok(glob) => compiled
                    .push(MatchRule { keyword: keyword.clone(), glob: glob.compile_matcher() }),
                Err(error) => self.fault(
                    steps!["match", keyword.as_str()],
                    format!("is no pattern ({}); write it like \"*LU177*AC*\"", error.kind()),
                ),
            }
        }
        compiled
    }

    fn protocol<'p>(&mut self, plan: &PlanFile, protocols: &'p Protocols) -> Option<&'p Protocol> {
        let protocol = protocols.find(&plan.protocol);
        if protocol.is_none() {
            self.fault(
                steps!["protocol"],
                format!(
                    "there is no protocol `{}`; write one of {}",
                    plan.protocol,
                    protocols.names().join(", ")
                ),
            );
        }
        protocol
    }

    /// From `nuclide`, else from the radiopharmaceutical's name, else from the protocol.
    fn nuclide(&mut self, plan: &PlanFile, protocol: Option<&Protocol>) -> Option<Nuclide> {
        let named = plan.nuclide.as_deref().map(|text| ("nuclide", text));
        let drug = plan.radiopharmaceutical.as_deref().map(|text| ("radiopharmaceutical", text));
        let mut found: Option<Nuclide> = None;
        for (key, text) in [named, drug].into_iter().flatten() {
            match (Nuclide::parse(text), &found) {
                (Ok(nuclide), Some(other)) if nuclide != *other => self.fault(
                    steps![key],
                    format!("says {nuclide}, but `nuclide` says {other}; make them agree"),
                ),
                (Ok(nuclide), _) => found = Some(nuclide),
                // A drug without its nuclide (`DOTATATE`) is fine beside `nuclide: Lu-177`.
                (Err(_), Some(_)) => {}
                (Err(error), None) => {
                    self.fault(steps![key], error.to_string());
                    return None;
                }
            }
        }
        let of_protocol = protocol.and_then(|p| p.nuclide.clone());
        if let (Some(own), Some(wanted)) = (&found, &of_protocol)
            && own != wanted
        {
            self.fault(
                steps!["protocol"],
                format!("the protocol is for {wanted}, the plan says {own}; change one"),
            );
        }
        let nuclide = found.or(of_protocol);
        if nuclide.is_none() && protocol.is_some() {
            self.fault(
                steps!["protocol"],
                "no nuclide is given; add `radiopharmaceutical: 177Lu-...` or `nuclide: Lu-177`",
            );
        }
        nuclide
    }

    /// The tracer of every cycle, where it has one. Nothing where the therapy itself is not known.
    fn tracers(
        &mut self,
        plan: &PlanFile,
        protocol: Option<&Protocol>,
        nuclide: Option<&Nuclide>,
    ) -> Vec<Option<Tracer>> {
        let (Some(protocol), Some(nuclide)) = (protocol, nuclide) else { return Vec::new() };
        let therapy = plan.therapy(protocol, nuclide);
        let mut tracers = Vec::new();
        for (index, cycle) in plan.cycles.iter().enumerate() {
            let tracer = cycle.tracer.clone().map(|tracer| tracer.into_tracer(&therapy));
            tracers.push(tracer.transpose().unwrap_or_else(|(key, message)| {
                self.fault(steps!["cycles", index, "tracer", key], message);
                None
            }));
        }
        tracers
    }

    /// The protocol's with the plan's `settings`; where the protocol is not known, any other's
    /// keys serve to check them.
    fn parameters(
        &mut self,
        protocol: Option<&Protocol>,
        protocols: &Protocols,
    ) -> Option<Parameters> {
        let protocol = protocol.or_else(|| protocols.iter().next())?;
        match protocol.with(self.document) {
            Ok(parameters) => Some(parameters),
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
