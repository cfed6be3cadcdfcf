//! Rules that plan one therapy from a tracer or a surrogate.

use super::{Outcome, blood, body};
use crate::biology::organ::Adult;
use crate::config::Plan;
use crate::config::plan::{Coefficient, LiverMeasured, Sex};
use crate::config::protocol::Combine;
use crate::config::protocol::prescription::{
    Glass, ReducedTotal, ResinBsa, ResinPartition, SexPair, SurfaceSeeker, Surrogate, Thyroid,
    TwoAgents, WholeBody,
};
use crate::prescribe::{
    self, Allowed, Constraint, Effect, GlassPlan, Hold, Pair, PrescribeError, Proposal, Verdict,
};
use crate::quantity::{Becquerel, Gram, Gray, GrayPerBecquerel, KiloElectronvolt, Seconds};

fn missing(what: &'static str, supply: &'static str) -> PrescribeError {
    PrescribeError::Missing { what, supply }
}

fn weight(plan: &Plan) -> Result<f64, PrescribeError> {
    let weight = plan.patient_facts.weight_kg;
    weight.ok_or(missing("the weight", "add patient_facts.weight_kg"))
}

fn height(plan: &Plan) -> Result<f64, PrescribeError> {
    let height = plan.patient_facts.height_cm;
    height.ok_or(missing("the height", "add patient_facts.height_cm"))
}

fn of_sex<'a, T>(pair: &'a SexPair<T>, plan: &Plan) -> Result<&'a T, PrescribeError> {
    Ok(match adult(plan)? {
        Adult::Male => &pair.male,
        Adult::Female => &pair.female,
    })
}

pub(super) fn adult(plan: &Plan) -> Result<Adult, PrescribeError> {
    let adult = plan.patient_facts.sex.and_then(Sex::adult);
    adult.ok_or(missing("the sex (F or M) of the reference adult", "add patient_facts.sex"))
}

fn step(plan: &Plan) -> Becquerel {
    let step = plan.parameters.prescription.step_gbq.as_ref();
    Becquerel::from_gbq(step.map_or(0.0, |step| step.value))
}

/// The least of several activities, none accumulated yet.
fn least(allowed: Vec<Allowed>, plan: &Plan) -> Result<Proposal, PrescribeError> {
    let least = allowed.iter().min_by(|a, b| a.activity.value().total_cmp(&b.activity.value()));
    let least = least.ok_or(PrescribeError::NoConstraint)?;
    let (unrounded, limiting) = (least.activity, least.name.clone());
    Ok(Proposal {
        verdict: Verdict::Proposed,
        activity: Some(prescribe::round_down(unrounded, step(plan))),
        unrounded,
        limiting,
        allowed,
        holds: Vec::new(),
        notes: Vec::new(),
    })
}

fn allowed(name: &str, activity: Becquerel, limit: Option<Gray>) -> Allowed {
    Allowed { name: name.into(), activity, after: None, limit }
}

fn proposed(proposal: Proposal) -> Outcome {
    Outcome { proposal: Some(proposal), ..Outcome::default() }
}

/// What every rule of microspheres asks for.
struct Liver<'a> {
    tumour_mass: Gram,
    normal_mass: Gram,
    tumour_counts: f64,
    normal_counts: f64,
    shunt: f64,
    stated: &'a LiverMeasured,
}

impl<'a> Liver<'a> {
    fn of(plan: &'a Plan) -> Result<Self, PrescribeError> {
        let stated = plan.measured.liver.as_ref();
        let stated = stated.ok_or(missing(
            "the liver's planning",
            "add measured.liver, or image the tracer with regions of tumour, normal liver and lungs",
        ))?;
        let number = |value: Option<f64>, what, supply| value.ok_or(missing(what, supply));
        let m = stated;
        Ok(Self {
            tumour_mass: Gram::new(number(
                m.tumour_mass_g,
                "the tumour's mass",
                "add measured.liver.tumour_mass_g",
            )?),
            normal_mass: Gram::new(number(
                m.normal_mass_g,
                "the normal liver's mass",
                "add measured.liver.normal_mass_g",
            )?),
            tumour_counts: number(
                m.tumour_counts,
                "the tumour's counts",
                "add measured.liver.tumour_counts",
            )?,
            normal_counts: number(
                m.normal_counts,
                "the normal liver's counts",
                "add measured.liver.normal_counts",
            )?,
            shunt: number(m.lung_shunt, "the lung shunt", "add measured.liver.shunt")?,
            stated,
        })
    }

