//! What the blur of the camera does to each region at each time point, and how it is made good.

use super::super::activity::TimePointImage;
use super::super::inputs::Inputs;
use super::super::placement::{Placed, PlacedRegion, REMAINDER, Share, ct_of, whole_activities};
use super::super::space::Space;
use super::super::tissue;
use super::super::{PipelineError, Request, error::parked};
use super::activity_within;
use crate::config::PartialVolume;
use crate::quantify::{QuantifyError, Recovered, unspill};
use crate::quantity::{Becquerel, Measured};
use crate::segment;
use crate::volume::Occupancy;
use std::collections::BTreeMap;

/// Of one region, at every time point; `Err`: it is not quantifiable.
pub type Coefficients = Result<Vec<Option<Recovered>>, QuantifyError>;

/// What the image shows of every region over what the region holds, in their order.
///
/// # Errors
/// A resolution or CT that the protocol's method needs and that is not there.
pub fn coefficients(
    inputs: &Inputs,
    images: &[TimePointImage],
    placed: &Placed,
    request: &Request,
) -> Result<Vec<Coefficients>, PipelineError> {
    let by_curve = |region| of_curve(images, region, request);
    match request.plan.parameters.quantification.partial_volume {
        PartialVolume::RecoveryCurve => Ok(placed.regions.iter().map(by_curve).collect()),
        PartialVolume::Regions => {
            let mut found = vec![Ok(vec![None; images.len()]); placed.regions.len()];
            for point in 0..images.len() {
                if inputs.planar_point(&inputs.emissions[point].series).is_none() {
                    of_shapes(inputs, images, placed, request, point, &mut found)?;
                }
            }
            Ok(found)
        }
    }
}

/// Does a region stand for the inside of a larger one, out of which nothing spills that does not spill in?
fn samples(region: &PlacedRegion, request: &Request) -> bool {
    let named = request.plan.parameters.quantification.is_sampling(&region.name);
    region.is_sample || region.sampled_in.is_some() || named
}

/// By the region's volume at each time point; none for the remainder.
fn of_curve(images: &[TimePointImage], region: &PlacedRegion, request: &Request) -> Coefficients {
    let whole = !region.is_remainder && !samples(region, request);
    let of_point = |(image, occupancy): (&TimePointImage, &Occupancy)| {
        let curve = image.recovery.as_ref().filter(|_| whole);
        let volume = occupancy.volume(image.map.bq_per_ml.grid());
        curve.map(|curve| curve.of_region(volume)).transpose()
    };
    images.iter().zip(&region.occupancy).map(of_point).collect()
}

/// By the shapes of all regions that own voxels, and of the body around them, at one time point.
fn of_shapes(
    inputs: &Inputs,
    images: &[TimePointImage],
    placed: &Placed,
    request: &Request,
    point: usize,
    found: &mut [Coefficients],
) -> Result<(), PipelineError> {
    let (image, series) = (&images[point], &inputs.emissions[point].series);
    let map = &image.map.bq_per_ml;
    let resolution = image.resolution.as_ref().ok_or_else(|| {
        PipelineError::Parked(format!(
            "`quantification: partial_volume: regions` needs the resolution of the camera of image series \
             {series}; state `cameras: resolution: {{ fwhm_mm: ... }}` in the configuration (`grayd \
             calibrate` measures it), or write `partial_volume: recovery-curve`"
        ))
    })?;
    let shares = shares(inputs, images, placed, point)?;
    let own: Vec<&Occupancy> = shares.iter().map(|share| &share.own).collect();
    let seen: Vec<Becquerel> = own.iter().map(|own| activity_within(map, own)).collect();
    let unspilt = unspill(map.grid(), &own, &seen, resolution)
        .map_err(|error| PipelineError::of_quantify(&format!("image series {series}"), error))?;
    let activity: Vec<Measured<Becquerel>> = unspilt
        .iter()
        .zip(&seen)
        .map(|(unspilt, seen)| Measured {
            value: unspilt.activity.clone().unwrap_or(*seen),
            relative_uncertainty: unspilt.relative_uncertainty,
        })
        .collect();
    let whole = whole_activities(map.grid(), &shares, &activity);
    let refused: BTreeMap<&str, &QuantifyError> = shares
        .iter()
        .zip(&unspilt)
        .filter_map(|(share, unspilt)| {
            Some((share.name.as_str(), unspilt.activity.as_ref().err()?))
        })
        .collect();
    for (region, found) in placed.regions.iter().zip(found) {
        let (Ok(points), Some(whole)) = (&mut *found, whole.get(&region.name)) else { continue };
        if samples(region, request) {
            continue;
        }
        let seen = activity_within(map, &region.occupancy[point]);
        if let Some(error) = refused.get(region.name.as_str()) {
            *found = Err((*error).clone());
        } else if seen.value() > 0.0 && whole.value.value() <= 0.0 {
            *found = Err(QuantifyError::NothingOfItsOwn);
        } else if seen.value() > 0.0 {
            points[point] = Some(Recovered {
                coefficient: seen / whole.value,
                slope: resolution.slope(region.occupancy[point].volume(map.grid())),
                relative_uncertainty: whole.relative_uncertainty,
            });
        }
    }
    Ok(())
}

/// Regions that own voxels with their own part of them, and the rest of the body.
fn shares(
    inputs: &Inputs,
    images: &[TimePointImage],
    placed: &Placed,
    point: usize,
) -> Result<Vec<Share>, PipelineError> {
    let grid = images[point].map.bq_per_ml.grid();
    let owners = placed.regions.iter().filter(|r| r.owns_voxels && !r.is_remainder);
    let owners: Vec<(&str, &Occupancy)> =
        owners.map(|region| (region.name.as_str(), &region.occupancy[point])).collect();
    let assigned = segment::assign(grid, &owners.iter().map(|o| o.1).collect::<Vec<_>>());
    let emission = &inputs.emissions[point];
    let Some((index, to_ct)) = ct_of(inputs, point, &Space::of(emission), grid)? else {
        return Err(parked(
            format_args!("image series {}", emission.series),
            "`quantification: partial_volume: regions` needs a CT, which says where the body ends; send \
             it, or write `partial_volume: recovery-curve`",
        ));
    };
    let tissue = tissue::tissue(&inputs.cts[index], grid, &to_ct);
    let rest = tissue::of_rest(&assigned.remainder, &tissue);
    let share = |((name, occupancy), own): ((&str, &Occupancy), Occupancy)| Share {
        name: name.to_owned(),
        occupancy: occupancy.clone(),
        own,
    };
    let mut all: Vec<Share> = owners.into_iter().zip(assigned.shares).map(share).collect();
    all.push(Share { name: REMAINDER.to_owned(), occupancy: rest.clone(), own: rest });
    Ok(all)
}
