//! `prescription:` the rule by which the next activity is proposed. Exactly one rule stands there.

mod microspheres;
mod multi_cycle;
mod tracer;

pub use microspheres::{Glass, ResinBsa, ResinPartition, Vials};
pub use multi_cycle::{First, Fixed, FixedNumber, PhaseFile, RegressionFile, Sink};
pub use tracer::{
    EffectiveMass, LesionNeed, PlateletTarget, ReducedTotal, SexPair, SurfaceSeeker, Surrogate,
    Thyroid, TwoAgents, WholeBody,
};

use super::{Check, Section, Sourced};
use crate::config::yaml::Step;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prescription {
    /// A proposal is rounded down to a multiple of this, GBq.
    pub step_gbq: Option<Sourced<f64>>,
    /// A single-time-point result may raise the activity by at most this (relative) silently.
    pub single_time_point_increase: Option<Sourced<f64>>,
    /// Relative standard uncertainty of a cycle given but not measured.
    pub unmeasured_cycle_uncertainty: Option<Sourced<f64>>,
    pub fixed: Option<Fixed>,
    pub fixed_number: Option<FixedNumber>,
    pub glass: Option<Glass>,
    pub resin_bsa: Option<ResinBsa>,
    pub resin_partition: Option<ResinPartition>,
    pub whole_body: Option<WholeBody>,
    pub surrogate: Option<Surrogate>,
    pub surface_seeker: Option<SurfaceSeeker>,
    pub reduced_total: Option<ReducedTotal>,
    pub two_agents: Option<TwoAgents>,
    pub thyroid: Option<Thyroid>,
}

/// The rule that stands in a protocol.
#[derive(Debug, Clone, Copy)]
pub enum Rule<'a> {
    Fixed(&'a Fixed),
    FixedNumber(&'a FixedNumber),
    Glass(&'a Glass),
    ResinBsa(&'a ResinBsa),
    ResinPartition(&'a ResinPartition),
    WholeBody(&'a WholeBody),
    Surrogate(&'a Surrogate),
    SurfaceSeeker(&'a SurfaceSeeker),
    ReducedTotal(&'a ReducedTotal),
    TwoAgents(&'a TwoAgents),
    Thyroid(&'a Thyroid),
}

impl Rule<'_> {
    /// Does it read counts of the whole body?
    pub fn takes_whole_body_counts(self) -> bool {
        self.takes_whole_body_counts_alone() || matches!(self, Self::Thyroid(_))
    }

    /// Does it prescribe by counts of the whole body, and by no region's dose?
    pub fn takes_whole_body_counts_alone(self) -> bool {
        matches!(self, Self::WholeBody(_) | Self::SurfaceSeeker(_))
    }
}

impl Prescription {
    fn rules(&self) -> Vec<Rule<'_>> {
        let all = [
            self.fixed.as_ref().map(Rule::Fixed),
            self.fixed_number.as_ref().map(Rule::FixedNumber),
            self.glass.as_ref().map(Rule::Glass),
            self.resin_bsa.as_ref().map(Rule::ResinBsa),
            self.resin_partition.as_ref().map(Rule::ResinPartition),
            self.whole_body.as_ref().map(Rule::WholeBody),
            self.surrogate.as_ref().map(Rule::Surrogate),
            self.surface_seeker.as_ref().map(Rule::SurfaceSeeker),
            self.reduced_total.as_ref().map(Rule::ReducedTotal),
            self.two_agents.as_ref().map(Rule::TwoAgents),
            self.thyroid.as_ref().map(Rule::Thyroid),
        ];
        all.into_iter().flatten().collect()
    }

    /// The rule, where the protocol has one.
    pub fn rule(&self) -> Option<Rule<'_>> {
        self.rules().first().copied()
    }
}

impl Section for Prescription {
    fn check(&self, check: &mut Check<'_>) {
        if self.rules().len() > 1 {
            check.fault(&[], "has two rules; keep one");
        }
        // Every number of a rule is a dose, an activity, a mass, a time or a factor: none is
        // negative. Coefficients of regressions may be.
        let json = serde_json::to_value(self).unwrap_or_default();
        let mut path = Vec::new();
        check_numbers(&json, &mut path, check);
    }
}

fn check_numbers(value: &Value, path: &mut Vec<String>, check: &mut Check<'_>) {
    if path.last().is_some_and(|key| key.ends_with("regression") || key.ends_with("offset")) {
        return;
    }
    match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            if !(0.0..=1e9).contains(&number) {
                let at: Vec<Step<'_>> = path.iter().map(|key| key.as_str().into()).collect();
                check.fault(&at, format!("{number} is out of range; write 0 to 1e9"));
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                path.push(key.clone());
                check_numbers(value, path, check);
                path.pop();
            }
        }
        _ => {}
    }
}
