//! The state of a course: what every tissue has received, and what the protocol's rule proposes.
//!
//! In: the plan (with what was measured elsewhere) and the doses that grayd computed. Out: ledger,
//! what is left of each limit, and a proposal or the reasons for a hold. No image is needed.

mod imaged;
mod blood;
mod body;
mod json;
mod marrow;
mod multi_cycle;
mod single;
mod tissue;

pub use json::{from_results, lines, write};
pub use tissue::{Tissue, bed_parameters};

use super::Request;
use crate::config::plan::{Signature, WholeBodyCount};
use crate::config::{Plan, Rule};
use crate::prescribe::{Decision, Hold, Ledger, PrescribeError, Proposal, VialSlot};
use crate::quantity::{
    Becquerel, BecquerelSecond, Gram, Gray, Millilitre, PerSecond, Seconds, Warning,
};
use crate::report::{CycleResult, Made, RegionResult};

/// What the pipeline computed of one cycle, as far as a course needs it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CycleDoses {
    pub cycle: u32,
    pub regions: Vec<RegionDose>,
    pub whole_body_counts: Vec<WholeBodyCount>,
}

/// One region of a cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionDose {
    pub cycle: u32,
    pub region: String,
    pub dose: Gray,
    pub bed: Option<Gray>,
    pub relative_uncertainty: Option<f64>,
    pub effective_half_life: Option<Seconds>,
    /// One time point and a half-life from elsewhere.
    pub single_time_point: bool,
    /// What else planning a therapy asks for.
    pub seen: Seen,
}

/// What a region's images show beside its dose; each absent where they do not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    pub mass: Option<Gram>,
    pub volume: Option<Millilitre>,
    pub decays: Option<BecquerelSecond>,
    /// In the first planar scan and in the first reconstructed volume.
    pub planar: Option<Becquerel>,
    pub tomographic: Option<Becquerel>,
    /// Of a tracer: dose of 1 GBq of the therapy, its relative uncertainty, and the biology.
    pub therapy: Option<SeenTherapy>,
}

/// What a tracer's region says of its therapy.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenTherapy {
    pub radiopharmaceutical: String,
    pub dose_per_gbq: Gray,
    pub relative_uncertainty: Option<f64>,
    /// Fraction of the administered activity and biological rate of each term.
    pub biological: Vec<(f64, PerSecond)>,
}

impl CycleDoses {
    /// Every region of a result that has a dose and is no part of another.
    pub fn of(result: &CycleResult) -> Self {
        let whole = |made: &Option<Made>| made.as_ref().is_none_or(|made| made.within.is_none());
        let regions = result.regions.iter().filter(|region| whole(&region.made));
        Self {
            cycle: result.cycle,
            regions: regions.filter_map(|region| RegionDose::of(region, result)).collect(),
            whole_body_counts: result.whole_body_counts.clone(),
        }
    }
}

impl RegionDose {
    fn of(region: &RegionResult, result: &CycleResult) -> Option<Self> {
        let first = |planar: bool| {
            let points = result.time_points.iter().zip(&region.activity);
            let mut points = points.filter(|(point, _)| point.is_planar == planar);
            points.find_map(|(_, activity)| Some(activity.as_ref()?.value))
        };
        Some(Self {
            cycle: result.cycle,
            region: region.name.clone(),
            dose: region.dose.as_ref()?.mean,
            bed: region.bed.as_ref().map(|bed| bed.value),
            relative_uncertainty: region.uncertainty,
            effective_half_life: region.fit.as_ref().and_then(|fit| fit.effective_half_life),
            single_time_point: result.time_points.len() < 2,
            seen: Seen {
                mass: region.mass,
                volume: region.volume,
                decays: region.fit.as_ref().map(|fit| fit.time_integrated_activity),
                planar: first(true),
                tomographic: first(false),
                therapy: region.therapy.as_ref().map(|therapy| SeenTherapy {
                    radiopharmaceutical: therapy.radiopharmaceutical.clone(),
                    dose_per_gbq: therapy.dose_per_gbq,
                    relative_uncertainty: therapy.relative_uncertainty,
                    biological: therapy.biological.clone(),
                }),
            },
        })
    }
}

