//! What the images give the rules that plan one therapy: the plan's `measured`, completed where the plan
//! states nothing. What the plan states counts, and no note is made of it.

use super::{CycleDoses, RegionDose, SeenTherapy, body};
use crate::config::plan::{BiologicalTerm, Coefficient, LiverMeasured, Measured};
use crate::config::protocol::{holds_word, is_lesion};
use crate::config::{Plan, Rule};
use crate::prescribe::residence_time;
use crate::quantity::{Becquerel, Gray, Seconds};

/// Hour at which the rule of 48 h asks for the body's retention.
const RULE_H: f64 = 48.0;

/// The plan with what the images show, and notes on where each number comes from.
pub(super) fn complete(plan: &Plan, computed: &[CycleDoses]) -> (Plan, Vec<String>) {
    let mut plan = plan.clone();
    let mut notes = Vec::new();
    let Some(rule) = plan.parameters.prescription.rule() else { return (plan, notes) };
    let measured = &mut plan.measured;
    match rule {
        Rule::WholeBody(_) | Rule::SurfaceSeeker(_) => counts(measured, computed, &mut notes),
        Rule::Thyroid(_) => {
            retention(measured, computed, &mut notes);
            coefficients(measured, computed, None, &mut notes);
        }
        Rule::ReducedTotal(_) => {
            let own = plan.radiopharmaceutical.as_str();
            coefficients(measured, computed, Some((own, &plan.cycles)), &mut notes);
        }
        Rule::TwoAgents(_) => coefficients(measured, computed, None, &mut notes),
        Rule::Surrogate(rule) => biology(measured, computed, &rule.organ, &mut notes),
        Rule::Glass(_) | Rule::ResinBsa(_) | Rule::ResinPartition(_) => {
            liver(measured, computed, &mut notes);
        }
        Rule::Fixed(_) | Rule::FixedNumber(_) => {}
    }
    (plan, notes)
}

/// Whole-body counts of the first cycle that was scanned so.
fn counts(measured: &mut Measured, computed: &[CycleDoses], notes: &mut Vec<String>) {
    if !measured.whole_body_counts.is_empty() {
        return;
    }
    let Some(cycle) = computed.iter().find(|cycle| !cycle.whole_body_counts.is_empty()) else {
        return;
    };
    measured.whole_body_counts.clone_from(&cycle.whole_body_counts);
    notes.push(format!("whole-body counts are those of the views of cycle {}", cycle.cycle));
}

/// Residence in the body and retention at 48 h, held against the first scan.
fn retention(measured: &mut Measured, computed: &[CycleDoses], notes: &mut Vec<String>) {
    if measured.whole_body_residence_h.is_some() || measured.retention_48_h.is_some() {
        return;
    }
    let mut counts = computed.iter().filter(|cycle| cycle.whole_body_counts.len() > 1);
    let Some(cycle) = counts.next() else { return };
    let points = match body::retained(&cycle.whole_body_counts) {
        Ok(points) => points,
        Err(why) => {
            notes.push(format!(
                "cycle {}: no residence in the body by its views: {why}",
                cycle.cycle
            ));
            return;
        }
    };
    let Ok(tau) = residence_time(&points) else { return };
    measured.whole_body_residence_h = Some(tau.hours());
    notes.push(format!(
        "residence in the body {:.2} h by {} scans of cycle {}, the first as 100 %",
        tau.hours(),
        points.len() + 1,
        cycle.cycle
    ));
    let at_48_h = at(&points, Seconds::from_hours(RULE_H));
    measured.retention_48_h = at_48_h;
    notes
        .extend(at_48_h.map(|r| format!("retention at {RULE_H} h {:.2} % by the same", 100.0 * r)));
}

/// Between its neighbours as an exponential; none beyond the last point.
fn at(points: &[(Seconds, f64)], time: Seconds) -> Option<f64> {
    let mut before = (0.0, 0.0);
    for (later, part) in points {
        let next = (later.value(), part.ln());
        if time.value() <= next.0 {
            let share = (time.value() - before.0) / (next.0 - before.0);
            return Some((before.1 + share * (next.1 - before.1)).exp());
        }
        before = next;
    }
    None
}

