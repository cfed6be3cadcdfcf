//! The digital patient through a protocol's course: one administration after another, each with the
//! images that the protocol asks for, and what of it is true.

use super::{DigitalPatient, PhantomError, PhantomOptions, patient, truth};
use crate::config::{Engine, Plan, Protocol, Protocols};
use crate::pipeline::course::{self, CycleDoses, RegionDose, Seen};
use crate::quantity::{Becquerel, Seconds};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// One entry of `config/phantom_courses.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Regime {
    cycles: usize,
    first_gbq: Option<f64>,
    #[serde(default)]
    weeks: i64,
    hours: Vec<Vec<f64>>,
    #[serde(default)]
    uptake: Vec<f64>,
    #[serde(default)]
    measured_gy_per_gbq: BTreeMap<String, f64>,
    #[serde(default)]
    half_lives_stated: bool,
    #[serde(default)]
    retained: bool,
    predicted_gy_per_gbq: Option<f64>,
}

fn regimes() -> Result<BTreeMap<String, Regime>, PhantomError> {
    serde_saphyr::from_str(include_str!("../../config/phantom_courses.yaml"))
        .map_err(|e| PhantomError::Description(e.to_string()))
}

/// Names of the protocols that the digital patient can go through.
pub fn protocols() -> Result<Vec<String>, PhantomError> {
    Ok(regimes()?.into_keys().collect())
}

/// A course as far as it went.
#[derive(Debug)]
pub struct SimulatedCourse {
    regime: Regime,
    protocol: Protocol,
    options: PhantomOptions,
    cycles: Vec<DigitalPatient>,
}

impl SimulatedCourse {
    /// A course whose first cycle is still to come. `options` say grid, seed, storage and noise; drug,
    /// times and activities are the protocol's.
    pub fn new(protocol: &Protocol, options: &PhantomOptions) -> Result<Self, PhantomError> {
        let mut regimes = regimes()?;
        let known: Vec<String> = regimes.keys().cloned().collect();
        let regime = regimes.remove(&protocol.name).ok_or_else(|| {
            PhantomError::Protocol(format!(
                "the digital patient knows no course of {}; write one of {}",
                protocol.name,
                known.join(", ")
            ))
        })?;
        let mut options = options.clone();
        if let Some(nuclide) = &protocol.nuclide {
            options.nuclide = nuclide.clone();
        }
        options.radiopharmaceutical.clone_from(&protocol.radiopharmaceutical);
        options.retained = regime.retained;
        Ok(Self { regime, protocol: protocol.clone(), options, cycles: Vec::new() })
    }

    /// Cycles that the course has when it is done.
    pub fn length(&self) -> usize {
        self.regime.cycles
    }

    pub fn cycles(&self) -> &[DigitalPatient] {
        &self.cycles
    }

    /// Gives the next cycle.
    pub fn give(&mut self, administered: Becquerel) -> Result<&DigitalPatient, PhantomError> {
        let n = self.cycles.len();
        let hours = self.regime.hours.get(n).or(self.regime.hours.last());
        let times = hours.into_iter().flatten().map(|h| Seconds::from_hours(*h)).collect();
        let later = jiff::SignedDuration::from_hours(n as i64 * self.regime.weeks * 7 * 24);
        let at = self.options.administered_at;
        let options = PhantomOptions {
            administered,
            administered_at: at.checked_add(later).unwrap_or(at),
            times: Some(times),
            uptake_scale: self.regime.uptake.get(n).copied().unwrap_or(1.0),
            ..self.options.clone()
        };
        self.cycles.push(DigitalPatient::new(&options)?);
        Ok(&self.cycles[n])
    }

    /// What the protocol's rule proposes on the true doses so far; none where it stops.
    pub fn next_activity(&self) -> Result<Option<Becquerel>, PhantomError> {
        if let (true, Some(gbq)) = (self.cycles.is_empty(), self.regime.first_gbq) {
            return Ok(Some(Becquerel::from_gbq(gbq)));
        }
        let wrong = |error: String| PhantomError::Protocol(error);
        let protocols = Protocols::of(self.protocol.clone());
        let plan = Plan::read("plan.yaml", &self.plan(), &protocols)
            .map_err(|faults| wrong(faults.first().map_or(String::new(), ToString::to_string)))?;
        let doses: Vec<CycleDoses> =
            self.cycles.iter().zip(1..).map(|(cycle, n)| true_doses(cycle, n)).collect();
        let state = course::evaluate(&plan, &doses).map_err(|error| wrong(error.to_string()))?;
        let proposal = state.proposal.and_then(|proposal| proposal.activity);
        // A protocol without a rule repeats its activity.
        let repeated = || self.regime.first_gbq.map(Becquerel::from_gbq);
        let ruled = plan.parameters.prescription.rule().is_some();
        Ok(if ruled { proposal } else { repeated() })
    }

