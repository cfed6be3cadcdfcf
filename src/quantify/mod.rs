//! Stored image values to activity concentration, Bq/ml, at the beginning of the acquisition.
//!
//! In: an [`EmissionImage`] (values in the unit that the object states, with the times and decay
//! corrections it claims) and the nuclide's own half-life. Out: an [`ActivityMap`] with how it came
//! about and what is doubtful. Decay factors follow PS3.3 C.8.9.4.1.5; a contradiction is either
//! small and stated as a warning, or a typed refusal. Knows no file, clock or DICOM attribute.

mod constants;
mod dead_time;
mod decay;
mod error;
mod image;
mod partial_volume;
pub mod planar;
mod recovery;
mod resolution;
mod suv;

pub use constants::{CONSTANTS, Constants};
pub use dead_time::{DeadTime, DeadTimeFit, DeadTimeModel, ObservedRate};
pub use error::QuantifyError;
pub use image::{
    Administration, Calibration, DecayCorrection, DecayReference, EmissionImage, EmissionKind,
    ImageUnit, Injection, QuantifyParameters, SliceTiming,
};
pub use partial_volume::{Unspilt, blur_volume, unspill};
pub use recovery::{Recovered, RecoveryCurve, RecoveryFit, Sphere};
pub use resolution::Resolution;
pub use suv::{SuvScale, suv_scale};

use crate::quantity::{Becquerel, Warning};
use crate::volume::Volume;
use decay::DecayFactors;
use jiff::Timestamp;
use ndarray::Axis;
use rayon::prelude::*;

/// Activity concentration in a whole series, brought to one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityMap {
    /// Bq/ml at `at`.
    pub bq_per_ml: Volume<f32>,
    /// Beginning of the acquisition of the series, UTC.
    pub at: Timestamp,
    /// Activity in the whole field of view at `at`.
    pub field_of_view: Becquerel,
    /// Relative standard uncertainty of the scale (k = 1), where a calibration states it.
    pub relative_uncertainty: Option<f64>,
    /// How stored values became Bq/ml, one sentence.
    pub quantification: String,
    pub warnings: Vec<Warning>,
}

/// Largest relative difference between the half-life in the object and ours.
const HALF_LIFE_TOLERANCE: f64 = 0.005;

/// Becquerel in one curie times 1e-6: MBq in one mCi (definition of the curie).
const MBQ_PER_MCI: f64 = 37.0;

/// How near to 37 a ratio of two activities must be to be read as one typed in mCi.
const MCI_RATIO_TOLERANCE: f64 = 0.15;

/// How far the activity in the object may be from the plan's before it is worth a warning.
const ADMINISTERED_TOLERANCE: f64 = 0.10;

/// Brings a series to Bq/ml at the beginning of its acquisition.
///
/// # Errors
/// Whatever leaves the activity open: see [`QuantifyError`].
pub fn activity_map(
    image: &EmissionImage,
    parameters: &QuantifyParameters,
) -> Result<ActivityMap, QuantifyError> {
    check_half_life(image, parameters)?;
    let mut warnings = image.warnings.clone();
    check_administered(image, parameters, &mut warnings)?;
    let decay = decay::factors(image, parameters, &mut warnings)?;
    let (scale, how) = unit_scale(image, parameters, &decay)?;
    let dead = dead_time_factor(image, parameters)?;
    let factors: Vec<f64> =
        decay.factors.iter().zip(&scale).map(|(d, s)| d * s * dead.unwrap_or(1.0)).collect();
    let dead_time = dead.map_or(String::new(), |f| format!("; dead time undone by {f:.4}"));

    let mut values = image.values.values().clone();
    let sums = values
        .axis_iter_mut(Axis(0))
        .into_par_iter()
        .zip(&factors)
        .map(|(mut slice, &factor)| {
            let mut sum = 0.0f64;
            for value in &mut slice {
                *value = (f64::from(*value) * factor) as f32;
                sum += f64::from(*value);
            }
            sum
        })
        .collect::<Vec<f64>>();
    let total = sums.iter().sum::<f64>() * image.values.grid().voxel_volume().value();
    if !total.is_finite() {
        return Err(QuantifyError::NotFinite);
    }
    let field_of_view = Becquerel::new(total);
    check_field_of_view(field_of_view, decay.at, parameters, is_relative(image, parameters))?;
    Ok(ActivityMap {
        bq_per_ml: Volume::new(image.values.grid().clone(), values),
        at: decay.at,
        field_of_view,
        relative_uncertainty: match image.unit {
            ImageUnit::Counts | ImageUnit::CountsPerSecond => {
                parameters.calibration.as_ref().and_then(|c| c.relative_uncertainty)
            }
            ImageUnit::BecquerelPerMl | ImageUnit::SuvBodyWeight => None,
        },
        quantification: format!("{}; {how}; {}{dead_time}", image.origin, decay.how),
        warnings,
    })
}

/// What the camera lost by its dead time: none where the site states none, or the object says that it
/// is corrected.
fn dead_time_factor(
    image: &EmissionImage,
    parameters: &QuantifyParameters,
) -> Result<Option<f64>, QuantifyError> {
    let stated = parameters.dead_time.filter(|_| !image.dead_time_corrected);
    let Some(dead_time) = stated else { return Ok(None) };
    let rate = parameters.wide_window.ok_or(QuantifyError::NoWideWindow)?;
    dead_time.factor(rate).map(Some)
}

