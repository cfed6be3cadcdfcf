//! Activity of every region at every time point, and the curve through it.

use super::activity::TimePointImage;
use super::placement::{Placed, PlacedRegion};
use super::{PipelineError, Request};
use crate::config::{Kinetics, KineticsMethod, Trapezoid};
use crate::kinetics::{self, CurvePoint, Fit, Method, TimeActivityCurve};
use crate::quantity::{Becquerel, Seconds, Warning};
use crate::volume::{Occupancy, Volume};

/// One region's measured activities and what was made of them.
#[derive(Debug, Clone)]
pub struct Curve {
    /// At the beginning of each acquisition, in the order of the time points.
    pub activity: Vec<Becquerel>,
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

/// A region's activity at each time point by the mean concentration of its sample.
fn sampled(
    images: &[TimePointImage],
    region: &PlacedRegion,
    sample: &PlacedRegion,
) -> Result<Vec<Becquerel>, PipelineError> {
    let at = |n: usize, image: &TimePointImage| {
        let map = &image.map.bq_per_ml;
        let sampled = sample.occupancy[n].volume(map.grid());
        if sampled.value() <= 0.0 {
            return Err(PipelineError::Parked(format!(
                "{} lies outside of the image at {:.1} h; send an image that holds it, or the registration",
                sample.name,
                image.after_administration.hours()
            )));
        }
        let volume = region.occupancy[n].volume(map.grid());
        Ok(activity_within(map, &sample.occupancy[n]) * (volume / sampled))
    };
    images.iter().enumerate().map(|(n, image)| at(n, image)).collect()
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
            let activity = match region.sampled_in.map(|sample| &placed.regions[sample]) {
                Some(sample) => sampled(images, region, sample)?,
                None => images
                    .iter()
                    .zip(&region.occupancy)
                    .map(|(image, occupancy)| activity_within(&image.map.bq_per_ml, occupancy))
                    .collect(),
            };
            if activity.iter().all(|a| a.value() <= 0.0) {
                let text = format!("region {} holds no activity in any image", region.name);
                let warnings = vec![Warning::new("region-without-activity", text)];
                return Ok(Curve { activity, fit: None, warnings });
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
            let parameters = &request.plan.parameters.kinetics;
            let mut warnings = Vec::new();
            let method = match prior_cycle(region, images.len(), request)? {
                Some((half_life, warning)) => {
                    warnings.push(warning);
                    single(half_life, parameters)
                }
                None => method(&region.name, parameters, images.len())?,
            };
            let fit = kinetics::fit(&TimeActivityCurve { points, physical }, method)
                .map_err(|error| PipelineError::of_kinetics(&region.name, error))?;
            Ok(Curve { activity, fit: Some(fit), warnings })
        })
        .collect()
}

/// The effective half-life of a region's last cycle that was imaged more than once, where this one was
/// imaged once and the protocol takes it from there.
fn prior_cycle(
    region: &PlacedRegion,
    points: usize,
    request: &Request,
) -> Result<Option<(Seconds, Warning)>, PipelineError> {
    let kinetics = &request.plan.parameters.kinetics;
    if points != 1 || !kinetics.prior_cycle || kinetics.half_life_h(&region.name).is_some() {
        return Ok(None);
    }
    // A part of a region clears as the region does.
    let within = region.made.as_ref().and_then(|made| made.within.as_ref());
    let name = within.unwrap_or(&region.name);
    let before = request
        .earlier
        .iter()
        .filter(|dose| {
            dose.cycle < request.cycle && dose.region == *name && !dose.single_time_point
        })
        .filter_map(|dose| Some((dose.cycle, dose.effective_half_life?)))
        .max_by_key(|(cycle, _)| *cycle);
    let Some((cycle, half_life)) = before else {
        return Err(PipelineError::Parked(format!(
            "region {} was imaged once in cycle {} and its effective half-life is known from no cycle \
             before; image it again, compute an earlier cycle first, or state `settings: kinetics: \
             effective_half_life_h`",
            region.name, request.cycle
        )));
    };
    let text = format!(
        "imaged once: the effective half-life of {:.2} h is that of cycle {cycle}",
        half_life.hours()
    );
    Ok(Some((half_life, Warning::new("half-life-of-prior-cycle", text))))
}

fn single(half_life: Seconds, kinetics: &Kinetics) -> Method<'static> {
    let known = kinetics.half_life_relative_uncertainty.as_ref();
    Method::SingleTimePoint {
        effective_half_life: half_life,
        relative_uncertainty: known.map(|uncertainty| uncertainty.value),
    }
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
    Ok(single(Seconds::from_hours(hours), kinetics))
}