    fn lung_mass(&self, customary_g: f64) -> Gram {
        Gram::new(self.stated.lung_mass_g.unwrap_or(customary_g))
    }
}

pub fn glass(rule: &Glass, plan: &Plan) -> Result<Outcome, PrescribeError> {
    let liver = Liver::of(plan)?;
    let gray = |gy: f64| Gray::new(gy);
    let regime = prescribe::Glass {
        gy_kg_per_gbq: rule.gy_kg_per_gbq.value,
        target: gray(rule.tumour_target_gy.value),
        target_least: gray(rule.tumour_least_gy.value),
        normal_liver: gray(rule.normal_liver_gy.value),
        lungs: gray(rule.lungs_gy.value),
        standard: gray(rule.standard_gy.value),
        step: step(plan),
    };
    let patient = GlassPlan {
        tumour_mass: liver.tumour_mass,
        normal_mass: liver.normal_mass,
        lung_mass: liver.lung_mass(rule.lung_mass_g.value),
        tumour_counts: liver.tumour_counts,
        normal_counts: liver.normal_counts,
        shunt: liver.shunt,
        residual: rule.residual.value,
        lung_dose_before: gray(liver.stated.lung_dose_before_gy),
    };
    let proposal = regime.personalised(&patient)?;
    let standard = regime.standard_activity(&patient)?;
    let vials: Vec<Becquerel> =
        rule.vials.sizes_gbq.value.iter().map(|gbq| Becquerel::from_gbq(*gbq)).collect();
    let slots: Vec<Seconds> =
        liver.stated.slots_h.iter().map(|h| Seconds::from_hours(*h)).collect();
    let mut outcome = Outcome::default();
    if proposal.verdict != Verdict::Stop {
        outcome.vials = prescribe::vial_slots(
            proposal.unrounded,
            &vials,
            &slots,
            Seconds::from_hours(rule.vials.half_life_h.value),
            rule.vials.tolerance.value,
            Seconds::from_hours(rule.vials.shelf_life_h.value),
        )?;
    }
    outcome.notes.push(format!(
        "the standard arm ({:.0} Gy to the perfused volume) would give {:.4} GBq",
        rule.standard_gy.value,
        standard.gbq()
    ));
    match liver.stated.hepatic_reserve {
        Some(reserve) if reserve >= rule.hepatic_reserve.value => {}
        Some(reserve) => outcome.holds.push(Hold::new(
            "hepatic-reserve",
            format!("{reserve} of the liver is not perfused, below {}", rule.hepatic_reserve.value),
        )),
        None => outcome.holds.push(Hold::new(
            "hepatic-reserve",
            "the hepatic reserve is not given; add measured.liver.hepatic_reserve",
        )),
    }
    outcome.proposal = Some(proposal);
    Ok(outcome)
}

pub fn resin_bsa(rule: &ResinBsa, plan: &Plan) -> Result<Outcome, PrescribeError> {
    let liver = Liver::of(plan)?;
    let bsa = prescribe::body_surface_area(height(plan)?, weight(plan)?, rule.surface.value)?;
    let (tumour, normal) = (liver.tumour_mass, liver.normal_mass);
    let activity = prescribe::bsa_activity(bsa, rule.less_m2.value, tumour, normal)?;
    let (steps, none) = (&rule.reductions.value, rule.none_from.value);
    match prescribe::shunt_reduction(liver.shunt, steps, none)? {
        Err(hold) => Ok(Outcome { holds: vec![hold], ..Outcome::default() }),
        Ok(factor) => {
            let name = format!("body surface area {bsa:.4} m2, shunt factor {factor}");
            Ok(proposed(least(vec![allowed(&name, activity * factor, None)], plan)?))
        }
    }
}

