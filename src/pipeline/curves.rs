//! Activity of every region at every time point, and the curve through it.

use super::activity::TimePointImage;
use super::inputs::Inputs;
use super::placement::{Placed, PlacedRegion};
use super::{PipelineError, Request};
use crate::config::protocol::HalfLife;
use crate::config::{Kinetics, KineticsMethod, PlanarUse, Trapezoid};
use crate::dicom::read::Emission;
use crate::kinetics::{self, CurvePoint, Fit, HalfLifeOrigin, Method, TimeActivityCurve};
use crate::quantify::{CONSTANTS, QuantifyError, Recovered};
use crate::quantity::{Becquerel, Measured, PerSecond, Seconds, Warning};
use crate::volume::{Occupancy, Volume};

/// One region's measured activities and what was made of them.
#[derive(Debug, Clone)]
pub struct Curve {
    /// At the beginning of each acquisition, in the order of the time points, as it enters the fit.
    pub activity: Vec<Measured<Becquerel>>,
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
    inputs: &Inputs,
    images: &[TimePointImage],
    placed: &Placed,
    request: &Request,
) -> Result<Vec<Curve>, PipelineError> {
    let physical = request.nuclide().decay()?.half_life.half_life_to_rate();
    placed
        .regions
        .iter()
        .map(|region| {
            let mut warnings = Vec::new();
            let sample = region.sampled_in.map(|sample| &placed.regions[sample]);
            let recovered = recovered(images, region, request);
            let is_quantifiable = recovered.is_ok();
            let recovered = recovered.unwrap_or_else(|error| {
                let text = format!("region {}: {error}", region.name);
                warnings.push(Warning::new("not-quantifiable", text));
                vec![None; images.len()]
            });
            let recovery = recovered[placed.reference];
            let activity: Vec<Becquerel> = match sample {
                Some(sample) => sampled(images, region, sample)?,
                None => (0..images.len())
                    .map(|n| {
                        let point = inputs.planar_point(&inputs.emissions[n].series);
                        let unmixed = point.and_then(|point| point.regions.get(&region.name));
                        let seen =
                            || activity_within(&images[n].map.bq_per_ml, &region.occupancy[n]);
                        let seen = unmixed.map_or_else(seen, |unmixed| unmixed.value);
                        seen / recovered[n].map_or(1.0, |recovered| recovered.coefficient)
                    })
                    .collect(),
            };
            let activity = measured(inputs, region, activity, request);
            if activity.iter().all(|a| a.value.value() <= 0.0) {
                let text = format!("region {} holds no activity in any image", region.name);
                warnings.push(Warning::new("region-without-activity", text));
                return Ok(Curve { activity, recovery, is_quantifiable, fit: None, warnings });
            }
            let points = images.iter().zip(&activity).map(|(image, activity)| CurvePoint {
                time: image.after_administration,
                activity: activity.value,
                relative_uncertainty: activity.relative_uncertainty,
            });
            let points = points.collect();
            let fit = hybrid_or_one(inputs, region, points, physical, request, &mut warnings)?;
            Ok(Curve { activity, recovery, is_quantifiable, fit: Some(fit), warnings })
        })
        .collect()
}

/// Activities with what is assumed of all; a planar one knows what unmixing adds to that.
fn measured(
    inputs: &Inputs,
    region: &PlacedRegion,
    activity: Vec<Becquerel>,
    request: &Request,
) -> Vec<Measured<Becquerel>> {
    let assumed = request.plan.parameters.kinetics.relative_sigma.value;
    let of_planar = |emission: &Emission| {
        let point = inputs.planar_point(&emission.series)?;
        point.regions.get(&region.name)?.relative_uncertainty
    };
    let of = |(emission, value): (&Emission, Becquerel)| Measured {
        value,
        relative_uncertainty: Some(assumed.hypot(of_planar(emission).unwrap_or(0.0))),
    };
    inputs.emissions.iter().zip(activity).map(of).collect()
}

/// The curve through all points; or, where planar views give the shape and a SPECT the scale, the
/// planar points' curve through that SPECT's.
fn hybrid_or_one(
    inputs: &Inputs,
    region: &PlacedRegion,
    points: Vec<CurvePoint>,
    physical: PerSecond,
    request: &Request,
    warnings: &mut Vec<Warning>,
) -> Result<Fit, PipelineError> {
    let parameters = &request.plan.parameters;
    let why = |error| PipelineError::of_kinetics(&region.name, error);
    let fitted = |points: Vec<CurvePoint>, warnings: &mut Vec<Warning>| {
        let method = match half_life_of_one_image(region, &points, request)? {
            Some((half_life, warning)) => {
                warnings.push(warning);
                half_life.method()
            }
            None => method(&region.name, &parameters.kinetics, &points, warnings)?,
        };
        kinetics::fit(&TimeActivityCurve { points, physical }, method).map_err(why)
    };
    let is_planar = |n: &usize| inputs.planar_point(&inputs.emissions[*n].series).is_some();
    let (planar, spect): (Vec<usize>, Vec<usize>) = (0..points.len()).partition(is_planar);
    if parameters.imaging.planar != PlanarUse::Shape || planar.is_empty() || spect.is_empty() {
        return fitted(points, warnings);
    }
    let [spect] = spect[..] else {
        return Err(PipelineError::Parked(format!(
            "`imaging: planar: shape` scales the planar curve through one SPECT, and {} were found; \
             narrow the plan's `match`, or write `planar: activity`",
            spect.len()
        )));
    };
    let shape = fitted(planar.iter().map(|&n| points[n]).collect(), warnings)?;
    let hybrid = shape.scaled_through(points[spect]).map_err(why)?;
    // Scale over the planar's own, where both measure the same activity.
    let scale = hybrid.time_integrated_activity / shape.time_integrated_activity;
    if (scale - 1.0).abs() > CONSTANTS.hybrid_scale_warn.value {
        warnings.push(Warning::new(
            "hybrid-scale",
            format!(
                "the SPECT shows {scale:.2} times the activity that the planar views show at that time; \
                 the SPECT's was used"
            ),
        ));
    }
    Ok(hybrid)
}

