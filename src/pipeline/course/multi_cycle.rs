//! Courses over several cycles: fixed activity until a limit, or a fixed number of cycles.

use super::{FixedRegime, Outcome, RegionDose, Tissue};
use crate::config::Plan;
use crate::config::protocol::prescription::{Fixed, FixedNumber};
use crate::prescribe::{
    self, Amount, Clock, Constraint, Effect, Hold, Ledger, PrescribeError, Proposal, Regression,
    Terms, Verdict,
};
use crate::quantity::{Becquerel, Gray, GrayPerBecquerel};

/// All limits as constraints; a limited tissue that was not measured is a hold.
fn constraints(
    tissues: &[Tissue],
    coefficient: impl Fn(&Tissue) -> Option<GrayPerBecquerel>,
    outcome: &mut Outcome,
) -> Vec<Constraint> {
    let mut all = Vec::new();
    for tissue in tissues {
        match tissue.constraints(coefficient(tissue)) {
            Ok(constraints) => all.extend(constraints),
            Err(reason) => outcome.holds.push(Hold::new(
                "limit-not-measured",
                format!(
                    "{reason}, so its limit says nothing; measure it, state it in measured.doses, \
                     or change limits with limits_by"
                ),
            )),
        }
    }
    all
}

fn last_coefficient(tissue: &Tissue) -> Option<GrayPerBecquerel> {
    tissue.total.as_ref().and_then(|total| total.last_coefficient)
}

fn step(plan: &Plan) -> Becquerel {
    let step = plan.parameters.prescription.step_gbq.as_ref();
    Becquerel::from_gbq(step.map_or(0.0, |step| step.value))
}

fn simple(activity: Becquerel, limiting: &str, plan: &Plan) -> Proposal {
    Proposal {
        verdict: Verdict::Proposed,
        activity: Some(prescribe::round_down(activity, step(plan))),
        unrounded: activity,
        limiting: limiting.into(),
        allowed: Vec::new(),
        holds: Vec::new(),
        notes: Vec::new(),
    }
}

fn stop(activity: Becquerel, limiting: String, note: String) -> Proposal {
    Proposal {
        verdict: Verdict::Stop,
        activity: None,
        unrounded: activity,
        limiting,
        allowed: Vec::new(),
        holds: Vec::new(),
        notes: vec![note],
    }
}

/// The activity of the cycle that comes after `given` ones.
fn amount(rule: &Fixed, plan: &Plan, given: u32) -> Result<Option<Becquerel>, PrescribeError> {
    let last = rule.cycles.value + rule.then.as_ref().map_or(0, |then| then.cycles.value);
    if given >= last {
        return Ok(None);
    }
    if let Some(then) = rule.then.as_ref().filter(|_| given >= rule.cycles.value) {
        return Ok(Some(Becquerel::from_gbq(then.activity_gbq.value)));
    }
    let low = rule.low_platelets.as_ref().filter(|low| {
        plan.patient_facts.platelets_giga_l.is_some_and(|p| p < low.below_giga_l.value)
    });
    let per_kg = low.map(|low| &low.activity_mbq_per_kg).or(rule.activity_mbq_per_kg.as_ref());
    let amount = match (per_kg, &rule.activity_gbq) {
        (Some(per_kg), _) => Amount::PerKilogram(Becquerel::from_mbq(per_kg.value)),
        (None, Some(gbq)) => Amount::Fixed(Becquerel::from_gbq(gbq.value)),
        (None, None) => {
            return Err(PrescribeError::Missing {
                what: "the fixed activity",
                supply: "add activity_gbq or activity_mbq_per_kg to the protocol",
            });
        }
    };
    let cap = rule.cap_gbq.as_ref().map(|cap| Becquerel::from_gbq(cap.value));
    prescribe::fixed_activity(amount, plan.patient_facts.weight_kg, cap).map(Some)
}

