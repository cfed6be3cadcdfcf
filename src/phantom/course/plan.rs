//! The plan of a simulated course: what a person would have written, and nothing that the images tell.

use super::SimulatedCourse;
use crate::config::{Engine, PlanarUse};
use crate::phantom::planar::outlines;
use crate::phantom::{Views, patient};
use std::fmt::Write;

impl SimulatedCourse {
    /// The plan with the cycles so far.
    pub fn plan(&self) -> String {
        let mut text = format!(
            "# Course of the digital patient by {}.\npatient: {{ id: \"PHANTOM-{}\", issuer: \"{}\" }}\n\
             protocol: {}\n",
            self.protocol.name,
            self.options.seed,
            patient::ISSUER,
            self.protocol.name
        );
        if self.protocol.radiopharmaceutical.is_none() {
            let drug = patient::radiopharmaceutical_of(&self.options);
            let _ = writeln!(text, "radiopharmaceutical: {drug}");
        }
        let mut facts: Vec<String> =
            self.regime.facts.iter().map(|(key, value)| format!("  {key}: {value}")).collect();
        // S values are of a man or a woman; the images say neither.
        if self.options.views == Views::Outlined && !self.regime.facts.contains_key("sex") {
            facts.push("  sex: M".into());
        }
        if !facts.is_empty() {
            let _ = writeln!(text, "patient_facts:\n{}", facts.join("\n"));
        }
        let empty = if self.cycles.is_empty() { " []" } else { "" };
        let _ = writeln!(text, "cycles:{empty}");
        for (cycle, n) in self.cycles.iter().zip(1..) {
            let administered = cycle.plan_administered();
            let tracer = self.tracer(n - 1);
            let _ = writeln!(text, "  - {{ number: {n}, {tracer}{administered} }}");
        }
        let measured = self.measured();
        if !measured.is_empty() {
            let _ = writeln!(text, "measured:\n{}", measured.join("\n"));
        }
        let _ = writeln!(text, "settings:\n{}", self.settings().join("\n"));
        text
    }

    /// What a cycle is where it is no therapy.
    fn tracer(&self, cycle: usize) -> String {
        let Some(tracer) = self.regime.tracers.get(cycle) else { return String::new() };
        let mut text = format!("tracer: {{ radiopharmaceutical: {}", tracer.radiopharmaceutical);
        if let Some(stands_for) = &tracer.stands_for {
            let _ = write!(text, ", stands_for: {stands_for}");
        }
        text + " }, "
    }

    /// What was measured beside the images.
    fn measured(&self) -> Vec<String> {
        let stated = self.regime.measured.iter();
        let mut lines: Vec<String> =
            stated.map(|(key, value)| format!("  {key}: {value}")).collect();
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
        lines
    }

    fn settings(&self) -> Vec<String> {
        let parameters = &self.protocol.parameters;
        let mut lines = Vec::new();
        if parameters.dose.engine != Engine::Local {
            lines.push("  dose: { engine: local } # as the truth".to_owned());
        }
        if self.regime.half_lives_stated
            && let Some(first) = self.cycles.first()
        {
            let stated = first.truth().iter().map(|region| {
                format!("\"{}\": {:.6}", region.name, region.effective_half_life.hours())
            });
            let stated: Vec<String> = stated.collect();
            lines.push(format!(
                "  kinetics: {{ effective_half_life_h: {{ {} }} }}",
                stated.join(", ")
            ));
        }
        // A SPECT beside views is a time point of its own.
        let beside = usize::from(self.options.views == Views::Hybrid);
        let points: Vec<String> =
            self.cycles.iter().map(|c| (c.times().len() + beside).to_string()).collect();
        if let Some(first) = points.first() {
            let planar = match (self.options.views, parameters.imaging.planar) {
                (Views::Planar | Views::Outlined, PlanarUse::None) => ", planar: activity",
                (Views::Hybrid, PlanarUse::None) => ", planar: shape",
                _ => "",
            };
            let points = points.join(", ");
            lines.push(format!(
                "  imaging: {{ time_points: {first}, by_cycle: [{points}]{planar} }}"
            ));
        }
        if self.options.views == Views::Outlined
            && let Some(first) = self.cycles.first()
        {
            lines.push(outlines::settings(first).trim_end().to_owned());
        }
        lines
    }
}
