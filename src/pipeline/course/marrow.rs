//! Marrow dose by blood, of cycles whose marrow limit nobody measured otherwise.
//!
//! From the residence in blood, the body's own, and the organs that were dosed, by the S values of the
//! reference adult (`biology::marrow`). Where the marrow was seen in images too the larger dose counts, as
//! the value to be safe by.

use super::single::adult;
use super::{CycleDoses, RegionDose, Seen, blood, body};
use crate::biology::marrow::{MarrowSources, marrow_dose, marrow_to_blood_ratio};
use crate::config::protocol::{Limit, Marrow};
use crate::config::{Cycle, Plan};
use crate::prescribe::residence_time;
use crate::quantity::{BecquerelSecond, Gram, Seconds};

const MARROW: &str = "red marrow";
/// Organs of the S values whose decays are taken out of the remainder, with words of their regions.
const ORGANS: [(&str, &[&str]); 3] =
    [("kidneys", &["kidney", "kidneys"]), ("liver", &["liver"]), ("spleen", &["spleen"])];

/// Replaces or adds the marrow of every cycle that blood tells about; notes say what was done or what lacks.
pub(super) fn add(plan: &Plan, computed: &mut Vec<CycleDoses>) -> Vec<String> {
    let mut notes = Vec::new();
    let Some(settings) = &plan.parameters.biology.marrow else { return notes };
    let blood = match residence_in_blood(plan) {
        Ok(None) => return notes,
        Ok(Some((blood, how))) => {
            notes.extend(how);
            blood
        }
        Err(why) => {
            notes.push(format!("no marrow dose by blood: {why}"));
            return notes;
        }
    };
    let limits = &plan.parameters.limits.0;
    let Some((tissue, limit)) = limits.iter().find(|(_, limit)| limit.covers(MARROW)) else {
        return notes;
    };
    for cycle in plan.own_cycles() {
        let stated = plan.measured.doses.iter().any(|dose| {
            dose.cycle == cycle.number
                && dose.radiopharmaceutical.is_none()
                && (dose.region == *tissue || limit.covers(&dose.region))
        });
        if stated {
            continue;
        }
        let doses = computed.iter().position(|doses| doses.cycle == cycle.number);
        let seen = doses.map(|at| &computed[at]);
        match by_blood(plan, cycle, seen, settings, blood) {
            Err(why) => {
                notes.push(format!("cycle {}: no marrow dose by blood: {why}", cycle.number))
            }
            Ok((dose, note)) => {
                notes.push(note);
                let at = doses.unwrap_or_else(|| {
                    computed.push(CycleDoses { cycle: cycle.number, ..CycleDoses::default() });
                    computed.len() - 1
                });
                notes.extend(keep_larger(&mut computed[at].regions, limit, dose));
            }
        }
    }
    notes
}

/// In 1 mL: as the plan states it, else by its samples, with notes on how.
fn residence_in_blood(plan: &Plan) -> Result<Option<(Seconds, Vec<String>)>, String> {
    if let Some(hours) = plan.measured.blood_residence_h_per_ml {
        return Ok(Some((Seconds::from_hours(hours), Vec::new())));
    }
    let found = blood::residence(plan).map_err(|error| error.to_string())?;
    Ok(found.map(|found| (found.per_ml, found.notes)))
}

/// The larger of the marrow by blood and by images.
fn keep_larger(
    regions: &mut Vec<RegionDose>,
    limit: &Limit,
    by_blood: RegionDose,
) -> Option<String> {
    let imaged = regions.iter().filter(|region| limit.covers(&region.region));
    let imaged = imaged.max_by(|a, b| a.dose.value().total_cmp(&b.dose.value()));
    let note = imaged.map(|imaged| {
        format!(
            "cycle {}: the marrow gets {:.4} Gy by images ({}) and {:.4} Gy by blood; the larger counts",
            by_blood.cycle,
            imaged.dose.value(),
            imaged.region,
            by_blood.dose.value()
        )
    });
    if imaged.is_none_or(|imaged| imaged.dose < by_blood.dose) {
        regions.retain(|region| !limit.covers(&region.region));
        regions.push(by_blood);
    }
    note
}

