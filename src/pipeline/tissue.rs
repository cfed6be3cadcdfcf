//! Which part of a grid's voxels is tissue, by a CT: air around and in the body holds no activity.

use crate::dicom::read::Ct;
use crate::dose::density::DensityCurve;
use crate::dose::local::air_below_density;
use crate::volume::resample::average_with;
use crate::volume::{Grid, Occupancy, Transform};

/// Part of each voxel that is no air, averaged over the CT's own voxels.
pub fn tissue(ct: &Ct, grid: &Grid, to_ct: &Transform) -> Vec<f32> {
    let (hu, curve) = (ct.hu.as_slice(), DensityCurve::schneider());
    let least = air_below_density().value();
    let solid = |n: usize| f64::from(u8::from(curve.density(f64::from(hu[n])).value() >= least));
    let (solid, _) = average_with(ct.hu.grid(), grid, to_ct, &solid);
    solid.iter().map(|part| part.clamp(0.0, 1.0) as f32).collect()
}

/// What is no air of the rest of each voxel: drawn regions are taken to lie in the tissue.
pub fn of_rest(rest: &Occupancy, tissue: &[f32]) -> Occupancy {
    let left = |(voxel, f): (usize, f32)| (voxel as u32, f + tissue[voxel] - 1.0);
    Occupancy::new(rest.iter().map(left).collect())
}
