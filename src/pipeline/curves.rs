//! Activity of every region at every time point, and the curve through it.

mod method;
mod parts;
mod recovery;

use super::activity::TimePointImage;
use super::inputs::Inputs;
use super::placement::{Placed, PlacedRegion};
use super::{PipelineError, Request};
use crate::dicom::read::Emission;
use crate::kinetics::{CurvePoint, Fit};
use crate::quantify::Recovered;
use crate::quantity::{Becquerel, Measured, Warning};
use crate::volume::{Occupancy, Volume};
pub use parts::{Parts, Points};

/// One region's measured activities and what was made of them.
#[derive(Debug, Clone)]
pub struct Curve {
    /// At the beginning of each acquisition, in the order of the time points, as it enters the fit; of counts
    /// without a calibration by the scale that the curve found.
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
    let parts = Parts::of(inputs, images, request)?;
    let coefficients = recovery::coefficients(inputs, images, placed, request)?;
    placed
        .regions
        .iter()
        .zip(coefficients)
        .map(|(region, recovered)| {
            let mut warnings = Vec::new();
            let sample = region.sampled_in.map(|sample| &placed.regions[sample]);
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
            let points = Points {
                region: &region.name,
                within: region.made.as_ref().and_then(|made| made.within.as_deref()),
                points: points.collect(),
                physical,
                request,
            };
            let (fit, scale) = points.fit(&parts, &mut warnings)?;
            let mut activity = activity;
            for (activity, _) in activity.iter_mut().zip(images).filter(|(_, i)| i.is_relative) {
                activity.value = activity.value * scale;
            }
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