/// Dose per activity of every region: of tracers, and of the plan's own agent where that is asked for.
/// The last cycle counts.
fn coefficients(
    measured: &mut Measured,
    computed: &[CycleDoses],
    own: Option<(&str, &[crate::config::Cycle])>,
    notes: &mut Vec<String>,
) {
    let stated = measured.coefficients.clone();
    let is_stated = |drug: &str, region: &str| {
        stated.iter().any(|c| {
            c.region == region && c.radiopharmaceutical.as_deref().is_none_or(|own| own == drug)
        })
    };
    for region in computed.iter().rev().flat_map(|cycle| &cycle.regions) {
        let Some((drug, per_gbq, u)) = coefficient(region, own) else { continue };
        let same = |c: &Coefficient| {
            c.region == region.region && c.radiopharmaceutical.as_deref() == Some(drug)
        };
        if is_stated(drug, &region.region) || measured.coefficients.iter().any(same) {
            continue;
        }
        measured.coefficients.push(Coefficient {
            region: region.region.clone(),
            radiopharmaceutical: Some(drug.to_owned()),
            gy_per_gbq: per_gbq.value(),
            lesion: is_lesion(&region.region),
            mass_g: region.seen.mass.map(|mass| mass.value()),
            bone: holds_word(&region.region, &["bone"]),
        });
        let known = u.map_or(String::new(), |u| format!(" (u {:.0} %)", 100.0 * u));
        notes.push(format!(
            "{}: {:.4} Gy/GBq{known} of {drug} by the images of cycle {}",
            region.region,
            per_gbq.value(),
            region.cycle
        ));
    }
}

/// The agent, dose of 1 GBq and its relative uncertainty.
fn coefficient<'a>(
    region: &'a RegionDose,
    own: Option<(&'a str, &[crate::config::Cycle])>,
) -> Option<(&'a str, Gray, Option<f64>)> {
    if let Some(therapy) = &region.seen.therapy {
        let drug = therapy.radiopharmaceutical.as_str();
        return Some((drug, therapy.dose_per_gbq, therapy.relative_uncertainty));
    }
    let (drug, cycles) = own?;
    let cycle = cycles.iter().find(|c| c.number == region.cycle && c.tracer.is_none())?;
    let per_gbq = region.dose / cycle.administered.activity.gbq();
    Some((drug, per_gbq, region.relative_uncertainty))
}

/// Biological curve and mass of the organ of the rule, where one region is that organ.
fn biology(measured: &mut Measured, computed: &[CycleDoses], organ: &str, notes: &mut Vec<String>) {
    let named = |region: &&RegionDose| region.region.to_lowercase() == organ;
    let regions = computed.iter().rev().flat_map(|cycle| &cycle.regions);
    let mut seen = regions.filter(named).filter_map(|region| {
        let therapy: &SeenTherapy = region.seen.therapy.as_ref()?;
        (!therapy.biological.is_empty()).then_some((region, therapy))
    });
    let Some((region, therapy)) = seen.next() else { return };
    if measured.biological_curve.is_empty() {
        let term = |(fraction, rate): &(f64, crate::quantity::PerSecond)| BiologicalTerm {
            fraction: *fraction,
            half_life_h: rate.half_life().hours(),
        };
        measured.biological_curve = therapy.biological.iter().map(term).collect();
        notes.push(format!(
            "the biological curve of {} is that of the images of cycle {}",
            region.region, region.cycle
        ));
    }
    if let (None, Some(mass)) = (measured.organ_mass_g, region.seen.mass) {
        measured.organ_mass_g = Some(mass.value());
        notes.push(format!(
            "{} weighs {:.0} g by the images of cycle {}",
            region.region,
            mass.value(),
            region.cycle
        ));
    }
}