/// Where a course stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing was given yet.
    Planned,
    /// The last cycle's doses are still to come.
    AwaitingImages,
    /// Doses are there and the protocol proposes nothing.
    Dosed,
    /// A proposal: always only that.
    Prescribed,
    Hold,
    /// A named person signed the next cycle.
    Signed,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "PLANNED",
            Self::AwaitingImages => "AWAITING_IMAGES",
            Self::Dosed => "DOSED",
            Self::Prescribed => "PRESCRIBED",
            Self::Hold => "HOLD",
            Self::Signed => "SIGNED",
        }
    }
}

/// What the same cycles would do at the fixed activity of the trial's other arm.
#[derive(Debug, Clone, PartialEq)]
pub struct FixedRegime {
    pub tissue: String,
    pub activity: Becquerel,
    pub cycles: u32,
    pub dose: Gray,
    pub limit: Option<Gray>,
}

/// Everything about one course.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    pub state: State,
    /// Number of the cycle that is proposed.
    pub next_cycle: u32,
    pub ledger: Ledger,
    pub tissues: Vec<Tissue>,
    pub proposal: Option<Proposal>,
    /// Of courses of fixed activities.
    pub decision: Option<Decision>,
    pub fixed_regime: Vec<FixedRegime>,
    pub vials: Vec<VialSlot>,
    /// Why nothing, or nothing without a person's word, is proposed.
    pub holds: Vec<Hold>,
    pub notes: Vec<String>,
    /// Constants that no physicist of the site has confirmed.
    pub unconfirmed: Vec<String>,
    /// Of the proposal as it is now.
    pub signature: Option<Signature>,
}

/// Part by which an activity that was signed may differ from the proposal: what rounding in print does.
const SIGNED_WITHIN: f64 = 1e-3;

/// The plan's signature of the next cycle. One of another activity than is proposed now signs nothing, and is told.
fn signature(
    plan: &Plan,
    next_cycle: u32,
    proposal: Option<&Proposal>,
    notes: &mut Vec<String>,
) -> Option<Signature> {
    let signature = plan.signed.iter().find(|signature| signature.cycle == next_cycle)?;
    let proposed = proposal.and_then(|proposal| proposal.activity).map(|activity| activity.mbq());
    if let (Some(signed), Some(proposed)) = (signature.activity_mbq, proposed)
        && (signed / proposed - 1.0).abs() > SIGNED_WITHIN
    {
        notes.push(format!(
            "{} signed {signed:.0} MBq for cycle {next_cycle}, and {proposed:.0} MBq are proposed now: not signed",
            signature.by
        ));
        return None;
    }
    Some(signature.clone())
}

/// A rule's outcome before the gates have their say.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub proposal: Option<Proposal>,
    pub decision: Option<Decision>,
    pub fixed_regime: Vec<FixedRegime>,
    pub vials: Vec<VialSlot>,
    pub holds: Vec<Hold>,
    pub notes: Vec<String>,
}

impl Outcome {
    fn hold(mut self, code: &'static str, reason: impl Into<String>) -> Self {
        self.holds.push(Hold::new(code, reason));
        self
    }
}

/// The state of a course and the proposal of its next activity.
///
/// # Errors
/// [`PrescribeError`] where the ledger itself cannot be: a dose given twice, a BED below its dose.
/// What a rule lacks is no error but a hold with what to supply.
pub fn evaluate(plan: &Plan, computed: &[CycleDoses]) -> Result<Course, PrescribeError> {
    let (completed, seen) = imaged::complete(plan, computed);
    let plan = &completed;
    let mut computed = computed.to_vec();
    let marrow = marrow::add(plan, &mut computed);
    let regions: Vec<RegionDose> = computed.iter().flat_map(|c| c.regions.clone()).collect();
    let computed = &regions[..];
    let (ledger, mut notes) = tissue::ledger(plan, computed)?;
    notes.extend(seen.into_iter().chain(marrow));
    let tissues = tissue::tissues(plan, &ledger);
    let given = plan.cycles.len() as u32;
    let rule = plan.parameters.prescription.rule();
    let mut outcome = match rule {
        None => Outcome::default(),
        Some(rule) => apply(rule, plan, &ledger, &tissues, computed)
            .unwrap_or_else(|error| Outcome::default().hold("input-missing", error.to_string())),
    };
    notes.append(&mut outcome.notes);
    if rule.is_some() {
        outcome.holds.extend(gates(plan));
        let manual = &plan.parameters.gates.manual;
        notes.extend(manual.iter().map(|text| format!("to be looked at: {text}")));
    }
    if let Some(proposal) = &mut outcome.proposal {
        for hold in outcome.holds.drain(..) {
            proposal.hold(hold);
        }
        outcome.holds.clone_from(&proposal.holds);
    }
    let next_cycle = plan.cycles.last().map_or(1, |cycle| cycle.number + 1);
    let signature = signature(plan, next_cycle, outcome.proposal.as_ref(), &mut notes);
    let measured = ledger.entries.iter().any(|entry| entry.cycle > 0);
    let state = match (&outcome, signature.is_some()) {
        (o, _) if !o.holds.is_empty() => State::Hold,
        (o, true) if o.proposal.is_some() => State::Signed,
        (o, _) if o.proposal.is_some() => State::Prescribed,
        _ if given == 0 => State::Planned,
        _ if !measured => State::AwaitingImages,
        _ => State::Dosed,
    };
    Ok(Course {
        state,
        next_cycle,
        ledger,
        tissues,
        proposal: outcome.proposal,
        decision: outcome.decision,
        fixed_regime: outcome.fixed_regime,
        vials: outcome.vials,
        holds: outcome.holds,
        notes,
        unconfirmed: plan.parameters.unconfirmed.clone(),
        signature,
    })
}

