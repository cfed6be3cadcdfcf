//! From the regions' curves to every voxel: time-integrated activity and mass.

use super::activity::TimePointImage;
use super::curves::{Curve, activity_within};
use super::error::parked;
use super::inputs::Inputs;
use super::placement::Placed;
use super::{PipelineError, Request};
use crate::dose::density::{DensityCurve, DensitySource, VoxelMass, voxel_mass};
use crate::quantity::{GramPerMl, Warning};
use crate::volume::Volume;
use ndarray::Array3;

/// Decays in every voxel of the dose grid, from administration to infinity.
#[derive(Debug)]
pub struct VoxelTia {
    pub bq_s: Volume<f64>,
    pub warnings: Vec<Warning>,
}

/// Each voxel has its owner's curve, scaled by the voxel's part of the owner's activity in the
/// reference image: ã(v) = A_ref(v) · Ã(owner) / A_ref(owner).
pub fn time_integrated_activity(
    images: &[TimePointImage],
    placed: &Placed,
    curves: &[Curve],
) -> VoxelTia {
    let map = &images[placed.reference].map.bq_per_ml;
    let voxel_ml = map.grid().voxel_volume().value();
    let mut bq_s = Array3::<f64>::zeros(map.grid().dim());
    let out = bq_s.as_slice_mut().expect("a new array is in standard layout");
    let values = map.as_slice();
    let mut negative = 0usize;
    for ((share, region), curve) in placed.shares.iter().zip(&placed.regions).zip(curves) {
        let at_reference = activity_within(map, &region.occupancy[placed.reference]).value();
        let Some(fit) = &curve.fit else { continue };
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
    let bq_s = Volume::new(map.grid().clone(), bq_s);
    let Some(own) = &placed.dose_grid else { return VoxelTia { bq_s, warnings } };
    let (bq_s, warning) = own.carry(&bq_s);
    warnings.extend(warning);
    VoxelTia { bq_s, warnings }
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
