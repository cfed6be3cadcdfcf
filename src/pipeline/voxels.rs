//! From the regions' curves to every voxel: time-integrated activity and mass.

use super::activity::TimePointImage;
use super::curves::{Curve, activity_within};
use super::error::parked;
use super::inputs::Inputs;
use super::placement::Placed;
use super::space::{self, Space};
use super::{PipelineError, Request};
use crate::config::VoxelKinetics;
use crate::dose::density::{DensityCurve, DensitySource, VoxelMass, voxel_mass};
use crate::kinetics::{CONSTANTS, Frame, fit_voxels};
use crate::quantity::{GramPerMl, Warning};
use crate::volume::Volume;
use crate::volume::resample::conserve;
use ndarray::Array3;
use std::borrow::Cow;

/// Decays in every voxel of the dose grid, from administration to infinity.
#[derive(Debug)]
pub struct VoxelTia {
    pub bq_s: Volume<f64>,
    /// Concentration (MBq·h/ml) and effective half-life (h) of each voxel's own curve, where voxels
    /// were fitted one by one.
    pub own_curves: Option<OwnCurves>,
    pub warnings: Vec<Warning>,
}

/// Maps of a fit voxel by voxel.
#[derive(Debug)]
pub struct OwnCurves {
    pub tia_mbq_h_per_ml: Volume<f32>,
    pub half_life_h: Volume<f32>,
}

/// The integral of every voxel, as the protocol asks.
pub fn time_integrated_activity(
    inputs: &Inputs,
    images: &[TimePointImage],
    placed: &Placed,
    curves: &[Curve],
    request: &Request,
) -> Result<VoxelTia, PipelineError> {
    let mut tia = match request.plan.parameters.kinetics.voxels {
        VoxelKinetics::RegionCurve => by_region_curve(images, placed, curves),
        VoxelKinetics::VoxelFit if placed.dose_grid.is_some() => {
            return Err(PipelineError::Parked(
                "`kinetics: voxels: voxel-fit` makes its maps on the emission's grid; write `dose: grid: \
                 emission`, or use `region-curve`"
                    .into(),
            ));
        }
        VoxelKinetics::VoxelFit if !inputs.planar_points.is_empty() => {
            return Err(PipelineError::Parked(
                "`kinetics: voxels: voxel-fit` needs SPECT at every time point, and some are planar; use \
                 `region-curve`"
                    .into(),
            ));
        }
        VoxelKinetics::VoxelFit if images.iter().any(|image| image.is_relative) => {
            return Err(PipelineError::Parked(
                "`kinetics: voxels: voxel-fit` needs every time point in Bq/ml, and some are counts without \
                 a calibration; use `region-curve`, or add the calibration"
                    .into(),
            ));
        }
        VoxelKinetics::VoxelFit => by_voxel_fit(inputs, images, placed, curves, request)?,
    };
    if let Some(own) = &placed.dose_grid {
        let (bq_s, warning) = own.carry(&tia.bq_s);
        tia.bq_s = bq_s;
        tia.warnings.extend(warning);
    }
    Ok(tia)
}

/// Each voxel has a mono-exponential of its own, through all time points on the reference grid.
fn by_voxel_fit(
    inputs: &Inputs,
    images: &[TimePointImage],
    placed: &Placed,
    curves: &[Curve],
    request: &Request,
) -> Result<VoxelTia, PipelineError> {
    let grid = images[placed.reference].map.bq_per_ml.grid();
    let to = Space::of(&inputs.emissions[placed.reference]);
    let mut maps: Vec<Cow<'_, Volume<f32>>> = Vec::new();
    for (image, emission) in images.iter().zip(&inputs.emissions) {
        let map = &image.map.bq_per_ml;
        let way = space::map(inputs, &to, &Space::of(emission))?.ok_or_else(|| {
            PipelineError::Parked(format!(
                "nothing says how image series {} lies to {}, and `kinetics: voxels: voxel-fit` needs \
                 registered time points; send a Spatial Registration object, or use `region-curve`",
                emission.series, inputs.emissions[placed.reference].series
            ))
        })?;
        let same = way == crate::volume::transform::Transform::Identity && map.grid() == grid;
        maps.push(if same { Cow::Borrowed(map) } else { Cow::Owned(conserve(map, grid, &way)) });
    }
    let frames: Vec<Frame> = images
        .iter()
        .zip(&maps)
        .map(|(image, map)| Frame {
            time: image.after_administration,
            values: map.as_slice(),
            weight: 1.0,
        })
        .collect();
    let physical = request.nuclide().decay()?.half_life.half_life_to_rate();
    let fits = fit_voxels(&frames, physical)
        .map_err(|error| parked("`kinetics: voxels: voxel-fit`", error))?;
    let seconds = 3600.0 * grid.voxel_volume().value();
    let mut bq_s = Array3::<f64>::zeros(grid.dim());
    let out = bq_s.as_slice_mut().expect("a new array is in standard layout");
    let mut warnings = Vec::new();
    for ((share, region), curve) in placed.shares.iter().zip(&placed.regions).zip(curves) {
        let mut total = 0.0;
        // As the region's own curve: what the blur carried out of it is given back to its voxels.
        let seconds = seconds / curve.recovery.map_or(1.0, |recovered| recovered.coefficient);
        for (voxel, fraction) in share.iter() {
            let decays = f64::from(fits.tia_h[voxel]) * f64::from(fraction) * seconds;
            out[voxel] += decays;
            total += decays;
        }
        let owner = curve.fit.as_ref().filter(|_| region.owns_voxels);
        let wanted = owner.map(|fit| fit.time_integrated_activity.value());
        let apart = wanted.map_or(0.0, |wanted| total / wanted - 1.0);
        if apart.abs() > CONSTANTS.voxel_fit_apart_warn.value {
            warnings.push(Warning::new(
                "voxel-fit-differs",
                format!(
                    "the voxels' own curves in region {} add up to {:+.0} % of its own curve's integral \
                     (voxels that other regions own are not counted)",
                    region.name,
                    apart * 100.0
                ),
            ));
        }
    }
    warnings.push(Warning::new(
        "voxel-fit",
        format!(
            "voxels were fitted one by one: {} held at physical decay, {} at the fastest rate, {} \
             without activity",
            fits.at_physical, fits.at_fastest, fits.empty
        ),
    ));
    let volume = |values: Vec<f32>| {
        let values = Array3::from_shape_vec(grid.dim(), values).expect("one value a voxel");
        Volume::new(grid.clone(), values)
    };
    let own_curves = OwnCurves {
        tia_mbq_h_per_ml: volume(fits.tia_h.iter().map(|tia| tia * 1e-6).collect()),
        half_life_h: volume(fits.half_life_h),
    };
    Ok(VoxelTia { bq_s: Volume::new(grid.clone(), bq_s), own_curves: Some(own_curves), warnings })
}

