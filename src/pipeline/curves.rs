//! Activity of every region at every time point, and the curve through it.

use super::activity::TimePointImage;
use super::placement::{Placed, PlacedRegion};
use super::{PipelineError, Request};
use crate::config::{Kinetics, KineticsMethod, Trapezoid};
use crate::kinetics::{self, CurvePoint, Fit, Method, TimeActivityCurve};
use crate::quantify::{QuantifyError, Recovered};
use crate::quantity::{Becquerel, Seconds, Warning};
use crate::volume::{Occupancy, Volume};

/// One region's measured activities and what was made of them.
#[derive(Debug, Clone)]
pub struct Curve {
    /// At the beginning of each acquisition, in the order of the time points.
    pub activity: Vec<Becquerel>,
    /// Coefficient that the activity of the reference time point was divided by, where there is one.
    pub recovery: Option<Recovered>,
    /// `false`: too small for its camera's recovery curve. The curve is then of what the image shows, for
    /// the dose map alone, and no number of the region is given.
    pub is_quantifiable: bool,
    /// `None` where the region holds no activity to fit; a warning says so.
    pub fit: Option<Fit>,
    pub warnings: Vec<Warning>,
}

/// Σ concentration × occupied volume.
pub fn activity_within(bq_per_ml: &Volume<f32>, occupancy: &Occupancy) -> Becquerel {
    let values = bq_per_ml.as_slice();
    let sum: f64 = occupancy.iter().map(|(n, f)| f64::from(values[n]) * f64::from(f)).sum();
    Becquerel::new(sum * bq_per_ml.grid().voxel_volume().value())
}

/// Curves of all regions, in their order.
///
/// # Errors
/// A curve that cannot be fitted parks the job: its voxels would have no dose that can be stood by.
pub fn fit(
    images: &[TimePointImage],
    placed: &Placed,
    request: &Request,
) -> Result<Vec<Curve>, PipelineError> {
    let physical = request.plan.nuclide.decay()?.half_life.half_life_to_rate();
    placed
        .regions
        .iter()
        .map(|region| {
            let mut warnings = Vec::new();
            let recovered = recovered(images, region, request);
            let is_quantifiable = recovered.is_ok();
            let recovered = recovered.unwrap_or_else(|error| {
                let text = format!("region {}: {error}", region.name);
                warnings.push(Warning::new("not-quantifiable", text));
                vec![None; images.len()]
            });
            let recovery = recovered[placed.reference];
            let activity: Vec<Becquerel> = images
                .iter()
                .zip(&region.occupancy)
                .zip(&recovered)
                .map(|((image, occupancy), recovered)| {
                    let seen = activity_within(&image.map.bq_per_ml, occupancy);
                    seen / recovered.map_or(1.0, |recovered| recovered.coefficient)
                })
                .collect();
            if activity.iter().all(|a| a.value() <= 0.0) {
                let text = format!("region {} holds no activity in any image", region.name);
                warnings.push(Warning::new("region-without-activity", text));
                return Ok(Curve { activity, recovery, is_quantifiable, fit: None, warnings });
            }
            let points = images
                .iter()
                .zip(&activity)
                .map(|(image, &activity)| CurvePoint {
                    time: image.after_administration,
                    activity,
                    relative_uncertainty: Some(
                        request.plan.parameters.kinetics.relative_sigma.value,
                    ),
                })
                .collect();
            let method = method(&region.name, &request.plan.parameters.kinetics, images.len())?;
            let fit = kinetics::fit(&TimeActivityCurve { points, physical }, method)
                .map_err(|error| PipelineError::of_kinetics(&region.name, error))?;
            Ok(Curve { activity, recovery, is_quantifiable, fit: Some(fit), warnings })
        })
        .collect()
}

/// The coefficient of a region at every time point, by its volume there. None for the remainder and for
/// regions that sample a larger organ.
fn recovered(
    images: &[TimePointImage],
    region: &PlacedRegion,
    request: &Request,
) -> Result<Vec<Option<Recovered>>, QuantifyError> {
    let quantification = &request.plan.parameters.quantification;
    let whole = !region.is_remainder && !quantification.is_sampling(&region.name);
    let of_point = |(image, occupancy): (&TimePointImage, &Occupancy)| {
        let curve = image.recovery.as_ref().filter(|_| whole);
        let volume = occupancy.volume(image.map.bq_per_ml.grid());
        curve.map(|curve| curve.of_region(volume)).transpose()
    };
    images.iter().zip(&region.occupancy).map(of_point).collect()
}

fn method<'a>(
    region: &str,
    kinetics: &'a Kinetics,
    points: usize,
) -> Result<Method<'a>, PipelineError> {
    Ok(match kinetics.method(region) {
        KineticsMethod::SelectByAicc => Method::SelectByAicc,
        KineticsMethod::MonoExponential => Method::MonoExponential,
        KineticsMethod::BiExponential => Method::BiExponential,
        KineticsMethod::TriExponential => Method::TriExponential,
        KineticsMethod::UptakeClearance => Method::UptakeClearance,
        KineticsMethod::Trapezoid => {
            let Trapezoid { start, tail } = kinetics.trapezoid;
            Method::Trapezoid { start, tail }
        }
        KineticsMethod::Spectral => Method::Spectral,
        KineticsMethod::PhysicalOnly => Method::PhysicalOnly,
        KineticsMethod::TwoTimes => Method::TwoTimes,
        KineticsMethod::CurveLibrary => {
            Method::Library(kinetics.library(region).ok_or_else(|| {
                PipelineError::Parked(format!(
                    "no library of curves is given for region {region}; add `kinetics: library: \
                     {{ default: {{ source: ..., curves: ... }} }}` to the protocol or the plan's \
                     settings"
                ))
            })?)
        }
        KineticsMethod::SingleTimePoint => stated_half_life(region, kinetics, points)?,
    })
}

fn stated_half_life(
    region: &str,
    kinetics: &Kinetics,
    points: usize,
) -> Result<Method<'static>, PipelineError> {
    if points != 1 {
        return Err(PipelineError::Parked(format!(
            "single-time-point was given {points} images of this cycle; narrow the plan's \
             `match`, or use `protocol: multi-time-point`"
        )));
    }
    let hours = kinetics.half_life_h(region).ok_or_else(|| {
        PipelineError::Parked(format!(
            "no effective half-life is stated for region {region}; add `settings: \
             kinetics: effective_half_life_h: {{ default: ... }}` to the plan"
        ))
    })?;
    Ok(Method::SingleTimePoint {
        effective_half_life: Seconds::from_hours(hours),
        relative_uncertainty: kinetics
            .half_life_relative_uncertainty
            .as_ref()
            .map(|uncertainty| uncertainty.value),
    })
}