pub fn resin_partition(rule: &ResinPartition, plan: &Plan) -> Result<Outcome, PrescribeError> {
    let liver = Liver::of(plan)?;
    let none_from = rule.none_from.value;
    if let Err(hold) = prescribe::shunt_reduction(liver.shunt, &[], none_from)? {
        return Ok(Outcome { holds: vec![hold], ..Outcome::default() });
    }
    let concentration = liver.tumour_counts / liver.tumour_mass.value();
    let partition = prescribe::Partition {
        gy_kg_per_gbq: rule.gy_kg_per_gbq.value,
        tumour: liver.tumour_mass,
        normal: liver.normal_mass,
        ratio: concentration / (liver.normal_counts / liver.normal_mass.value()),
        shunt: liver.shunt,
    };
    let normal = Gray::new(rule.normal_liver_gy.value);
    let mut all = vec![allowed("normal liver", partition.activity(normal)?, Some(normal))];
    if liver.shunt > 0.0 {
        let kg = liver.lung_mass(rule.lung_mass_g.value).value() / 1000.0;
        let left = (rule.lungs_gy.value - liver.stated.lung_dose_before_gy).max(0.0);
        let gbq = left * kg / (rule.gy_kg_per_gbq.value * liver.shunt);
        let limit = Some(Gray::new(rule.lungs_gy.value));
        all.push(allowed("lungs", Becquerel::from_gbq(gbq), limit));
    }
    let proposal = least(all, plan)?;
    let share = proposal.unrounded / partition.activity(normal)?;
    let tumour = partition.tumour_dose(normal).value() * share;
    let mut outcome = proposed(proposal);
    outcome.notes.push(format!("tumour dose {tumour:.1} Gy"));
    Ok(outcome)
}

pub fn whole_body(rule: &WholeBody, plan: &Plan) -> Result<Outcome, PrescribeError> {
    let counts = &plan.measured.whole_body_counts;
    let [first, later @ ..] = &counts[..] else {
        return Err(missing("the whole-body counts", "add measured.whole_body_counts"));
    };
    let before_voiding = body::net(first)?;
    let mut points = Vec::new();
    for count in later {
        points.push((Seconds::from_hours(count.hours), body::net(count)? / before_voiding));
    }
    let tau = prescribe::residence_time(&points)?;
    let mass = &rule.effective_mass;
    let kg = prescribe::maximum_effective_mass(
        weight(plan)?,
        height(plan)?,
        of_sex(&mass.lean_at_152_cm, plan)?.value,
        of_sex(&mass.lean_per_cm, plan)?.value,
        mass.factor.value,
    )?;
    let platelets = plan.patient_facts.platelets_giga_l;
    let platelets =
        platelets.ok_or(missing("the platelets", "add patient_facts.platelets_giga_l"))?;
    let mut outcome = Outcome::default();
    let target = rule.targets.iter().find(|t| platelets >= t.platelets_giga_l_from.value);
    let Some(target) = target else {
        let reason = format!("platelets are {platelets} G/L, below every bound of the protocol");
        return Ok(outcome.hold("platelets", reason));
    };
    let reference = Gray::new(rule.reference_gy.value);
    let hours = prescribe::activity_hours(
        reference,
        Gram::new(kg * 1000.0),
        KiloElectronvolt::new(rule.electron_kev.value),
        KiloElectronvolt::new(rule.photon_kev.value),
        rule.photon_absorbed_fraction.value,
        Gram::new(rule.reference_mass_kg.value * 1000.0),
    )?;
    let target = Gray::new(target.target_gy.value);
    let activity = prescribe::whole_body_activity(hours, tau, target, reference)?;
    if first.hours > rule.first_count_h_most.value {
        outcome.holds.push(Hold::new(
            "count-before-voiding",
            format!(
                "the first whole-body count is at {} h, so none was taken before voiding; it is the \
                 100 % that the others are held against",
                first.hours
            ),
        ));
    }
    let (low, high) = (rule.residence_h_least.value, rule.residence_h_most.value);
    if !(low..=high).contains(&tau.hours()) {
        outcome.holds.push(Hold::new(
            "altered-biodistribution",
            format!("the residence time is {:.1} h, outside {low} to {high} h", tau.hours()),
        ));
    }
    outcome.notes.push(format!(
        "residence time {:.2} h ({:.2} h at 37 %), {hours:.0} MBq h for {} Gy in {kg:.1} kg",
        tau.hours(),
        prescribe::residence_time_37(tau).hours(),
        reference.value()
    ));
    let [low, high] = rule.expected_gbq.value;
    outcome.notes.extend(unexpected("activity (GBq)", activity.gbq(), [low, high]));
    outcome.proposal = Some(least(vec![allowed("whole body", activity, Some(target))], plan)?);
    Ok(outcome)
}

fn unexpected(what: &str, value: f64, [low, high]: [f64; 2]) -> Option<String> {
    (!(low..=high).contains(&value))
        .then(|| format!("{what} {value:.4} lies outside the expected {low} to {high}"))
}

