//! The file of a plan as serde reads it: types alone, nothing checked beyond them.

use super::tracer::TracerFile;
use super::{
    ActivityMeter, Administration, AdministrationDetails, Cycle, MatchRule, Measured, PatientFacts,
    Plan, PlanPatient, Route, Signature, Therapy, Tracer,
};
use crate::config::priors::Priors;
use crate::config::protocol::{Parameters, Protocol};
use crate::quantity::Becquerel;
use crate::quantity::nuclide::Nuclide;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanFile {
    pub patient: PlanPatient,
    pub protocol: String,
    pub radiopharmaceutical: Option<String>,
    pub nuclide: Option<String>,
    #[serde(default)]
    pub patient_facts: PatientFacts,
    pub cycles: Vec<CycleFile>,
    #[serde(default)]
    pub measured: Measured,
    /// A table in the plan's folder; without it that of the plan's own name, where there is one.
    pub measured_csv: Option<String>,
    #[serde(default)]
    pub signed: Vec<Signature>,
    pub priors: Option<Priors>,
    /// Who answers for changed limits.
    pub limits_by: Option<String>,
    #[serde(default, rename = "match")]
    pub match_rules: BTreeMap<String, String>,
    /// Read as a part of the protocol.
    #[serde(rename = "settings")]
    pub _settings: Option<BTreeMap<String, serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CycleFile {
    pub number: u32,
    pub administered: AdministrationFile,
    #[serde(default)]
    pub wide_window_cps: Vec<f64>,
    pub tracer: Option<TracerFile>,
    pub camera_checked_on: Option<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdministrationFile {
    pub activity_mbq: f64,
    /// What stayed in syringe and tubing, at the same instant.
    #[serde(default)]
    pub residual_mbq: f64,
    pub at: Instant,
    pub route: Option<Route>,
    pub by: Option<String>,
    pub activity_meter: Option<ActivityMeter>,
    #[serde(default)]
    pub co_medication: Vec<String>,
}

impl AdministrationFile {
    pub fn details(&self) -> AdministrationDetails {
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
pub(super) struct Instant(pub Timestamp);

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

pub(super) fn instant<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    Option::<Instant>::deserialize(deserializer).map(|instant| instant.map(|instant| instant.0))
}

impl PlanFile {
    /// What the plan is about, by its own name or the protocol's; the nuclide where neither has one.
    pub fn therapy(&self, protocol: &Protocol, nuclide: &Nuclide) -> Therapy {
        let own = self.radiopharmaceutical.as_ref().or(protocol.radiopharmaceutical.as_ref());
        let radiopharmaceutical = own.map_or_else(|| nuclide.to_string(), Clone::clone);
        Therapy { radiopharmaceutical, nuclide: nuclide.clone() }
    }

    #[expect(clippy::too_many_arguments, reason = "the checked parts of one file")]
    pub fn into_plan(
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
