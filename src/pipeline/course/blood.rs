//! Samples of blood as a curve: residence time in 1 mL, with its uncertainty.
//!
//! Concentrations are of the instant of the sample, not corrected for decay, so the curve's rates are effective
//! ones and its tail falls with physical decay at least (`kinetics`).

use crate::config::Plan;
use crate::config::plan::BloodSample;
use crate::kinetics::{self, CurvePoint, Method, TimeActivityCurve};
use crate::prescribe::PrescribeError;
use crate::quantity::{Becquerel, Seconds};

/// ∫ (activity in 1 mL / administered activity) dt.
#[derive(Debug, Clone, PartialEq)]
pub struct BloodResidence {
    pub per_ml: Seconds,
    /// k = 1, of the fit; none where the samples cannot say.
    pub relative_uncertainty: Option<f64>,
    /// How it was found, with what to know.
    pub notes: Vec<String>,
}

/// From the plan's samples; none without.
///
/// # Errors
/// One sample alone, a concentration without the activity that it is a part of, or samples that no curve fits.
pub fn residence(plan: &Plan) -> Result<Option<BloodResidence>, PrescribeError> {
    let samples = &plan.measured.blood_samples;
    if samples.is_empty() {
        return Ok(None);
    }
    let failed = |why: String| PrescribeError::Blood(why);
    if samples.len() < 2 {
        return Err(failed("one sample makes no curve; add another".into()));
    }
    let half_life = plan.nuclide.decay().map_err(|error| failed(error.to_string()))?.half_life;
    let assumed = plan.parameters.kinetics.relative_sigma.value;
    let points = samples.iter().map(|sample| {
        Ok(CurvePoint {
            time: Seconds::from_hours(sample.hours),
            // Of one becquerel that was given.
            activity: Becquerel::new(fraction_per_ml(sample, plan)?),
            relative_uncertainty: Some(sample.relative_uncertainty.unwrap_or(assumed)),
        })
    });
    let points = points.collect::<Result<Vec<_>, PrescribeError>>()?;
    let curve = TimeActivityCurve { points, physical: half_life.half_life_to_rate() };
    let fit = kinetics::fit(&curve, Method::SelectByAicc).map_err(|e| failed(e.to_string()))?;
    let per_ml = Seconds::new(fit.time_integrated_activity.value());
    let known = fit.relative_uncertainty.map_or_else(
        || "uncertainty not known".to_owned(),
        |u| format!("relative standard uncertainty {:.1} %", 100.0 * u),
    );
    let mut notes = vec![format!(
        "blood: {:.3e} h residence in 1 mL by {} samples, {}, {known}, {:.0} % after the last sample",
        per_ml.hours(),
        samples.len(),
        fit.model,
        100.0 * fit.extrapolated_fraction
    )];
    notes.extend(fit.warnings.iter().map(|warning| format!("blood: {}", warning.text)));
    Ok(Some(BloodResidence { per_ml, relative_uncertainty: fit.relative_uncertainty, notes }))
}

/// Part of the administered activity in 1 mL.
fn fraction_per_ml(sample: &BloodSample, plan: &Plan) -> Result<f64, PrescribeError> {
    let value = match (sample.percent_per_ml, sample.mbq_per_ml) {
        (Some(percent), None) => percent / 100.0,
        (None, Some(mbq)) => {
            // Which of several administrations a concentration is of, nobody says.
            let [cycle] = &plan.cycles[..] else {
                return Err(PrescribeError::Blood(format!(
                    "MBq/mL are a part of one administration and the plan has {}; write percent_per_ml",
                    plan.cycles.len()
                )));
            };
            mbq / cycle.administered.activity.mbq()
        }
        _ => {
            return Err(PrescribeError::Blood(
                "a sample has either percent_per_ml or mbq_per_ml".into(),
            ));
        }
    };
    Ok(value)
}