/// Activities and masses of tumour, perfused normal liver and lungs, of the first cycle that shows them.
///
/// The tumour is the one region named as a lesion; normal liver the one whose name holds `liver` and
/// `normal` or `perfused`; a region of the `liver` that is `unperfused` is the reserve.
fn liver(measured: &mut Measured, computed: &[CycleDoses], notes: &mut Vec<String>) {
    let word = |region: &RegionDose, words: &[&str]| holds_word(&region.region, words);
    for cycle in computed {
        let of = |is: &dyn Fn(&RegionDose) -> bool| {
            let found: Vec<&RegionDose> = cycle.regions.iter().filter(|r| is(r)).collect();
            found
        };
        let tumours = of(&|r| is_lesion(&r.region));
        let normal = of(&|r| {
            !is_lesion(&r.region) && word(r, &["liver"]) && word(r, &["normal", "perfused"])
        });
        let ([tumour], [normal]) = (&tumours[..], &normal[..]) else {
            if tumours.len() > 1 && normal.len() == 1 {
                notes.push(format!(
                    "cycle {} shows {} tumours, and the rule is of one: name the index tumour alone as a \
                     lesion, or state measured.liver",
                    cycle.cycle,
                    tumours.len()
                ));
            }
            continue;
        };
        let all = measured.liver.get_or_insert_with(LiverMeasured::default);
        let mut filled = Vec::new();
        let mass = |region: &RegionDose| region.seen.mass.map(|mass| mass.value());
        filled.extend(fill("mass of the tumour", &mut all.tumour_mass_g, mass(tumour)));
        filled.extend(fill("mass of the normal liver", &mut all.normal_mass_g, mass(normal)));
        let share = |region: &RegionDose| region.seen.tomographic.map(|a| a.mbq());
        // Two parts of one ratio: from one source or from none.
        if let (None, None, Some(t), Some(n)) =
            (all.tumour_counts, all.normal_counts, share(tumour), share(normal))
        {
            (all.tumour_counts, all.normal_counts) = (Some(t), Some(n));
            filled.push("shares of tumour and normal liver");
        }
        let lungs = of(&|r| !is_lesion(&r.region) && word(r, &["lung", "lungs"]));
        let liver = [*tumour, *normal];
        let by_views = shunt(&lungs, &liver, |region| region.seen.planar);
        filled.extend(fill("lung shunt by planar views", &mut all.lung_shunt, by_views));
        // The regimes prescribe by planar views, and a SPECT seldom holds the lungs whole.
        if let (None, Some(part)) =
            (all.lung_shunt, shunt(&lungs, &liver, |region| region.seen.tomographic))
        {
            notes.push(format!(
                "cycle {}: lung shunt {:.2} % by what the SPECT holds of the lungs; not used, the rule is of planar \
                 views",
                cycle.cycle,
                100.0 * part
            ));
        }
        let unperfused = of(&|r| word(r, &["liver"]) && word(r, &["unperfused"]));
        if let [unperfused] = unperfused[..] {
            let ml = |region: &RegionDose| region.seen.volume.map(|volume| volume.value());
            let reserve = ml(unperfused).zip(ml(tumour)).zip(ml(normal));
            let reserve = reserve.map(|((u, t), n)| u / (u + t + n));
            filled.extend(fill("hepatic reserve", &mut all.hepatic_reserve, reserve));
        }
        if !filled.is_empty() {
            notes.push(format!("by the images of cycle {}: {}", cycle.cycle, filled.join(", ")));
        }
        return;
    }
}