/// Does the map of this image show activities relative to those of its like, and no more?
pub fn is_relative(image: &EmissionImage, parameters: &QuantifyParameters) -> bool {
    let in_counts = matches!(image.unit, ImageUnit::Counts | ImageUnit::CountsPerSecond);
    in_counts && parameters.relative_counts && parameters.calibration.is_none()
}

/// What turns the image's unit into Bq/ml, slice by slice.
fn unit_scale(
    image: &EmissionImage,
    parameters: &QuantifyParameters,
    decay: &DecayFactors,
) -> Result<(Vec<f64>, String), QuantifyError> {
    let slices = image.slices.len();
    let ml = image.values.grid().voxel_volume().value();
    let calibrated = || {
        if is_relative(image, parameters) {
            return Ok((1e6 / ml, "without a calibration, relative to each other".to_owned()));
        }
        let calibration = parameters.calibration.as_ref().ok_or(QuantifyError::NoCalibration)?;
        let cps = calibration.cps_per_mbq;
        if !(cps.is_finite() && cps > 0.0) {
            return Err(QuantifyError::Calibration(cps));
        }
        Ok((1e6 / cps / ml, format!("by the calibration {cps} cps/MBq")))
    };
    match image.unit {
        ImageUnit::BecquerelPerMl => Ok((vec![1.0; slices], "values are Bq/ml".into())),
        ImageUnit::CountsPerSecond => {
            let (scale, how) = calibrated()?;
            Ok((vec![scale; slices], format!("count rates {how}")))
        }
        ImageUnit::Counts => {
            let (scale, how) = calibrated()?;
            let per_slice = image
                .slices
                .iter()
                .map(|s| s.duration.map(|t| scale / t.value()))
                .collect::<Option<Vec<f64>>>()
                .ok_or(QuantifyError::NoDuration)?;
            Ok((per_slice, format!("counts over the scan time {how}")))
        }
        ImageUnit::SuvBodyWeight => {
            let bq_per_g = suv::activity_per_gram(image, parameters, decay)?;
            Ok((vec![bq_per_g; slices], "SUVbw times the injected activity per gram".into()))
        }
    }
}

fn check_half_life(
    image: &EmissionImage,
    parameters: &QuantifyParameters,
) -> Result<(), QuantifyError> {
    let ours = parameters.half_life.value();
    if !(ours.is_finite() && ours > 0.0) {
        return Err(QuantifyError::HalfLife { object: ours, table: ours });
    }
    match image.injection.half_life.map(|t| t.value()) {
        Some(object) if (object - ours).abs() > HALF_LIFE_TOLERANCE * ours => {
            Err(QuantifyError::HalfLife { object, table: ours })
        }
        _ => Ok(()),
    }
}

/// The object's administered activity beside the plan's: 37 apart is mCi typed as MBq.
fn check_administered(
    image: &EmissionImage,
    parameters: &QuantifyParameters,
    warnings: &mut Vec<Warning>,
) -> Result<(), QuantifyError> {
    let (Some(plan), Some(object)) = (parameters.administered, image.injection.total) else {
        return Ok(());
    };
    let ratio = object / plan.activity;
    let near = |target: f64| (ratio / target - 1.0).abs() <= MCI_RATIO_TOLERANCE;
    if near(MBQ_PER_MCI) || near(1.0 / MBQ_PER_MCI) {
        return Err(QuantifyError::Millicurie { plan: plan.activity.mbq(), object: object.mbq() });
    }
    if (ratio - 1.0).abs() > ADMINISTERED_TOLERANCE {
        warnings.push(Warning::new(
            "administered-activity-differs",
            format!(
                "Radionuclide Total Dose (0018,1074) says {:.1} MBq, the plan {:.1} MBq; the \
                 plan's is used",
                object.mbq(),
                plan.activity.mbq()
            ),
        ));
    }
    Ok(())
}

fn check_field_of_view(
    found: Becquerel,
    at: Timestamp,
    parameters: &QuantifyParameters,
    is_relative: bool,
) -> Result<(), QuantifyError> {
    let Some(administration) = parameters.administered else { return Ok(()) };
    let elapsed = at.duration_since(administration.at).as_secs_f64();
    if elapsed < 0.0 {
        return Err(QuantifyError::BeforeAdministration { hours: -elapsed / 3600.0 });
    }
    let left = administration.activity
        * (-parameters.half_life.half_life_to_rate().value() * elapsed).exp();
    match is_relative {
        true => Ok(()),
        false => check_plausible(found, left, parameters.plausible_fraction),
    }
}

/// Is an activity within these parts of what is left of the administered one?
///
/// # Errors
/// [`QuantifyError::Implausible`].
pub fn check_plausible(
    found: Becquerel,
    left: Becquerel,
    [low, high]: [f64; 2],
) -> Result<(), QuantifyError> {
    let fraction = found / left;
    if (low..=high).contains(&fraction) {
        return Ok(());
    }
    Err(QuantifyError::Implausible {
        found_mbq: found.mbq(),
        left_mbq: left.mbq(),
        percent: fraction * 100.0,
        low: low * 100.0,
        high: high * 100.0,
    })
}