fn apply(
    rule: Rule<'_>,
    plan: &Plan,
    ledger: &Ledger,
    tissues: &[Tissue],
    computed: &[RegionDose],
) -> Result<Outcome, PrescribeError> {
    match rule {
        Rule::Fixed(rule) => multi_cycle::fixed(rule, plan, tissues),
        Rule::FixedNumber(rule) => multi_cycle::fixed_number(rule, plan, ledger, tissues, computed),
        Rule::Glass(rule) => single::glass(rule, plan),
        Rule::ResinBsa(rule) => single::resin_bsa(rule, plan),
        Rule::ResinPartition(rule) => single::resin_partition(rule, plan),
        Rule::WholeBody(rule) => single::whole_body(rule, plan),
        Rule::Surrogate(rule) => single::surrogate(rule, plan),
        Rule::SurfaceSeeker(rule) => single::surface_seeker(rule, plan),
        Rule::ReducedTotal(rule) => single::reduced_total(rule, plan),
        Rule::TwoAgents(rule) => single::two_agents(rule, plan),
        Rule::Thyroid(rule) => single::thyroid(rule, plan),
    }
}

/// Adds the state of the course to a result whose protocol has limits or a rule. Doses of other
/// cycles come from their results and from the plan. What cannot be evaluated is a warning: the doses stand by themselves.
pub(super) fn prescribe(request: &Request, result: &mut CycleResult) {
    let parameters = &request.plan.parameters;
    if parameters.limits.0.is_empty() && parameters.prescription.rule().is_none() {
        return;
    }
    let mut computed = vec![CycleDoses::of(result)];
    computed.extend(request.earlier.iter().filter(|r| r.cycle != result.cycle).cloned());
    computed.sort_by_key(|doses| doses.cycle);
    match evaluate(&request.plan, &computed) {
        Ok(course) => result.prescription = Some(write(&course)),
        Err(error) => result.warnings.push(Warning::new(
            "no-prescription",
            format!("the course could not be evaluated: {error}"),
        )),
    }
}

/// A fact out of its gate, or not given, holds.
fn gates(plan: &Plan) -> Vec<Hold> {
    let facts = serde_json::to_value(&plan.patient_facts).unwrap_or_default();
    let mut holds = Vec::new();
    for (fact, gate) in &plan.parameters.gates.facts {
        let Some(value) = facts[fact].as_f64() else {
            let reason = format!("the protocol asks for {fact}; add patient_facts.{fact}");
            holds.push(Hold::new("fact-missing", reason));
            continue;
        };
        if let Some(least) = gate.at_least.as_ref().filter(|least| value < least.value) {
            let reason = format!("{fact} is {value}, below {}", least.value);
            holds.push(Hold::new("gate", reason));
        }
        if let Some(most) = gate.at_most.as_ref().filter(|most| value > most.value) {
            holds.push(Hold::new("gate", format!("{fact} is {value}, above {}", most.value)));
        }
    }
    holds
}

#[cfg(test)]
mod tests;