/// Names what an empty place was filled with.
fn fill(what: &'static str, slot: &mut Option<f64>, value: Option<f64>) -> Option<&'static str> {
    let empty = slot.is_none();
    *slot = slot.or(value);
    (empty && slot.is_some()).then_some(what)
}

/// Lungs over lungs and liver, as one kind of image shows them.
fn shunt(
    lungs: &[&RegionDose],
    liver: &[&RegionDose],
    pick: fn(&RegionDose) -> Option<Becquerel>,
) -> Option<f64> {
    let sum = |regions: &[&RegionDose]| -> Option<f64> {
        regions.iter().map(|region| Some(pick(region)?.mbq())).sum()
    };
    let (lungs, liver) = (sum(lungs).filter(|_| !lungs.is_empty())?, sum(liver)?);
    (lungs + liver > 0.0).then(|| lungs / (lungs + liver))
}

#[cfg(test)]
mod tests {
    use super::super::{Course, Seen, evaluate, from_results};
    use super::*;
    use crate::config::Protocols;
    use crate::config::plan::WholeBodyCount;
    use crate::quantity::Gram;

    fn plan(text: &str) -> Plan {
        let text = format!("patient: {{ id: P-1 }}\n{text}");
        Plan::read("p.yaml", &text, &Protocols::load(None).unwrap()).unwrap()
    }

    fn tracer(number: u32, drug: &str, stands_for: &str) -> String {
        format!(
            "  - {{ number: {number}, tracer: {{ radiopharmaceutical: {drug}, stands_for: {stands_for} }}, \
             administered: {{ activity_mbq: 185, at: 2026-03-02T10:00:00Z }} }}\n"
        )
    }

    fn region(cycle: u32, name: &str, seen: Seen) -> RegionDose {
        RegionDose {
            cycle,
            region: name.into(),
            dose: Gray::new(0.1),
            bed: None,
            relative_uncertainty: Some(0.1),
            effective_half_life: None,
            single_time_point: false,
            seen,
        }
    }

    fn therapy(drug: &str, gy: f64, biological: Vec<(f64, f64)>) -> Seen {
        let rate = |(f, hours)| (f, Seconds::from_hours(hours).half_life_to_rate());
        Seen {
            therapy: Some(SeenTherapy {
                radiopharmaceutical: drug.into(),
                dose_per_gbq: Gray::new(gy),
                relative_uncertainty: Some(0.12),
                biological: biological.into_iter().map(rate).collect(),
            }),
            ..Seen::default()
        }
    }

    fn cycle(number: u32, regions: Vec<RegionDose>) -> CycleDoses {
        CycleDoses { cycle: number, regions, whole_body_counts: Vec::new() }
    }

    #[track_caller]
    fn proposed(course: &Course, gbq: f64, relative: f64) {
        let found = course.proposal.as_ref().unwrap_or_else(|| panic!("{:?}", course.holds));
        let found = found.unrounded.gbq();
        assert!((found / gbq - 1.0).abs() < relative, "{found} is not {gbq}");
    }

    #[test]
    fn v21_two_tracers_imaged_at_once_share_the_limits() {
        let text = format!(
            "protocol: combo-lp\ncycles:\n{}{}",
            tracer(1, "111In-octreotide", "90Y-DOTATOC"),
            tracer(2, "131I-MIBG", "131I-MIBG")
        );
        let plan = plan(&text);
        let of = |n, drug: &str, k: f64, m: f64, t: f64| {
            let regions = [("Kidney Left", k - 0.1), ("Kidney Right", k + 0.1), ("red marrow", m)];
            let regions = regions.into_iter().chain([("Lesion 1", t)]);
            cycle(n, regions.map(|(name, d)| region(n, name, therapy(drug, d, vec![]))).collect())
        };
        let yttrium = of(1, "90Y-DOTATOC", 2.5, 0.05, 5.0);
        let iodine = of(2, "131I-MIBG", 0.30, 0.065, 1.2);
        let alone = evaluate(&plan, std::slice::from_ref(&yttrium)).unwrap();
        assert_eq!(alone.holds[0].code, "input-missing", "one agent is not imaged yet");
        let course = evaluate(&plan, &[yttrium, iodine]).unwrap();
        let proposal = course.proposal.as_ref().unwrap();
        // Left and right count by their mean: 2.5 and 0.30 Gy/GBq.
        for (allowed, gbq) in proposal.allowed.iter().zip([5.3220, 18.983]) {
            assert!((allowed.activity.gbq() / gbq - 1.0).abs() < 5e-5, "{allowed:?}");
        }
        assert!(course.notes.iter().any(|n| n.contains("Gy/GBq (u 12 %) of 131I-MIBG")));
        // A tracer's own dose counts toward no limit of the plan's agent but is in the ledger.
        assert!(course.ledger.entries.iter().any(|e| e.radiopharmaceutical == "111In-octreotide"));
    }

    #[test]
    fn v42_zevalin_by_the_liver_in_the_tracer_s_images() {
        let text = format!(
            "protocol: y90-zevalin-liver\npatient_facts: {{ sex: M, weight_kg: 75 }}\ncycles:\n{}",
            tracer(1, "111In-ibritumomab", "90Y-ibritumomab")
        );
        let seen = Seen {
            mass: Some(Gram::new(1700.0)),
            ..therapy("90Y-ibritumomab", 3.4, vec![(0.18, 150.0)])
        };
        let computed = cycle(1, vec![region(1, "Liver", seen)]);
        // The half-life in use is the evaluated one, 0.1 % from the printed.
        proposed(&evaluate(&plan(&text), &[computed]).unwrap(), 6.7067, 2e-3);
    }

    #[test]
    fn v1_glass_by_images_of_albumin() {
        let text = format!(
            "protocol: y90-glass-dosisphere\npatient_facts: {{ bilirubin_umol_l: 10 }}\nmeasured: {{ liver: \
             {{ hepatic_reserve: 0.4 }} }}\ncycles:\n{}",
            tracer(1, "99mTc-MAA", "90Y-glass-microspheres")
        );
        let plan = plan(&text);
        let seen = |g: f64, mbq: f64, planar: Option<f64>| Seen {
            mass: Some(Gram::new(g)),
            tomographic: Some(Becquerel::from_mbq(mbq)),
            planar: planar.map(Becquerel::from_mbq),
            ..Seen::default()
        };
        let computed = |planar: bool, tumours: &[&str]| {
            let view = |mbq: f64| planar.then_some(mbq);
            let mut regions = vec![
                region(1, "Liver normal", seen(600.0, 30.0, view(38.0))),
                region(1, "Lung Left", seen(400.0, 1.0, view(2.0))),
                region(1, "Lung Right", seen(500.0, 1.0, view(3.0))),
            ];
            let tumour = |name: &&str| region(1, name, seen(500.0, 70.0, view(57.0)));
            regions.extend(tumours.iter().map(tumour));
            vec![cycle(1, regions)]
        };
        // Shunt 5 / 100 by the views; the tomographic 2 / 102 is not used.
        proposed(&evaluate(&plan, &computed(true, &["Tumour"])).unwrap(), 3.7974, 5e-5);
        let spect = evaluate(&plan, &computed(false, &["Tumour"])).unwrap();
        assert_eq!(spect.holds[0].code, "input-missing", "no shunt is prescribed by");
        assert!(spect.notes.iter().any(|n| n.contains("lung shunt 1.96 %")), "{:?}", spect.notes);
        let two = evaluate(&plan, &computed(true, &["Tumour 1", "Tumour 2"])).unwrap();
        assert_eq!(two.holds[0].code, "input-missing");
        assert!(two.notes.iter().any(|n| n.contains("shows 2 tumours")));
    }

    #[test]
    fn v9_mibg_by_doses_of_its_own_tracer_and_what_the_plan_states() {
        let text = "protocol: i131-mibg-azedra\npatient_facts: { weight_kg: 75 }\ncycles: [{ number: 1, \
                    administered: { activity_mbq: 200, at: 2026-03-02T10:00:00Z } }]\nmeasured:\n  \
                    coefficients: [{ region: red marrow, gy_per_gbq: 0.1 }, { region: small intestine, \
                    gy_per_gbq: 0.1 }]\n";
        let dose = |name: &str, gy: f64| RegionDose {
            dose: Gray::new(gy),
            ..region(1, name, Seen::default())
        };
        let regions = vec![
            dose("Kidney Left", 0.72973 * 0.2),
            dose("Liver", 0.02),
            dose("Lung Left", 0.02),
            dose("red marrow", 99.0),
        ];
        let course = evaluate(&plan(text), &[cycle(1, regions)]).unwrap();
        proposed(&course, 12.333, 5e-5);
    }

    #[test]
    fn thyroid_by_scans_of_the_whole_body() {
        let text = "protocol: i131-dtc-blood\npatient_facts: { sex: F, height_cm: 160, weight_kg: 58 }\n\
                    cycles: [{ number: 1, administered: { activity_mbq: 74, at: 2026-03-02T10:00:00Z } }]\n";
        let tau = 21.925;
        let count = |hours: f64| {
            let counts = 1e5 * (-(hours - 2.0) / tau).exp();
            WholeBodyCount {
                hours,
                anterior: counts,
                posterior: counts,
                anterior_background: 0.0,
                posterior_background: 0.0,
            }
        };
        let scans = |hours: &[f64]| CycleDoses {
            cycle: 1,
            whole_body_counts: hours.iter().map(|h| count(*h)).collect(),
            ..CycleDoses::default()
        };
        let plan = plan(text);
        proposed(&evaluate(&plan, &[scans(&[2.0, 24.0, 48.0, 72.0])]).unwrap(), 16.224, 5e-5);
        let (complete, notes) = complete(&plan, &[scans(&[2.0, 24.0, 72.0])]);
        let retention = complete.measured.retention_48_h.unwrap();
        assert!((retention / (-48.0 / tau).exp() - 1.0).abs() < 1e-9, "{retention}");
        assert!(notes[0].contains("21.93 h by 3 scans"), "{notes:?}");
        let (short, _) = super::complete(&plan, &[scans(&[2.0, 24.0])]);
        assert_eq!(short.measured.retention_48_h, None, "48 h lie beyond the last scan");
        let (late, notes) = super::complete(&plan, &[scans(&[24.0, 48.0, 72.0])]);
        assert_eq!(late.measured.whole_body_residence_h, None);
        assert!(notes[0].contains("the first whole-body count is at 24 h"), "{notes:?}");
        let one = evaluate(&plan, &[scans(&[2.0])]).unwrap();
        assert_eq!(one.holds[0].code, "input-missing");
    }

    #[test]
    fn what_a_tracer_saw_is_read_back_from_its_result() {
        let text = format!(
            "protocol: y90-zevalin-liver\npatient_facts: {{ sex: M, weight_kg: 75 }}\ncycles:\n{}",
            tracer(1, "111In-ibritumomab", "90Y-ibritumomab")
        );
        let plan = plan(&text);
        let mut results = serde_json::json!({
            "patient_id": "P-1", "radiopharmaceutical": "111In-ibritumomab", "cycle": 1,
            "time_points": [{ "planar": true }, { "planar": false }],
            "whole_body_counts": [{ "hours": 1.0, "anterior": 10.0, "posterior": 9.0 }],
            "regions": [{
                "name": "Liver", "absorbed_dose_gy": { "mean": 0.1 }, "mass_g": 1700.0,
                "activity_mbq": [{ "value": 40.0 }, { "value": 41.0 }],
                "therapy": { "radiopharmaceutical": "90Y-ibritumomab", "gy_per_gbq": 3.4,
                    "biological": [{ "fraction": 0.18, "rate_per_h": 0.004620981 }] },
            }],
        });
        let doses = from_results(&results, &plan).unwrap();
        assert_eq!(doses.whole_body_counts.len(), 1);
        let seen = &doses.regions[0].seen;
        assert_eq!(seen.planar, Some(Becquerel::from_mbq(40.0)));
        assert_eq!(seen.tomographic, Some(Becquerel::from_mbq(41.0)));
        proposed(&evaluate(&plan, &[doses]).unwrap(), 6.7067, 2e-3);
        results["radiopharmaceutical"] = "90Y-ibritumomab".into();
        assert!(from_results(&results, &plan).unwrap_err().contains("radiopharmaceutical"));
    }
}
