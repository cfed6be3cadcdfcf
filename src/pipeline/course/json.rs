//! A course for scripts and for a terminal; every number in the unit that its name says.

use super::{Course, CycleDoses, RegionDose, Seen, SeenTherapy};
use crate::config::Plan;
use crate::prescribe::Verdict;
use crate::quantity::{Becquerel, BecquerelSecond, Gram, Gray, Millilitre, PerSecond, Seconds};
use crate::uncertainty::probability_above;
use serde_json::{Value, json};

fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

fn mbq(activity: Becquerel) -> Option<f64> {
    finite(activity.mbq())
}

fn gy(dose: Gray) -> Option<f64> {
    finite(dose.value())
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Proposed => "proposed",
        Verdict::Stop => "stop",
        Verdict::Hold => "hold",
        Verdict::TargetNotMet => "target-not-met",
    }
}

/// `prescription` of `results.json` and of `grayd prescribe --json`.
pub fn write(course: &Course) -> Value {
    let ledger: Vec<Value> = course
        .ledger
        .entries
        .iter()
        .map(|e| {
            json!({
                "cycle": e.cycle, "tissue": e.region,
                "radiopharmaceutical": e.radiopharmaceutical,
                "activity_mbq": e.activity.and_then(mbq),
                "absorbed_dose_gy": gy(e.dose), "bed_gy": e.bed.and_then(gy),
                "uncertainty": e.random,
                "effective_half_life_h": e.effective_half_life.map(|t| t.hours()),
                "half_life_source": e.half_life_source, "method": e.method,
            })
        })
        .collect();
    let tissues: Vec<Value> = course
        .tissues
        .iter()
        .map(|t| {
            let total = t.total.as_ref();
            let dose = total.map(|t| t.dose);
            let bed = total.and_then(|t| t.bed);
            let left = |limit: Option<Gray>, so_far: Option<Gray>| {
                limit.zip(so_far).and_then(|(limit, so_far)| gy(limit - so_far))
            };
            let u = total.and_then(|total| total.uncertainty);
            let above = dose.zip(u).zip(t.dose_limit).and_then(|((dose, u), limit)| {
                probability_above(dose.value(), u.value(), limit.value())
            });
            json!({
                "tissue": t.name,
                "dose_limit_gy": t.dose_limit.and_then(gy), "bed_limit_gy": t.bed_limit.and_then(gy),
                "absorbed_dose_gy": dose.and_then(gy), "bed_gy": bed.and_then(gy),
                "uncertainty_gy": u.and_then(gy), "probability_above_dose_limit": above,
                "remaining_dose_gy": left(t.dose_limit, dose),
                "remaining_bed_gy": left(t.bed_limit, bed),
                "gy_per_gbq": total.and_then(|t| t.last_coefficient).map(|d| d.gy_per_gbq()),
            })
        })
        .collect();
    json!({
        "state": course.state.name(),
        "next_cycle": course.next_cycle,
        "proposal": course.proposal.as_ref().map(|p| json!({
            "verdict": verdict(p.verdict),
            "activity_mbq": p.activity.and_then(mbq),
            "unrounded_mbq": mbq(p.unrounded),
            "limiting": p.limiting,
            "constraints": p.allowed.iter().map(|a| json!({
                "name": a.name, "activity_mbq": mbq(a.activity),
                "limit_gy": a.limit.and_then(gy), "after_gy": a.after.and_then(gy),
            })).collect::<Vec<_>>(),
            "notes": p.notes,
        })),
        "another_cycle": course.decision.as_ref().map(|d| json!({
            "may_be_given": d.may_be_given, "because": d.because,
        })),
        "holds": course.holds,
        "notes": course.notes,
        "tissues": tissues,
        "ledger": ledger,
        "fixed_regime": course.fixed_regime.iter().map(|f| json!({
            "tissue": f.tissue, "activity_mbq": mbq(f.activity), "cycles": f.cycles,
            "absorbed_dose_gy": gy(f.dose), "limit_gy": f.limit.and_then(gy),
        })).collect::<Vec<_>>(),
        "vials": course.vials.iter().map(|v| json!({
            "vial_mbq": mbq(v.vial), "slot_h": v.slot.hours(), "activity_mbq": mbq(v.activity),
            "deviation": v.deviation, "exact_at_h": v.exact_at.hours(),
            "within_tolerance": v.within_tolerance,
        })).collect::<Vec<_>>(),
        "unconfirmed": course.unconfirmed,
        "signed_by": course.signature.as_ref().map(|signature| &signature.by),
        "signature": course.signature.as_ref().map(|signature| json!({
            "cycle": signature.cycle, "by": signature.by,
            "at": signature.at.map(|at| at.to_string()),
            // Who names none signs what is proposed.
            "activity_mbq": signature.activity_mbq.or_else(|| {
                course.proposal.as_ref().and_then(|proposal| proposal.activity).and_then(mbq)
            }),
        })),
        "is": "a proposal; a named person decides",
    })
}

