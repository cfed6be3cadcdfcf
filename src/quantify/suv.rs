//! Standardised uptake values by body weight: back to Bq/ml, and our own factor to compare with.

use super::decay::{self, DecayFactors};
use super::error::QuantifyError;
use super::image::{EmissionImage, EmissionKind, QuantifyParameters};
use crate::quantity::{Becquerel, Gram};
use jiff::Timestamp;

/// What multiplies the Bq/ml stored in a series to give SUVbw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuvScale {
    /// (g/ml) / (Bq/ml), that is g/Bq.
    pub g_per_bq: f64,
    pub weight: Gram,
    /// Injected activity left at the beginning of the acquisition.
    pub activity_left: Becquerel,
}

/// The injection as the object states it, else as the plan does.
fn injection(
    image: &EmissionImage,
    parameters: &QuantifyParameters,
) -> Result<(Becquerel, Timestamp, Gram), QuantifyError> {
    let inferred = match image.kind {
        EmissionKind::Positron => image.injection.start_within_a_day,
        EmissionKind::SinglePhoton => None,
    };
    let plan = parameters.administered;
    let total = image.injection.total.or(plan.map(|p| p.activity));
    let start = image.injection.start.or(plan.map(|p| p.at)).or(inferred);
    let need = |missing| QuantifyError::Suv { missing };
    let weight = image.weight.filter(|weight| weight.value() > 0.0);
    let total = total.filter(|total| total.value() > 0.0);
    Ok((
        total.ok_or(need("Radionuclide Total Dose (0018,1074)"))?,
        start.ok_or(need("Radiopharmaceutical Start DateTime (0018,1078)"))?,
        weight.ok_or(need("Patient's Weight (0010,1030)"))?,
    ))
}

fn left(total: Becquerel, start: Timestamp, at: Timestamp, lambda: f64) -> Becquerel {
    total * (-lambda * at.duration_since(start).as_secs_f64()).exp()
}

/// Injected activity at the instant that the image's values refer to, per gram of body weight:
/// what turns SUVbw into Bq/ml.
pub(super) fn activity_per_gram(
    image: &EmissionImage,
    parameters: &QuantifyParameters,
    decay: &DecayFactors,
) -> Result<f64, QuantifyError> {
    let (total, start, weight) = injection(image, parameters)?;
    let reference =
        decay.reference.ok_or(QuantifyError::Suv { missing: "Decay Correction (0054,1102)" })?;
    let lambda = parameters.half_life.half_life_to_rate().value();
    Ok(left(total, start, reference, lambda).value() / weight.value())
}

/// The factor from stored Bq/ml to SUVbw that follows from this module's own decay handling:
/// weight over the injected activity left, both sides at the beginning of the acquisition.
///
/// # Errors
/// As [`super::activity_map`]; and where weight or injection is not known.
pub fn suv_scale(
    image: &EmissionImage,
    parameters: &QuantifyParameters,
) -> Result<SuvScale, QuantifyError> {
    let (total, start, weight) = injection(image, parameters)?;
    let decay = decay::factors(image, parameters, &mut Vec::new())?;
    let lambda = parameters.half_life.half_life_to_rate().value();
    let activity_left = left(total, start, decay.at, lambda);
    let mean = decay.factors.iter().sum::<f64>() / decay.factors.len() as f64;
    let g_per_bq = mean * weight.value() / activity_left.value();
    if !(g_per_bq.is_finite() && g_per_bq > 0.0) {
        return Err(QuantifyError::NotFinite);
    }
    Ok(SuvScale { g_per_bq, weight, activity_left })
}