fn by_blood(
    plan: &Plan,
    cycle: &Cycle,
    doses: Option<&CycleDoses>,
    settings: &Marrow,
    blood: Seconds,
) -> Result<(RegionDose, String), String> {
    let facts = &plan.patient_facts;
    let adult = adult(plan).map_err(|error| error.to_string())?;
    let kg = facts.weight_kg.ok_or("add patient_facts.weight_kg")?;
    let ratio = match (&settings.marrow_to_blood, &settings.extracellular_fraction) {
        (Some(ratio), _) => ratio.value,
        (None, Some(fraction)) => {
            let haematocrit = facts.haematocrit.ok_or("add patient_facts.haematocrit")?;
            marrow_to_blood_ratio(fraction.value, haematocrit).map_err(|e| e.to_string())?
        }
        (None, None) => {
            return Err("the protocol states no concentration of marrow to blood".into());
        }
    };
    let administered = cycle.administered.activity;
    let residence = residence_in_body(plan, doses)?;
    let organs: Vec<(&str, BecquerelSecond)> =
        ORGANS.iter().filter_map(|(organ, words)| Some((*organ, decays(doses?, words)?))).collect();
    let sources = MarrowSources {
        nuclide: &plan.nuclide,
        adult,
        body_mass: Gram::new(kg * 1000.0),
        blood_per_g: administered.value() * blood.value() / settings.blood_g_per_ml.value,
        marrow_to_blood: ratio,
        whole_body: BecquerelSecond::new(administered.value() * residence.value()),
        organs: &organs,
    };
    let table = plan.parameters.biology.s_values();
    let parts = marrow_dose(&sources, &table).map_err(|error| error.to_string())?;
    let names: Vec<&str> = organs.iter().map(|(organ, _)| *organ).collect();
    let note = format!(
        "cycle {}: marrow {:.4} Gy by blood: itself {:.4}, {} {:.4}, rest of the body {:.4} (marrow to blood {ratio}, \
         residence in the body {:.2} h, S values of {})",
        cycle.number,
        parts.total().value(),
        parts.from_itself.value(),
        if names.is_empty() { "no organ".into() } else { names.join(" and ") },
        parts.from_organs.value(),
        parts.from_remainder.value(),
        residence.hours(),
        plan.parameters.biology.s_values_source()
    );
    let dose = RegionDose {
        cycle: cycle.number,
        region: MARROW.into(),
        dose: parts.total(),
        bed: None,
        // Of the whole body's counts nothing is known.
        relative_uncertainty: None,
        effective_half_life: None,
        single_time_point: false,
        seen: Seen::default(),
    };
    Ok((dose, note))
}

/// As the plan states it, else by the counts of its views: the first scan is 100 %.
fn residence_in_body(plan: &Plan, doses: Option<&CycleDoses>) -> Result<Seconds, String> {
    if let Some(hours) = plan.measured.whole_body_residence_h {
        return Ok(Seconds::from_hours(hours));
    }
    let imaged = doses.map(|doses| &doses.whole_body_counts).filter(|counts| !counts.is_empty());
    let counts = imaged.unwrap_or(&plan.measured.whole_body_counts);
    if counts.is_empty() {
        return Err("add measured.whole_body_residence_h or measured.whole_body_counts".into());
    }
    residence_time(&body::retained(counts)?).map_err(|error| error.to_string())
}

/// Decays in all regions of an organ; none where it was not dosed.
fn decays(doses: &CycleDoses, words: &[&str]) -> Option<BecquerelSecond> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let of = doses.regions.iter();
    let of = of.filter(|region| crate::config::protocol::covers(&words, &region.region));
    let all: Vec<f64> = of.filter_map(|r| Some(r.seen.decays?.value())).collect();
    (!all.is_empty()).then(|| BecquerelSecond::new(all.iter().sum()))
}

#[cfg(test)]
mod tests {
    use super::super::evaluate;
    use super::*;
    use crate::config::Protocols;
    use crate::quantity::Gray;

    fn plan(more: &str) -> Plan {
        let text = format!(
            "patient: {{ id: P-1 }}\nprotocol: lu177-uppsala\npatient_facts: {{ sex: M, weight_kg: 80 }}\ncycles: \
             [{{ number: 1, administered: {{ activity_mbq: 7400, at: 2026-03-02T10:00:00Z }} }}]\nmeasured: {{ {more} }}\n"
        );
        Plan::read("p.yaml", &text, &Protocols::load(None).unwrap()).unwrap()
    }