/// The same for people, one fact a line.
pub fn lines(course: &Course) -> Vec<String> {
    let mut lines = vec![format!("state {}", course.state.name())];
    for e in &course.ledger.entries {
        let given = e.activity.map_or(String::new(), |a| format!(" {:.0} MBq", a.mbq()));
        let bed = e.bed.map_or(String::new(), |bed| format!(", BED {:.3} Gy", bed.value()));
        lines.push(format!(
            "cycle {} {}{given}: {} {:.3} Gy{bed} ({})",
            e.cycle,
            e.radiopharmaceutical,
            e.region,
            e.dose.value(),
            e.method
        ));
    }
    for t in &course.tissues {
        let Some(total) = &t.total else {
            lines.push(format!("{}: nothing measured", t.name));
            continue;
        };
        let u = total.uncertainty.map_or(String::new(), |u| format!(" ± {:.3}", u.value()));
        for (what, limit, so_far) in
            [("dose", t.dose_limit, Some(total.dose)), ("BED", t.bed_limit, total.bed)]
        {
            let (Some(limit), Some(so_far)) = (limit, so_far) else { continue };
            lines.push(format!(
                "{}: {what} {:.3}{} of {} Gy, {:.3} Gy left",
                t.name,
                so_far.value(),
                if what == "dose" { u.as_str() } else { "" },
                limit.value(),
                limit.value() - so_far.value()
            ));
        }
    }
    if let Some(p) = &course.proposal {
        let activity = p
            .activity
            .map_or_else(|| "none".to_owned(), |activity| format!("{:.0} MBq", activity.mbq()));
        lines.push(format!(
            "cycle {}: {} {activity} (unrounded {:.1} MBq), limiting: {}",
            course.next_cycle,
            verdict(p.verdict),
            p.unrounded.mbq(),
            p.limiting
        ));
        for a in &p.allowed {
            let after = a.after.map_or(String::new(), |gy| format!(", then {:.3} Gy", gy.value()));
            lines.push(format!("  {} allows {:.1} MBq{after}", a.name, a.activity.mbq()));
        }
        lines.extend(p.notes.iter().map(|note| format!("  {note}")));
    }
    for f in &course.fixed_regime {
        lines.push(format!(
            "fixed regime, {} x {:.0} MBq: {} {:.3} Gy",
            f.cycles,
            f.activity.mbq(),
            f.tissue,
            f.dose.value()
        ));
    }
    for v in course.vials.iter().filter(|v| v.within_tolerance) {
        lines.push(format!(
            "vial {} GBq at {} h: {:.4} GBq ({:+.1} %)",
            v.vial.gbq(),
            v.slot.hours(),
            v.activity.gbq(),
            100.0 * v.deviation
        ));
    }
    lines.extend(course.holds.iter().map(|hold| format!("HOLD {}: {}", hold.code, hold.reason)));
    lines.extend(course.notes.iter().map(|note| format!("note: {note}")));
    let unconfirmed = course.unconfirmed.iter();
    lines.extend(unconfirmed.map(|key| format!("parameter not confirmed: {key} (provenance M)")));
    if let Some(signature) = &course.signature {
        let at = signature.at.map(|at| format!(", {at}")).unwrap_or_default();
        lines.push(format!("signed by {}{at}", signature.by));
    }
    lines.push("A proposal. A named person decides.".into());
    lines
}