    /// Gives every cycle of the regime by its rule, on the true doses.
    pub fn complete(&mut self) -> Result<(), PhantomError> {
        while self.cycles.len() < self.length() {
            let Some(next) = self.next_activity()? else { break };
            self.give(next)?;
        }
        Ok(())
    }

    /// The plan with the cycles so far.
    pub fn plan(&self) -> String {
        let id = format!("PHANTOM-{}", self.options.seed);
        let mut text = format!(
            "# Course of the digital patient by {}.\npatient: {{ id: \"{id}\", issuer: \"{}\" }}\n\
             protocol: {}\n",
            self.protocol.name,
            patient::ISSUER,
            self.protocol.name
        );
        if self.protocol.radiopharmaceutical.is_none() {
            let drug = patient::radiopharmaceutical_of(&self.options);
            let _ = writeln!(text, "radiopharmaceutical: {drug}");
        }
        let empty = if self.cycles.is_empty() { " []" } else { "" };
        let _ = writeln!(text, "cycles:{empty}");
        for (cycle, n) in self.cycles.iter().zip(1..) {
            let _ = writeln!(text, "  - {}", cycle.plan_cycle(n));
        }
        let measured = self.measured();
        if !measured.is_empty() {
            let _ = writeln!(text, "measured:\n{measured}");
        }
        let _ = writeln!(text, "settings:");
        if self.protocol.parameters.dose.engine != Engine::Local {
            let _ = writeln!(text, "  dose: {{ engine: local }} # as the truth");
        }
        if self.regime.half_lives_stated
            && let Some(first) = self.cycles.first()
        {
            let stated = first.truth().iter().map(|region| {
                format!("\"{}\": {:.6}", region.name, region.effective_half_life.hours())
            });
            let stated: Vec<String> = stated.collect();
            let _ = writeln!(
                text,
                "  kinetics: {{ effective_half_life_h: {{ {} }} }}",
                stated.join(", ")
            );
        }
        let points: Vec<String> = self.cycles.iter().map(|c| c.times().len().to_string()).collect();
        if let Some(first) = points.first() {
            let points = points.join(", ");
            let _ = writeln!(text, "  imaging: {{ time_points: {first}, by_cycle: [{points}] }}");
        }
        text
    }

    /// Lines of the plan on what was measured beside the images.
    fn measured(&self) -> String {
        let predicted = self.regime.predicted_gy_per_gbq;
        let mut lines: Vec<String> =
            predicted.iter().map(|d| format!("  predicted_gy_per_gbq: {d}")).collect();
        let mut doses = Vec::new();
        for (cycle, n) in self.cycles.iter().zip(1..) {
            for (region, per_gbq) in &self.regime.measured_gy_per_gbq {
                let gy = per_gbq * cycle.options.administered.gbq();
                doses.push(format!("    - {{ cycle: {n}, region: {region}, dose_gy: {gy:.6} }}"));
            }
        }
        if !doses.is_empty() {
            lines.push("  doses:".into());
            lines.extend(doses);
        }
        lines.join("\n")
    }

    /// Writes `cycle-N/`, `plan.yaml` and `truth.json` below `directory`. Returns every path.
    pub fn write(&self, directory: &Path) -> Result<Vec<PathBuf>, PhantomError> {
        let mut paths = Vec::new();
        for (cycle, n) in self.cycles.iter().zip(1..) {
            paths.extend(cycle.write_objects(&directory.join(format!("cycle-{n}")))?);
        }
        let cycles: Vec<_> = self.cycles.iter().map(DigitalPatient::truth_document).collect();
        let mut total = BTreeMap::<&str, f64>::new();
        for region in self.cycles.iter().flat_map(DigitalPatient::truth) {
            *total.entry(&region.name).or_default() += region.mean_dose.value();
        }
        let truth = serde_json::json!({
            "protocol": self.protocol.name, "cycles": cycles, "total_dose_gy": total,
        });
        let texts = [("plan.yaml", self.plan()), ("truth.json", format!("{truth:#}\n"))];
        paths.extend(truth::store(directory, texts)?);
        Ok(paths)
    }
}

/// The true doses of a cycle, as a result would state them.
fn true_doses(cycle: &DigitalPatient, number: u32) -> CycleDoses {
    let regions = cycle.truth().iter().map(|region| RegionDose {
        cycle: number,
        region: region.name.clone(),
        dose: region.mean_dose,
        bed: None,
        relative_uncertainty: None,
        effective_half_life: Some(region.effective_half_life),
        single_time_point: cycle.times().len() < 2,
        seen: Seen::default(),
    });
    CycleDoses { cycle: number, regions: regions.collect(), ..CycleDoses::default() }
}