pub fn fixed(rule: &Fixed, plan: &Plan, tissues: &[Tissue]) -> Result<Outcome, PrescribeError> {
    let given = plan.own_cycles().count() as u32;
    let mut outcome = Outcome::default();
    let Some(activity) = amount(rule, plan, given)? else {
        let note = format!("all {given} cycles of the regime have been given");
        outcome.proposal = Some(stop(Becquerel::new(0.0), "number of cycles".into(), note));
        return Ok(outcome);
    };
    let mut proposal = simple(activity, "fixed activity", plan);
    if tissues.is_empty() {
        outcome.notes.push("the regime has no dose limits: doses are reported only".into());
        outcome.proposal = Some(proposal);
        return Ok(outcome);
    }
    if given == 0 {
        outcome.notes.push("nothing was measured yet: the first cycle is given by rule".into());
        outcome.proposal = Some(proposal);
        return Ok(outcome);
    }
    let limits = constraints(tissues, last_coefficient, &mut outcome);
    let terms =
        Terms { cycles_left: 1, cap: None, least: Becquerel::new(0.0), step: Becquerel::new(0.0) };
    if let Ok(most) = prescribe::next_activity(&limits, &terms) {
        proposal.allowed = most.allowed;
        for (allowed, limit) in proposal.allowed.iter_mut().zip(&limits) {
            allowed.after = Some(limit.after(activity));
        }
    }
    let decision = prescribe::another_cycle(rule.clock, &limits, activity);
    if decision.may_be_given {
        let last = rule.cycles.value + rule.then.as_ref().map_or(0, |then| then.cycles.value);
        let more = prescribe::cycles_within(rule.clock, &limits, activity, last - given);
        proposal.notes.push(format!("{more} more cycles like this one within the limits"));
        outcome.notes.extend(planned_excess(rule, activity, given, &limits));
    } else {
        let what = match rule.clock {
            Clock::NotExceed => "would be exceeded by one more cycle",
            Clock::Reach => "has been reached",
        };
        let names = decision.because.join(", ");
        proposal = Proposal {
            allowed: proposal.allowed,
            ..stop(activity, names.clone(), format!("limit {what}: {names}"))
        };
    }
    outcome.decision = Some(decision);
    outcome.proposal = Some(proposal);
    Ok(outcome)
}

/// A course planned in phases is looked at as a whole: its end may lie beyond a limit.
fn planned_excess(
    rule: &Fixed,
    activity: Becquerel,
    given: u32,
    limits: &[Constraint],
) -> Vec<String> {
    let mut phases = vec![(rule.cycles.value.saturating_sub(given), activity)];
    if let Some(then) = &rule.then {
        let left = then.cycles.value.min((rule.cycles.value + then.cycles.value) - given);
        phases.push((left, Becquerel::from_gbq(then.activity_gbq.value)));
    }
    limits
        .iter()
        .filter(|limit| limit.effect == Effect::AbsorbedDose)
        .filter_map(|limit| {
            let (_, dose) = prescribe::course_dose(&phases, limit.coefficient);
            let total = limit.accumulated + dose;
            (total > limit.limit).then(|| {
                format!(
                    "the whole course would give {} {:.2} Gy, above {:.2} Gy: it will end earlier",
                    limit.name,
                    total.value(),
                    limit.limit.value()
                )
            })
        })
        .collect()
}

pub fn fixed_number(
    rule: &FixedNumber,
    plan: &Plan,
    ledger: &Ledger,
    tissues: &[Tissue],
    computed: &[RegionDose],
) -> Result<Outcome, PrescribeError> {
    let given = plan.own_cycles().count() as u32;
    let mut outcome = Outcome::default();
    let Some(left) = rule.cycles.value.checked_sub(given).filter(|left| *left > 0) else {
        let note = format!("all {given} cycles of the regime have been given");
        outcome.fixed_regime = fixed_regime(rule, plan, ledger, tissues, 0);
        outcome.proposal = Some(stop(Becquerel::new(0.0), "number of cycles".into(), note));
        return Ok(outcome);
    };
    if given == 0 {
        let first = first(rule, plan)?;
        let cap = rule.cap_gbq.as_ref().map(|cap| Becquerel::from_gbq(cap.value));
        let capped = cap.filter(|cap| *cap < first);
        let why = if capped.is_some() { "activity cap" } else { "first cycle's rule" };
        outcome.proposal = Some(simple(capped.unwrap_or(first), why, plan));
        return Ok(outcome);
    }
    let change = plan.measured.tumour_volume_change;
    let coefficient = |tissue: &Tissue| {
        let last = last_coefficient(tissue)?;
        let Some(sink) = &rule.sink else { return Some(last) };
        let (shrinking, margin) = (sink.shrinking.value, sink.margin.value);
        prescribe::with_sink_margin(last, change, shrinking, margin).ok()
    };
    let limits = constraints(tissues, coefficient, &mut outcome);
    let last = plan.own_cycles().last().map(|cycle| cycle.administered.activity);
    let caps = [
        rule.cap_gbq.as_ref().map(|cap| Becquerel::from_gbq(cap.value)),
        rule.relative_cap.as_ref().zip(last).map(|(cap, last)| last * cap.value),
    ];
    let cap = caps.into_iter().flatten().min_by(|a, b| a.value().total_cmp(&b.value()));
    for given in plan.own_cycles().filter(|c| {
        rule.cap_gbq.as_ref().is_some_and(|cap| c.administered.activity.gbq() > cap.value)
    }) {
        let gbq = given.administered.activity.gbq();
        let note = format!("cycle {} was given {gbq:.3} GBq, above the activity cap", given.number);
        outcome.notes.push(note);
    }
    let terms = Terms {
        cycles_left: left,
        cap,
        least: Becquerel::from_gbq(rule.least_gbq.value),
        step: step(plan),
    };
    if limits.is_empty() {
        return Ok(outcome);
    }
    let proposal = prescribe::next_activity(&limits, &terms)?;
    let single = computed.iter().any(|r| r.cycle == given && r.single_time_point)
        || plan.measured.doses.iter().any(|d| {
            d.cycle == given
                && matches!(
                    d.half_life_source,
                    Some(
                        prescribe::HalfLifeSource::PriorCycle
                            | prescribe::HalfLifeSource::Population
                    )
                )
        });
    let guard = plan.parameters.prescription.single_time_point_increase.as_ref();
    if let (true, Some(guard), Some(last), Some(next)) = (single, guard, last, proposal.activity) {
        outcome.holds.extend(prescribe::sudden_increase(last, next, guard.value));
    }
    outcome.fixed_regime = fixed_regime(rule, plan, ledger, tissues, left);
    outcome.proposal = Some(proposal);
    Ok(outcome)
}