    fn organ(name: &str, mbq_h: f64) -> RegionDose {
        RegionDose {
            cycle: 1,
            region: name.into(),
            dose: Gray::new(3.0),
            bed: None,
            relative_uncertainty: None,
            effective_half_life: None,
            single_time_point: false,
            seen: Seen { decays: Some(BecquerelSecond::from_mbq_h(mbq_h)), ..Seen::default() },
        }
    }

    fn doses() -> CycleDoses {
        let regions = vec![
            organ("Kidney Left", 1.0e4),
            organ("Kidney Right", 0.9e4),
            organ("Liver", 3e4),
            organ("Liver lesion", 9e9),
            organ("Spleen", 1e4),
        ];
        CycleDoses { cycle: 1, regions, whole_body_counts: Vec::new() }
    }

    /// V35 of the specification: 1.2 MBq h/g in blood, 2.2e5 MBq h in the body: 58.126 + 6.9498 + 48.799 mGy.
    fn v35() -> String {
        let per_ml = 1.2 * 1.06 / 7400.0;
        format!("blood_residence_h_per_ml: {per_ml}, whole_body_residence_h: {}", 2.2e5 / 7400.0)
    }

    #[test]
    fn v35_marrow_of_a_cycle_by_blood_organs_and_the_rest() {
        let course = evaluate(&plan(&v35()), &[doses()]).unwrap();
        let marrow = course.ledger.entries.iter().find(|e| e.region == "red marrow").unwrap();
        assert!((marrow.dose.value() / 0.11387 - 1.0).abs() < 5e-4, "{marrow:?}");
        assert!(course.holds.is_empty(), "{:?}", course.holds);
        assert!(course.notes.iter().any(|n| n.contains("kidneys and liver and spleen 0.0069")));
    }

    #[test]
    fn the_larger_of_blood_and_image_counts_and_a_stated_dose_before_both() {
        let marrow = |doses: CycleDoses, more: &str| {
            let course = evaluate(&plan(&format!("{}{more}", v35())), &[doses]).unwrap();
            let found = course.ledger.entries.iter().filter(|e| e.region == "red marrow");
            let found: Vec<f64> = found.map(|e| e.dose.value()).collect();
            assert_eq!(found.len(), 1);
            found[0]
        };
        let seen = |gy: f64| {
            let mut doses = doses();
            let dose = Gray::new(gy);
            doses.regions.push(RegionDose { dose, ..organ("Red marrow L2-L4", 1.0) });
            doses
        };
        assert_eq!(marrow(seen(0.2), ""), 0.2);
        assert!((marrow(seen(0.05), "") / 0.11387 - 1.0).abs() < 5e-4);
        let stated = ", doses: [{ cycle: 1, region: red marrow, dose_gy: 0.3 }]";
        assert_eq!(marrow(doses(), stated), 0.3);
    }

    #[test]
    fn samples_of_blood_do_as_their_integral_does() {
        // 60 h of effective half-life, so 86.56 h per unit: the same residence in 1 mL.
        let per_ml: f64 = 1.2 * 1.06 / 7400.0;
        let amplitude = 100.0 * per_ml / (60.0 / std::f64::consts::LN_2);
        let sample = |hours: f64| {
            let percent = amplitude * (-std::f64::consts::LN_2 * hours / 60.0).exp();
            format!("{{ hours: {hours}, percent_per_ml: {percent:e} }}")
        };
        let samples: Vec<String> = [1.0, 4.0, 24.0, 72.0, 120.0].map(sample).to_vec();
        let more = format!(
            "blood_samples: [{}], whole_body_residence_h: {}",
            samples.join(", "),
            2.2e5 / 7400.0
        );
        let course = evaluate(&plan(&more), &[doses()]).unwrap();
        let marrow = course.ledger.entries.iter().find(|e| e.region == "red marrow").unwrap();
        assert!((marrow.dose.value() / 0.11387 - 1.0).abs() < 1e-3, "{marrow:?}");
        assert!(course.notes.iter().any(|n| n.contains("by 5 samples")), "{:?}", course.notes);
    }

    #[test]
    fn what_blood_alone_lacks_is_said_and_the_limit_holds() {
        let course = evaluate(&plan("blood_residence_h_per_ml: 1.0e-4"), &[doses()]).unwrap();
        assert!(course.notes.iter().any(|n| n.contains("whole_body_residence_h")));
        assert_eq!(course.holds[0].code, "limit-not-measured");
    }
}