/// Each voxel has its owner's curve, scaled by the voxel's part of the owner's activity in the
/// reference image: ã(v) = A_ref(v) · Ã(owner) / A_ref(owner). An owner whose concentration was
/// sampled is uniform: ã(v) = Ã(owner) · V(v) / V(owner).
fn by_region_curve(images: &[TimePointImage], placed: &Placed, curves: &[Curve]) -> VoxelTia {
    let map = &images[placed.reference].map.bq_per_ml;
    let voxel_ml = map.grid().voxel_volume().value();
    let mut bq_s = Array3::<f64>::zeros(map.grid().dim());
    let out = bq_s.as_slice_mut().expect("a new array is in standard layout");
    let values = map.as_slice();
    let mut negative = 0usize;
    for ((share, region), curve) in placed.shares.iter().zip(&placed.regions).zip(curves) {
        let Some(fit) = &curve.fit else { continue };
        if region.sampled_in.is_some() {
            let volume = region.occupancy[placed.reference].volume(map.grid()).value();
            let per_voxel = fit.time_integrated_activity.value() * voxel_ml / volume;
            share.iter().for_each(|(voxel, part)| out[voxel] += per_voxel * f64::from(part));
            continue;
        }
        let at_reference = activity_within(map, &region.occupancy[placed.reference]).value();
        if at_reference <= 0.0 {
            continue;
        }
        // Seconds: what one becquerel at the reference time point stands for in decays.
        let seconds = fit.time_integrated_activity.value() / at_reference;
        for (voxel, fraction) in share.iter() {
            let activity = f64::from(values[voxel]) * voxel_ml;
            if activity < 0.0 {
                negative += 1;
            } else {
                out[voxel] += activity * f64::from(fraction) * seconds;
            }
        }
    }
    let mut warnings = Vec::new();
    if negative > 0 {
        let text =
            format!("{negative} voxels of the reference image are negative; their dose is 0");
        warnings.push(Warning::new("negative-voxels", text));
    }
    VoxelTia { bq_s: Volume::new(map.grid().clone(), bq_s), own_curves: None, warnings }
}

/// Mass of every voxel of the dose grid, from its CT or the stated density.
pub fn masses(
    inputs: &Inputs,
    placed: &Placed,
    tia: &VoxelTia,
    request: &Request,
) -> Result<VoxelMass, PipelineError> {
    let stated = GramPerMl::new(request.plan.parameters.dose.stated_density_g_per_ml.value);
    let source = match &placed.ct {
        Some((index, grid_to_ct)) => DensitySource::Ct {
            hu: &inputs.cts[*index].hu,
            grid_to_ct,
            curve: DensityCurve::schneider(),
            beyond: stated,
        },
        None => DensitySource::Stated(stated),
    };
    let mut masses =
        voxel_mass(source, tia.bq_s.grid()).map_err(|error| parked("voxel masses", error))?;
    if placed.ct.is_none() {
        masses.warnings.push(Warning::new(
            "no-ct",
            format!(
                "no CT lies in the space of the reference image: {stated} was taken for every voxel \
                 (dose: stated_density_g_per_ml)"
            ),
        ));
    }
    Ok(masses)
}