/// Doses of a `results.json`, for courses whose cycles were computed before.
///
/// # Errors
/// Results of another patient or radiopharmaceutical, of no cycle of the plan, or without regions.
pub fn from_results(results: &Value, plan: &Plan) -> Result<CycleDoses, String> {
    let same = |key: &str, own: &str| match results[key].as_str() {
        Some(text) if text == own => Ok(()),
        _ => Err(format!("its {key} is not the plan's")),
    };
    same("patient_id", &plan.patient.id)?;
    let cycle = results["cycle"].as_u64().and_then(|cycle| u32::try_from(cycle).ok());
    let cycle = cycle.filter(|cycle| plan.cycle(*cycle).is_some());
    let cycle = cycle.ok_or("its cycle is none of the plan's")?;
    same("radiopharmaceutical", plan.radiopharmaceutical_of(cycle))?;
    let regions = results["regions"].as_array().ok_or("it has no regions")?;
    let regions = regions.iter().filter(|region| region["made"]["within"].is_null());
    Ok(CycleDoses {
        cycle,
        regions: regions.filter_map(|region| region_dose(region, cycle, results)).collect(),
        // Absent in results of versions that knew none.
        whole_body_counts: serde_json::from_value(results["whole_body_counts"].clone())
            .unwrap_or_default(),
    })
}

fn region_dose(region: &Value, cycle: u32, results: &Value) -> Option<RegionDose> {
    let number = |value: &Value| value.as_f64();
    let points = results["time_points"].as_array().map_or(&[][..], Vec::as_slice);
    let activities = region["activity_mbq"].as_array().map_or(&[][..], Vec::as_slice);
    let first = |planar: bool| {
        let points = points.iter().zip(activities);
        let mut points = points.filter(|(p, _)| p["planar"].as_bool().unwrap_or(false) == planar);
        points.find_map(|(_, activity)| number(&activity["value"])).map(Becquerel::from_mbq)
    };
    Some(RegionDose {
        cycle,
        region: region["name"].as_str()?.to_owned(),
        dose: Gray::new(number(&region["absorbed_dose_gy"]["mean"])?),
        bed: number(&region["bed_gy"]).map(Gray::new),
        relative_uncertainty: number(&region["uncertainty"]),
        effective_half_life: number(&region["effective_half_life_h"]).map(Seconds::from_hours),
        single_time_point: points.len() < 2,
        seen: Seen {
            mass: number(&region["mass_g"]).map(Gram::new),
            volume: number(&region["volume_ml"]).map(Millilitre::new),
            decays: number(&region["tia_mbq_h"]).map(BecquerelSecond::from_mbq_h),
            planar: first(true),
            tomographic: first(false),
            therapy: therapy(&region["therapy"]),
        },
    })
}

fn therapy(value: &Value) -> Option<SeenTherapy> {
    let terms = value["biological"].as_array()?.iter();
    let term = |term: &Value| {
        let rate = PerSecond::new(term["rate_per_h"].as_f64()? / 3600.0);
        Some((term["fraction"].as_f64()?, rate))
    };
    Some(SeenTherapy {
        radiopharmaceutical: value["radiopharmaceutical"].as_str()?.to_owned(),
        dose_per_gbq: Gray::new(value["gy_per_gbq"].as_f64()?),
        relative_uncertainty: value["uncertainty"].as_f64(),
        biological: terms.map(term).collect::<Option<_>>()?,
    })
}
