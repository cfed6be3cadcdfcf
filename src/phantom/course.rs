//! The digital patient through a protocol's course: one administration after another, each with the
//! images that the protocol asks for, and what of it is true.

mod known;
mod plan;
mod regime;

use super::{DigitalPatient, PhantomError, PhantomOptions, Views, planar, truth};
use crate::config::{Plan, Protocol, Protocols};
use crate::pipeline::course::{self, Course};
use crate::quantity::nuclide::Nuclide;
use crate::quantity::{Becquerel, Seconds};
use regime::Regime;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Names of the protocols that the digital patient can go through.
pub fn protocols() -> Result<Vec<String>, PhantomError> {
    Ok(regime::all()?.into_keys().collect())
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
        let mut regimes = regime::all()?;
        let known: Vec<String> = regimes.keys().cloned().collect();
        let regime = regimes.remove(&protocol.name).ok_or_else(|| {
            PhantomError::Protocol(format!(
                "the digital patient knows no course of {}; write one of {}",
                protocol.name,
                known.join(", ")
            ))
        })?;
        let mut options = options.clone();
        options.radiopharmaceutical =
            protocol.radiopharmaceutical.clone().or(regime.therapy.clone());
        if let Some(nuclide) = &protocol.nuclide {
            options.nuclide = nuclide.clone();
        } else if let Some(drug) = &regime.therapy {
            options.nuclide = Nuclide::parse(drug)?;
        }
        options.storage = regime.storage.unwrap_or(options.storage);
        options.body = regime.body;
        options.views = match (options.views, regime.views) {
            (Views::Outlined, Views::Planar) => Views::Outlined,
            (Views::Outlined, _) => {
                return Err(PhantomError::Protocol(format!(
                    "the digital patient is not imaged by views alone in {}; leave out --views-only",
                    protocol.name
                )));
            }
            (_, own) => own,
        };
        options.retained = regime.retained;
        Ok(Self { regime, protocol: protocol.clone(), options, cycles: Vec::new() })
    }

    /// Cycles that the course has when it is done.
    pub fn length(&self) -> usize {
        self.regime.cycles
    }

    /// Is the next cycle a tracer's?
    pub fn gives_a_tracer(&self) -> bool {
        self.cycles.len() < self.regime.tracers.len()
    }

    pub fn cycles(&self) -> &[DigitalPatient] {
        &self.cycles
    }

    /// Gives the next cycle.
    pub fn give(&mut self, administered: Becquerel) -> Result<&DigitalPatient, PhantomError> {
        let (n, regime) = (self.cycles.len(), &self.regime);
        let hours = Regime::of_cycle(&regime.hours, n).cloned().unwrap_or_default();
        let later = jiff::SignedDuration::from_hours(n as i64 * regime.weeks * 7 * 24);
        let at = self.options.administered_at;
        let mut options = PhantomOptions {
            administered,
            administered_at: at.checked_add(later).unwrap_or(at),
            times: Some(hours.iter().map(|h| Seconds::from_hours(*h)).collect()),
            uptake_scale: regime.uptake.get(n).copied().unwrap_or(1.0),
            kinetics: Regime::of_cycle(&regime.kinetics, n).cloned().unwrap_or_default(),
            ..self.options.clone()
        };
        if let Some(with_spect) = regime.spect_h {
            let session = hours.iter().position(|h| *h == with_spect);
            options.spect_session = session.unwrap_or(options.spect_session);
        }
        if let Some(tracer) = regime.tracers.get(n) {
            let stands_for = tracer.stands_for.as_deref().map(Nuclide::parse).transpose()?;
            options.therapy = Some(stands_for.unwrap_or(options.nuclide));
            options.nuclide = Nuclide::parse(&tracer.radiopharmaceutical)?;
            options.radiopharmaceutical = Some(tracer.radiopharmaceutical.clone());
        }
        self.cycles.push(DigitalPatient::new(&options)?);
        Ok(&self.cycles[n])
    }

    /// What the protocol's rule makes of the true doses so far, and of what the images would show beside.
    pub fn true_state(&self) -> Result<Course, PhantomError> {
        let wrong = |error: String| PhantomError::Protocol(error);
        let protocols = Protocols::of(self.protocol.clone());
        let plan = Plan::read("plan.yaml", &self.plan(), &protocols)
            .map_err(|faults| wrong(faults.first().map_or(String::new(), ToString::to_string)))?;
        let doses = self.known(&plan);
        course::evaluate(&plan, &doses).map_err(|error| wrong(error.to_string()))
    }

    /// What the protocol's rule proposes on the truth so far; none where it stops.
    pub fn next_activity(&self) -> Result<Option<Becquerel>, PhantomError> {
        let stated = || self.regime.first_gbq.map(Becquerel::from_gbq);
        if self.cycles.is_empty() && stated().is_some() {
            return Ok(stated());
        }
        // Without a rule, or while tracers are given, the activity is repeated.
        let ruled = self.protocol.parameters.prescription.rule().is_some();
        if !ruled || self.gives_a_tracer() {
            return Ok(stated());
        }
        Ok(self.true_state()?.proposal.and_then(|proposal| proposal.activity))
    }

    /// Gives every cycle of the regime by its rule, on the true doses.
    pub fn complete(&mut self) -> Result<(), PhantomError> {
        while self.cycles.len() < self.length() {
            let Some(next) = self.next_activity()? else { break };
            self.give(next)?;
        }
        Ok(())
    }

    /// Writes `cycle-N/`, `plan.yaml`, `truth.json` and, where there are views, `config.yaml` below
    /// `directory`. Returns every path.
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
            "prescription": course::write(&self.true_state()?),
        });
        let mut texts = vec![("plan.yaml", self.plan()), ("truth.json", format!("{truth:#}\n"))];
        if self.options.views != Views::Spect {
            texts.push(("config.yaml", self.config()?));
        }
        paths.extend(truth::store(directory, texts)?);
        Ok(paths)
    }

    /// Configuration that knows the camera of the whole-body views, for every nuclide that is imaged.
    fn config(&self) -> Result<String, PhantomError> {
        let entries: Result<BTreeSet<String>, _> =
            self.cycles.iter().map(planar::settings).collect();
        Ok(planar::CONFIG.to_owned() + &entries?.into_iter().collect::<String>())
    }
}