pub fn surrogate(rule: &Surrogate, plan: &Plan) -> Result<Outcome, PrescribeError> {
    let biological: Vec<_> = plan
        .measured
        .biological_curve
        .iter()
        .map(|t| (t.fraction, Seconds::from_hours(t.half_life_h).half_life_to_rate()))
        .collect();
    if biological.is_empty() {
        return Err(missing("the tracer's biological curve", "add measured.biological_curve"));
    }
    let mass = plan.measured.organ_mass_g;
    let mass = Gram::new(mass.ok_or(missing("the organ's mass", "add measured.organ_mass_g"))?);
    let decay = plan.nuclide.decay().map_err(|_| missing("decay data", "name a known nuclide"))?;
    let tau = prescribe::surrogate_residence(&biological, decay.half_life)?;
    let (adult, no_table) = (adult(plan)?, missing("an S value", "extend the table"));
    let table = plan.parameters.biology.s_values();
    let reference = table.mass(&rule.organ, adult).map_err(|_| no_table.clone())?;
    let s = table.s(&plan.nuclide, &rule.organ, &rule.organ, adult).map_err(|_| no_table)?;
    let coefficient = GrayPerBecquerel::new(tau.value() * s * (reference / mass));
    let target = Gray::new(rule.target_gy.value);
    let activity = target / coefficient;
    let per_kg_gy = activity.mbq() / weight(plan)? / target.value();
    let mut outcome = proposed(least(vec![allowed(&rule.organ, activity, Some(target))], plan)?);
    let expected = rule.expected_mbq_per_kg_gy.value;
    outcome.notes.push(format!(
        "{} {:.4} Gy/GBq, {per_kg_gy:.4} MBq/(kg Gy)",
        rule.organ,
        coefficient.gy_per_gbq()
    ));
    outcome.notes.extend(unexpected("activity per mass and dose", per_kg_gy, expected));
    Ok(outcome)
}

pub fn surface_seeker(rule: &SurfaceSeeker, plan: &Plan) -> Result<Outcome, PrescribeError> {
    let counts = &plan.measured.whole_body_counts;
    let [early, late] = &counts[..] else {
        return Err(missing("exactly two whole-body counts", "add measured.whole_body_counts"));
    };
    let half_life = Seconds::from_hours(rule.half_life_h.value);
    let apart = Seconds::from_hours(late.hours - early.hours);
    let retention =
        prescribe::skeletal_retention(body::net(early)?, body::net(late)?, apart, half_life)?;
    let seeker = prescribe::SurfaceSeeker {
        half_life,
        electrons: KiloElectronvolt::new(rule.electron_kev.value),
        trabecular: rule.trabecular.value,
        absorbed_fraction: rule.absorbed_fraction.value,
        marrow: Gram::new(rule.marrow_mass_g.value),
    };
    let limit = Gray::new(rule.marrow_gy.value);
    let tracer: Becquerel = plan.cycles.iter().map(|c| c.administered.activity).sum();
    let activity = seeker.therapy(retention, limit, tracer)?;
    let total = activity + tracer;
    let part = total.mbq() / weight(plan)? / rule.standard_mbq_per_kg.value;
    let mut outcome = proposed(least(vec![allowed("red marrow", activity, Some(limit))], plan)?);
    let coefficient = seeker.coefficient(retention)?;
    outcome.notes.push(format!(
        "retention {retention:.5}, marrow {:.4} mGy/MBq (surface seeker, ICRP 30); total {:.0} MBq \
         with the tracer, {:.1} % of the standard",
        coefficient.gy_per_gbq(),
        total.mbq(),
        100.0 * part
    ));
    outcome.notes.extend(unexpected("part of the standard", part, rule.expected_part.value));
    Ok(outcome)
}

