//! Checks of a plan that go beyond types; each names the key that it is about.

use super::file::{CycleFile, PlanFile};
use super::{MATCH_KEYWORDS, MatchRule, Measured, PatientFacts, Signature, Table, Tracer};
use crate::config::priors::Priors;
use crate::config::protocol::{Parameters, Protocol, Protocols};
use crate::config::yaml::{Document, Fault, Step, steps};
use crate::quantity::nuclide::Nuclide;
use globset::GlobBuilder;
use jiff::civil::Date;
use std::collections::BTreeMap;

/// More than any therapy gives: 1 TBq.
const ACTIVITY_MBQ_MAX: f64 = 1e6;

/// More than any gamma camera counts.
const RATE_CPS_MAX: f64 = 1e7;

/// Faults found so far, with the document that knows their places.
pub(super) struct Check<'a> {
    pub document: &'a Document,
    pub faults: Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, at: &[Step<'_>], message: impl Into<String>) {
        self.faults.push(self.document.fault_at(at, message));
    }

    pub fn patient(&mut self, plan: &PlanFile) {
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

    pub fn cycles(&mut self, cycles: &[CycleFile]) {
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
    pub fn any_cycle(&mut self, cycles: &[CycleFile], proposes: bool) {
        // Cycles that were taken out with a fault of their own are no missing cycles.
        if cycles.is_empty() && !proposes && self.document.is_whole() {
            self.fault(steps!["cycles"], "no cycle is given; write at least the first");
        }
    }

    pub fn measured(&mut self, measured: &Measured) {
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
    pub fn limits(&mut self, plan: &PlanFile) {
        let changed = self.document.has(steps!["settings", "limits"]);
        if changed && plan.limits_by.as_ref().is_none_or(|by| by.trim().is_empty()) {
            self.fault(
                steps!["settings", "limits"],
                "changes limits of the protocol; add `limits_by: NAME` of who answers for it",
            );
        }
    }

    pub fn signatures(&mut self, signed: &[Signature]) {
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

    pub fn priors(&mut self, priors: Option<&Priors>) {
        for (key, message) in priors.map(Priors::faults).unwrap_or_default() {
            self.fault(steps!["priors", key], message);
        }
    }

    pub fn facts(&mut self, facts: &PatientFacts) {
        let mut facts = facts.clone();
        for (key, ..) in PatientFacts::RANGES {
            let Some(value) = facts.number_mut(key).and_then(|value| *value) else { continue };
            if let Some(message) = PatientFacts::implausible(key, value) {
                self.fault(steps!["patient_facts", key], message);
            }
        }
    }

    /// Joins the table beside the plan to what stands in the plan itself.
    pub fn table(&mut self, plan: &mut PlanFile, table: Option<&Table>) -> BTreeMap<String, Date> {
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

    pub fn rules(&mut self, rules: &BTreeMap<String, String>) -> Vec<MatchRule> {
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

    pub fn protocol<'p>(
        &mut self,
        plan: &PlanFile,
        protocols: &'p Protocols,
    ) -> Option<&'p Protocol> {
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
    pub fn nuclide(&mut self, plan: &PlanFile, protocol: Option<&Protocol>) -> Option<Nuclide> {
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
    pub fn tracers(
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
    pub fn parameters(
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