/// The coefficient of a region at every time point, by its volume there. None for the remainder, for
/// regions that sample a larger organ, and for organs that are sampled.
fn recovered(
    images: &[TimePointImage],
    region: &PlacedRegion,
    request: &Request,
) -> Result<Vec<Option<Recovered>>, QuantifyError> {
    let quantification = &request.plan.parameters.quantification;
    let sampling =
        region.is_sample || region.sampled_in.is_some() || quantification.is_sampling(&region.name);
    let whole = !region.is_remainder && !sampling;
    let of_point = |(image, occupancy): (&TimePointImage, &Occupancy)| {
        let curve = image.recovery.as_ref().filter(|_| whole);
        let volume = occupancy.volume(image.map.bq_per_ml.grid());
        curve.map(|curve| curve.of_region(volume)).transpose()
    };
    images.iter().zip(&region.occupancy).map(of_point).collect()
}

/// A half-life that no fit of this cycle gave, and how well it is known.
#[derive(Debug, Clone, Copy)]
struct Carried {
    half_life: Seconds,
    relative_uncertainty: f64,
    is_published: bool,
}

impl Carried {
    /// Its own uncertainty, else the one that plan or protocol states for all, else the published.
    fn new(
        half_life: Seconds,
        own: Option<f64>,
        origin: HalfLifeOrigin,
        points: &[CurvePoint],
        kinetics: &Kinetics,
    ) -> Self {
        let of_all = kinetics.half_life_relative_uncertainty.as_ref().map(|u| u.value);
        let known = own.or(of_all);
        let at = points.first().map_or(Seconds::new(0.0), |point| point.time);
        Self {
            half_life,
            relative_uncertainty: known
                .unwrap_or_else(|| kinetics::published_uncertainty(origin, at)),
            is_published: known.is_none(),
        }
    }

    fn stated(stated: &HalfLife, points: &[CurvePoint], kinetics: &Kinetics) -> Self {
        let (hours, own) = (Seconds::from_hours(stated.value), stated.relative_uncertainty);
        Self::new(hours, own, HalfLifeOrigin::Stated, points, kinetics)
    }

    fn method(self) -> Method<'static> {
        Method::SingleTimePoint {
            effective_half_life: self.half_life,
            relative_uncertainty: Some(self.relative_uncertainty),
        }
    }

    /// `51.00 h (u 3.7 %, k = 1, ...)`.
    fn text(self) -> String {
        let whose = match self.is_published {
            true => ", by published deviations of kidneys under 177Lu-DOTATATE (Willowson 2018)",
            false => ", as stated",
        };
        let percent = 100.0 * self.relative_uncertainty;
        format!(
            "{:.2} h (relative uncertainty {percent:.1} %, k = 1{whose})",
            self.half_life.hours()
        )
    }
}

/// The effective half-life of a region that was imaged once, where the protocol takes it from the last
/// cycle that was imaged more than once; a stated one comes before.
fn half_life_of_one_image(
    region: &PlacedRegion,
    points: &[CurvePoint],
    request: &Request,
) -> Result<Option<(Carried, Warning)>, PipelineError> {
    let kinetics = &request.plan.parameters.kinetics;
    if points.len() != 1 || !kinetics.prior_cycle {
        return Ok(None);
    }
    if let Some(stated) = kinetics.half_life(&region.name) {
        let carried = Carried::stated(stated, points, kinetics);
        return Ok(Some((carried, stated_warning(carried))));
    }
    // A part of a region clears as the region does.
    let within = region.made.as_ref().and_then(|made| made.within.as_ref());
    let name = within.unwrap_or(&region.name);
    let before = request
        .earlier
        .iter()
        .flat_map(|doses| &doses.regions)
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
    let carried = Carried::new(half_life, None, HalfLifeOrigin::PriorCycle, points, kinetics);
    let text = format!(
        "imaged once: the effective half-life is that of cycle {cycle}, {}",
        carried.text()
    );
    Ok(Some((carried, Warning::new("half-life-of-prior-cycle", text))))
}

fn stated_warning(carried: Carried) -> Warning {
    let text =
        format!("imaged once: the effective half-life is the stated one, {}", carried.text());
    Warning::new("half-life-stated", text)
}

fn method<'a>(
    region: &str,
    kinetics: &'a Kinetics,
    points: &[CurvePoint],
    warnings: &mut Vec<Warning>,
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
        KineticsMethod::SingleTimePoint => {
            let carried = stated_half_life(region, kinetics, points)?;
            warnings.push(stated_warning(carried));
            carried.method()
        }
    })
}

fn stated_half_life(
    region: &str,
    kinetics: &Kinetics,
    points: &[CurvePoint],
) -> Result<Carried, PipelineError> {
    if points.len() != 1 {
        return Err(PipelineError::Parked(format!(
            "single-time-point was given {} images of this cycle; narrow the plan's \
             `match`, or use `protocol: multi-time-point`",
            points.len()
        )));
    }
    let stated = kinetics.half_life(region).ok_or_else(|| {
        PipelineError::Parked(format!(
            "no effective half-life is stated for region {region}; add `settings: \
             kinetics: effective_half_life_h: {{ default: ... }}` to the plan"
        ))
    })?;
    Ok(Carried::stated(stated, points, kinetics))
}