/// Limits of the protocol at the coefficients of the plan.
fn by_coefficients(plan: &Plan, drug: Option<&str>) -> Result<Vec<Constraint>, PrescribeError> {
    let mut all = Vec::new();
    for (name, limit) in &plan.parameters.limits.0 {
        let Some(gy) = &limit.dose_gy else { continue };
        let own = plan.measured.coefficients.iter().filter(|c| {
            !c.lesion
                && (c.region == *name || limit.covers(&c.region))
                && drug.is_none_or(|drug| c.radiopharmaceutical.as_deref() == Some(drug))
        });
        // The tissue's own, else left and right together as the limit has it.
        let own: Vec<&Coefficient> = own.collect();
        let whole: Vec<&Coefficient> = own.iter().copied().filter(|c| c.region == *name).collect();
        let parts = if whole.is_empty() { own } else { whole };
        if parts.is_empty() {
            return Err(missing(
                "the dose per activity of a limited organ",
                "add it for every organ of `limits` to measured.coefficients, or image a tracer with \
                 its region",
            ));
        }
        let gy_per_gbq = match limit.combine {
            Combine::Mean => parts.iter().map(|c| c.gy_per_gbq).sum::<f64>() / parts.len() as f64,
            Combine::Worst => parts.iter().map(|c| c.gy_per_gbq).fold(0.0, f64::max),
        };
        all.push(Constraint {
            name: name.clone(),
            limit: Gray::new(gy.value),
            accumulated: Gray::new(0.0),
            coefficient: GrayPerBecquerel::from_gy_per_gbq(gy_per_gbq),
            effect: Effect::AbsorbedDose,
        });
    }
    Ok(all)
}

pub fn reduced_total(rule: &ReducedTotal, plan: &Plan) -> Result<Outcome, PrescribeError> {
    let kg = weight(plan)?;
    let cycles = rule.cycles.value;
    let each = match kg > rule.heavy_from_kg.value {
        true => Becquerel::from_gbq(rule.heavy_gbq_per_cycle.value),
        false => Becquerel::from_mbq(rule.light_mbq_per_kg.value) * kg,
    };
    let limits = by_coefficients(plan, None)?;
    let base = each * f64::from(cycles);
    let proposal = prescribe::reduced_total(base, &limits, cycles, step(plan))?;
    let flag = Gray::new(rule.marrow_flag_gy.value);
    let marrow = proposal.allowed.iter().find(|a| a.name.contains("marrow"));
    let above = marrow.and_then(|m| m.after).filter(|after| *after > flag);
    let note = above.map(|after| {
        format!("marrow gets {:.2} Gy, above {} Gy: know that", after.value(), flag.value())
    });
    let mut outcome = proposed(proposal);
    outcome.notes.extend(note);
    Ok(outcome)
}

pub fn two_agents(rule: &TwoAgents, plan: &Plan) -> Result<Outcome, PrescribeError> {
    let first = by_coefficients(plan, Some(&rule.first))?;
    let second = by_coefficients(plan, Some(&rule.second))?;
    let organs: Vec<Pair> = first
        .iter()
        .zip(&second)
        .map(|(a, b)| Pair {
            name: a.name.clone(),
            first: a.coefficient,
            second: b.coefficient,
            bound: a.limit.value(),
        })
        .collect();
    let of = |drug: &str, region: &str| {
        plan.measured.coefficients.iter().find(|c| {
            c.lesion && c.region == region && c.radiopharmaceutical.as_deref() == Some(drug)
        })
    };
    let mut names: Vec<&str> = Vec::new();
    for lesion in plan.measured.coefficients.iter().filter(|c| c.lesion) {
        if !names.contains(&lesion.region.as_str()) {
            names.push(&lesion.region);
        }
    }
    let mut lesions = Vec::new();
    for name in names {
        let (a, b) = (of(&rule.first, name), of(&rule.second, name));
        let gy = |c: Option<&Coefficient>| {
            GrayPerBecquerel::from_gy_per_gbq(c.map_or(0.0, |c| c.gy_per_gbq))
        };
        let mass = a.and_then(|c| c.mass_g).or(b.and_then(|c| c.mass_g));
        lesions.push(Pair {
            name: name.to_owned(),
            first: gy(a),
            second: gy(b),
            bound: mass.unwrap_or(1.0),
        });
    }
    let sharing = prescribe::two_agents(&organs, &lesions, rule.objective, [None, None])?;
    let cycles = f64::from(rule.cycles.value);
    let all = vec![
        allowed(&rule.first, sharing.first, None),
        allowed(&rule.second, sharing.second, None),
    ];
    let mut outcome = proposed(Proposal {
        verdict: Verdict::Proposed,
        activity: Some(prescribe::round_down(sharing.first / cycles, step(plan))),
        unrounded: sharing.first / cycles,
        limiting: sharing.limiting.join(", "),
        allowed: all,
        holds: Vec::new(),
        notes: Vec::new(),
    });
    outcome.notes.push(format!(
        "{} {:.4} GBq and {} {:.4} GBq in {cycles} cycles; {:.2} Gy, {:+.1} % over the best alone \
         ({} {:.4} GBq: {:.2} Gy; {} {:.4} GBq: {:.2} Gy)",
        rule.first,
        sharing.first.gbq(),
        rule.second,
        sharing.second.gbq(),
        sharing.dose.value(),
        100.0 * sharing.gain,
        rule.first,
        sharing.first_alone.0.gbq(),
        sharing.first_alone.1.value(),
        rule.second,
        sharing.second_alone.0.gbq(),
        sharing.second_alone.1.value(),
    ));
    for (name, dose) in &sharing.lesions {
        outcome.notes.push(format!("{name}: {:.2} Gy", dose.value()));
    }
    Ok(outcome)
}