/// A stated activity, or the first cycle's target at a predicted coefficient.
fn first(rule: &FixedNumber, plan: &Plan) -> Result<Becquerel, PrescribeError> {
    if let Some(gbq) = &rule.first.activity_gbq {
        return Ok(Becquerel::from_gbq(gbq.value));
    }
    let Some(target) = &rule.first.target_gy else {
        return Err(PrescribeError::Missing {
            what: "the first cycle's rule",
            supply: "add first.activity_gbq or first.target_gy to the protocol",
        });
    };
    let predicted = match (plan.measured.predicted_gy_per_gbq, &rule.first.regression) {
        (Some(predicted), _) => GrayPerBecquerel::from_gy_per_gbq(predicted),
        (None, Some(site)) => {
            let facts = &plan.patient_facts;
            let missing = |what| PrescribeError::Missing {
                what,
                supply: "add it to patient_facts of the plan",
            };
            let egfr = facts.egfr_ml_min.ok_or(missing("eGFR"))?;
            let height = facts.height_cm.ok_or(missing("height"))?;
            let weight = facts.weight_kg.ok_or(missing("weight"))?;
            // Du Bois, as the regression's body surface areas are.
            let bsa = prescribe::body_surface_area(height, weight, [0.20247, 0.725, 0.425])?;
            let site = site.value;
            let (intercept, per_egfr, per_bsa) = (site.intercept, site.per_egfr, site.per_bsa);
            Regression { intercept, per_egfr, per_bsa }.coefficient(egfr, bsa)?
        }
        (None, None) => {
            return Err(PrescribeError::Missing {
                what: "the site's regression of the first cycle",
                supply: "its published coefficients are not available: add \
                         prescription.fixed_number.first.regression (intercept, per_egfr, per_bsa) \
                         or measured.predicted_gy_per_gbq; none is invented",
            });
        }
    };
    prescribe::fraction_target(Gray::new(target.value), predicted)
}

/// What the fixed activity would have given in the cycles so far, and would give in those left.
fn fixed_regime(
    rule: &FixedNumber,
    plan: &Plan,
    ledger: &Ledger,
    tissues: &[Tissue],
    left: u32,
) -> Vec<FixedRegime> {
    let Some(fixed) = &rule.fixed_regime_gbq else { return Vec::new() };
    let activity = Becquerel::from_gbq(fixed.value);
    let outcome = |tissue: &Tissue| {
        let own = ledger.entries.iter().filter(|e| {
            e.region == tissue.name && e.radiopharmaceutical == plan.radiopharmaceutical
        });
        let so_far: f64 = own.filter_map(|e| Some(e.dose.value() * (activity / e.activity?))).sum();
        let rest = last_coefficient(tissue)? * activity * f64::from(left);
        Some(FixedRegime {
            tissue: tissue.name.clone(),
            activity,
            cycles: rule.cycles.value,
            dose: Gray::new(so_far) + rest,
            limit: tissue.dose_limit,
        })
    };
    tissues.iter().filter_map(outcome).collect()
}
