//! Results beside the truth of the course that they are of.

use grayd::phantom::{RegionTruth, SimulatedCourse};
use serde_json::Value;

/// What a rule makes of measured values may differ from what it makes of true ones by this part: less than the
/// uncertainty of the doses that it rests on.
const PROPOSAL_TOLERANCE: f64 = 0.06;

/// The worst of several deviations from the truth.
#[derive(Default)]
struct Worst {
    count: usize,
    off: f64,
    stated: f64,
}

impl Worst {
    /// A value of a region within its stated uncertainty (k = 1); one without is a fault.
    fn add(
        &mut self,
        what: &str,
        [found, truth]: [f64; 2],
        stated: Option<f64>,
    ) -> Result<(), String> {
        let off = (found / truth - 1.0).abs();
        let stated = stated.ok_or(format!("{what}: no uncertainty"))?;
        if off.is_nan() || off >= stated {
            return Err(format!(
                "{what}: {found}, in truth {truth}: {off:.4} off, stated {stated:.4}"
            ));
        }
        if off >= self.off {
            (self.off, self.stated) = (off, stated);
        }
        self.count += 1;
        Ok(())
    }

    fn said(&self, what: &str) -> String {
        let [off, stated] = [self.off, self.stated].map(|part| 100.0 * part);
        format!("{} {what}, worst {off:.3} % (stated {stated:.1} %); ", self.count)
    }
}

/// Every drawn region of every cycle, with what the results say of it.
fn regions<'a>(
    course: &'a SimulatedCourse,
    results: &'a [Value],
) -> impl Iterator<Item = (String, &'a RegionTruth, &'a Value)> {
    course.cycles().iter().zip(results).flat_map(|(patient, result)| {
        patient.truth().iter().filter(|truth| truth.is_drawn).map(move |truth| {
            let regions = result["regions"].as_array().unwrap();
            let region = regions.iter().find(|r| r["name"] == truth.name).unwrap();
            (format!("cycle {} {}", result["cycle"], truth.name), truth, region)
        })
    })
}

/// Every drawn region's dose is the true one within its stated uncertainty.
pub fn doses_agree(course: &SimulatedCourse, results: &[Value]) -> Result<String, String> {
    let mut worst = Worst::default();
    for (what, truth, region) in regions(course, results) {
        let dose = region["absorbed_dose_gy"]["mean"].as_f64();
        let dose = dose.ok_or(format!("{what}: no dose"))?;
        let stated = region["uncertainty"].as_f64();
        worst.add(&what, [dose, truth.mean_dose.value()], stated)?;
    }
    assert!(worst.count > 0);
    Ok(worst.said("doses"))
}

/// The same of the dose per activity of what a tracer stands for.
pub fn therapies_agree(course: &SimulatedCourse, results: &[Value]) -> Result<String, String> {
    let mut worst = Worst::default();
    for (what, truth, region) in regions(course, results) {
        let therapy = &region["therapy"];
        let Some(per_gbq) = therapy["gy_per_gbq"].as_f64() else { continue };
        let stated = therapy["uncertainty"].as_f64();
        worst.add(&what, [per_gbq, truth.therapy.gy_per_gbq()], stated)?;
    }
    Ok(if worst.count > 0 { worst.said("doses per activity") } else { String::new() })
}

/// The proposal is what the rule makes of the truth, and nothing holds it.
pub fn proposal_agrees(course: &SimulatedCourse, last: &Value) -> Result<String, String> {
    let truth = course.true_state().map_err(|error| error.to_string())?;
    let prescription = &last["prescription"];
    if prescription.is_null() {
        return match truth.proposal {
            None => Ok("no rule".into()),
            Some(_) => Err("nothing is proposed".into()),
        };
    }
    let proposal = &prescription["proposal"];
    if prescription["holds"] != Value::Array(Vec::new()) || !proposal.is_object() {
        return Err(format!("held: {} {}", prescription["holds"], prescription["notes"]));
    }
    let truth = truth.proposal.ok_or(format!("the truth is held: {:?}", truth.holds))?;
    if proposal["limiting"] != *truth.limiting {
        return Err(format!("limited by {}, in truth by {}", proposal["limiting"], truth.limiting));
    }
    let (mbq, truly) = (proposal["unrounded_mbq"].as_f64().unwrap(), truth.unrounded.mbq());
    // Both are nothing where the course is over.
    let off = if mbq == truly { 0.0 } else { mbq / truly - 1.0 };
    let text = format!("{mbq:.1} MBq by {}, {:+.3} %", truth.limiting, 100.0 * off);
    if off.abs() < PROPOSAL_TOLERANCE { Ok(text) } else { Err(text) }
}