pub fn thyroid(rule: &Thyroid, plan: &Plan) -> Result<Outcome, PrescribeError> {
    let measured = &plan.measured;
    let kg = weight(plan)?;
    let model = prescribe::BloodModel {
        beta_per_ml: rule.beta_gy_per_gbq_h_ml.value,
        gamma: rule.gamma_gy_per_gbq_h_kg23.value,
        blood_fraction: rule.blood_fraction.value,
    };
    let tau = match (measured.whole_body_residence_h, measured.retention_48_h) {
        (Some(hours), _) => Seconds::from_hours(hours),
        (None, Some(r)) => prescribe::residence_of_one(Seconds::from_hours(48.0), r)?,
        (None, None) => {
            return Err(missing(
                "the whole body's residence",
                "add measured.whole_body_residence_h or measured.retention_48_h",
            ));
        }
    };
    let sampled = blood::residence(plan)?;
    let stated = measured.blood_residence_h_per_ml.map(Seconds::from_hours);
    let per_ml = stated.or(sampled.as_ref().map(|blood| blood.per_ml));
    let coefficient = match per_ml {
        Some(per_ml) => model.full(per_ml, tau, kg)?,
        None => {
            let of_volume = of_sex(&rule.blood_volume_offset, plan)?.value;
            let volume = prescribe::blood_volume(height(plan)?, kg, of_volume)?;
            model.whole_body(tau, volume, kg)?
        }
    };
    let limit = Gray::new(rule.blood_gy.value);
    let mut all = vec![allowed("blood", limit / coefficient, Some(limit))];
    if let Some(retention) = measured.retention_48_h {
        let (name, gbq) = match measured.diffuse_lung_metastases {
            true => ("48 h rule, diffuse lung metastases", rule.at_48_h_lungs_gbq.value),
            false => ("48 h rule", rule.at_48_h_gbq.value),
        };
        let activity = prescribe::rule_of_48_h(Becquerel::from_gbq(gbq), retention)?;
        all.push(allowed(name, activity, None));
    }
    let mut proposal = least(all, plan)?;
    let mut notes = vec![format!("blood {:.5} Gy/GBq", coefficient.gy_per_gbq())];
    if let Some(blood) = sampled {
        // Of the part that comes from the blood itself.
        let spread =
            blood.relative_uncertainty.map(|u| u * model.beta_per_ml * blood.per_ml.hours());
        notes.extend(blood.notes);
        notes.extend(spread.map(|gy| format!("± {gy:.5} Gy/GBq (k = 1) by the blood's curve")));
    }
    if let Some(need) = &rule.lesions {
        let most = proposal.unrounded;
        let lesions: Vec<_> = measured.coefficients.iter().filter(|c| c.lesion).collect();
        let needs = |c: &&Coefficient| {
            let gy = if c.bone { need.bone_gy.value } else { need.soft_tissue_gy.value };
            gy / c.gy_per_gbq
        };
        let reached = lesions.iter().filter(|c| needs(c) <= most.gbq()).count();
        let wanted = lesions.iter().map(needs).fold(0.0, f64::max);
        notes.push(format!("{reached} of {} lesions reach their target", lesions.len()));
        if reached == lesions.len() && wanted > 0.0 {
            proposal.unrounded = Becquerel::from_gbq(wanted);
            proposal.activity = Some(prescribe::round_down(proposal.unrounded, step(plan)));
            proposal.limiting = "need of the lesions".into();
            // Down would leave the neediest lesion short of its target; the note says by how much.
            notes.push(format!("the neediest lesion wants {wanted:.4} GBq"));
        } else if reached < lesions.len() {
            proposal.verdict = Verdict::TargetNotMet;
        }
    }
    let mut outcome = proposed(proposal);
    outcome.notes = notes;
    Ok(outcome)
}
