//! Dose from a map of time-integrated activity, by convolution on a ladder of grids.
//!
//! Electrons and alphas deposit their energy within millimetres of where they start: their energy
//! in a voxel is divided by the voxel's own mass. Photons bring every tissue about the same dose
//! as water at that place, whatever its density: theirs is not scaled. See [`electron_scale`] for
//! air, and `docs/methods/kernel.md` for where this holds.

use ndarray::Array3;
use rayon::prelude::*;

use super::levels::{self, Level};
use super::transform::{Forward, Transform};
use super::voxel::{self, VoxelKernel};
use super::{KernelError, PointKernel, VOXEL_SIDE_MM};
use crate::quantity::{JOULE_PER_EV, Warning};
use crate::volume::{Grid, Volume};

/// Above this density (g/ml) a voxel's own mass counts: inflated lung is 0.26.
const OWN_MASS_FROM: f32 = 0.20;
/// Below it a voxel is a gas cavity: it gets what water there would get (Bragg and Gray).
const CAVITY_BELOW: f32 = 0.10;
/// Densities that matter can have, g/ml.
const PLAUSIBLE_DENSITY: std::ops::RangeInclusive<f32> = 1e-4..=20.0;
/// Grids whose corners are nearer than this (mm) are one grid.
const GRID_TOLERANCE_MM: f64 = 0.01;

/// Dose of the kernel engine.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelDose {
    /// Absorbed dose, Gy.
    pub gy: Volume<f32>,
    /// Statistical uncertainty of the kernel tables, relative (k = 1).
    pub relative_uncertainty: f64,
    pub warnings: Vec<Warning>,
}

/// What the electrons' dose in water is multiplied with in a voxel of this density: the ratio of
/// masses in tissue; 1 in a gas, whose dose cannot exceed that of the water it stands in; straight
/// in between. No voxel gets more than five times the dose of water.
fn electron_scale(density_g_per_ml: f32) -> f32 {
    let own_mass = 1.0 / OWN_MASS_FROM;
    if density_g_per_ml >= OWN_MASS_FROM {
        1.0 / density_g_per_ml
    } else {
        let t = (density_g_per_ml - CAVITY_BELOW) / (OWN_MASS_FROM - CAVITY_BELOW);
        1.0 + t.max(0.0) * (own_mass - 1.0)
    }
}

/// Dose of `tia_bq_s` (time-integrated activity of each voxel, Bq s), in water or, with a density
/// (g/ml, same grid), in tissue of the voxels' own masses.
///
/// # Errors
/// [`KernelError`] for what no map can be: negative or not finite, no activity, impossible density,
/// grids that differ.
pub fn dose(
    kernel: &PointKernel,
    tia_bq_s: &Volume<f32>,
    density_g_per_ml: Option<&Volume<f32>>,
) -> Result<KernelDose, KernelError> {
    check(tia_bq_s, density_g_per_ml)?;
    let grid = tia_bq_s.grid();
    let ladder = levels::ladder(shape_ijk(grid), grid.spacing_mm());
    let mut activity = vec![tia_bq_s.as_slice().to_vec()];
    for pair in ladder.windows(2) {
        let finer = &activity[activity.len() - 1];
        activity.push(levels::gather(finer, &pair[0], &pair[1]));
    }
    let mut photons: Option<Vec<f32>> = None;
    for n in (1..ladder.len()).rev() {
        let mut here = far_photons(kernel, &ladder, n, &activity[n]);
        if let Some(coarser) = photons {
            levels::spread(&coarser, &ladder[n + 1], &mut here, &ladder[n]);
        }
        photons = Some(here);
    }
    let mut gy = near(kernel, &ladder, &activity[0], density_g_per_ml);
    if let Some(coarser) = photons {
        levels::spread(&coarser, &ladder[1], &mut gy, &ladder[0]);
    }
    // Rounding leaves values around 0 where there is no dose.
    gy.par_iter_mut().for_each(|v| *v = v.max(0.0));
    let array = Array3::from_shape_vec(grid.dim(), gy).expect("one value per voxel");
    let (u_electron, u_photon) = kernel.relative_uncertainties();
    let (electron, photon) = (kernel.short_range_kev(), kernel.photon_kev());
    Ok(KernelDose {
        gy: Volume::new(grid.clone(), array),
        relative_uncertainty: (electron * u_electron).hypot(photon * u_photon)
            / (electron + photon),
        warnings: warnings(density_g_per_ml),
    })
}

/// Voxels along i, j, k.
fn shape_ijk(grid: &Grid) -> [usize; 3] {
    let [k, j, i] = grid.shape();
    [i, j, k]
}

fn check(tia: &Volume<f32>, density: Option<&Volume<f32>>) -> Result<(), KernelError> {
    if let Some(&wrong) = tia.grid().spacing_mm().iter().find(|s| !VOXEL_SIDE_MM.contains(*s)) {
        return Err(KernelError::VoxelSide(wrong));
    }
    let values = tia.as_slice();
    if let Some(voxel) = values.par_iter().position_first(|v| !(v.is_finite() && *v >= 0.0)) {
        return Err(KernelError::Activity { voxel, bq_s: values[voxel] });
    }
    if !values.par_iter().any(|&v| v > 0.0) {
        return Err(KernelError::NoActivity);
    }
    if let Some(density) = density {
        if !tia.grid().coincides(density.grid(), GRID_TOLERANCE_MM) {
            return Err(KernelError::GridsDiffer);
        }
        let values = density.as_slice();
        if let Some(voxel) = values.par_iter().position_first(|v| !PLAUSIBLE_DENSITY.contains(v)) {
            return Err(KernelError::Density { voxel, density_g_per_ml: values[voxel] });
        }
    }
    Ok(())
}

fn warnings(density: Option<&Volume<f32>>) -> Vec<Warning> {
    let mut out = Vec::new();
    if let Some(density) = density {
        let air = density.as_slice().par_iter().filter(|&&v| v < OWN_MASS_FROM).count();
        if air > 0 {
            let text = format!(
                "{air} voxels are lighter than {OWN_MASS_FROM} g/ml: their electron dose is bounded \
                 towards that of water; use Monte Carlo where air or its edge matters"
            );
            out.push(Warning::new("kernel-dose-bounded-in-air", text));
        }
    }
    out
}

/// Gy for 1 keV in a voxel of water.
fn gy_per_kev(level: &Level) -> f64 {
    let kilogram = level.side_mm.iter().product::<f64>() * 1e-6;
    1e3 * JOULE_PER_EV / kilogram
}

/// Voxels of an octant that hold distances to `reach_mm`, no more than the grid has.
fn extent(level: &Level, reach_mm: Option<f64>) -> [usize; 3] {
    std::array::from_fn(|a| {
        let whole = level.shape[a];
        reach_mm.map_or(whole, |r| ((r / level.side_mm[a]).ceil() as usize + 1).min(whole))
    })
}

fn transform(level: &Level, extent: [usize; 3], activity: &[f32]) -> (Transform, Forward) {
    let transform = Transform::new(level.shape, extent.map(|e| e - 1));
    let forward = transform.forward(activity);
    (transform, forward)
}

/// The photons' dose (Gy in water) that level `n` is responsible for.
fn far_photons(kernel: &PointKernel, ladder: &[Level], n: usize, activity: &[f32]) -> Vec<f32> {
    let level = &ladder[n];
    let extent = extent(level, levels::reach_mm(ladder, n));
    let window = |r: f64| levels::window(ladder, n, r);
    let octant = voxel::photons(kernel, level.side_mm, extent, &window) * gy_per_kev(level);
    let (transform, forward) = transform(level, extent, activity);
    transform.convolve(&forward, &octant)
}

/// The fine level: electrons and near photons.
fn near(
    kernel: &PointKernel,
    ladder: &[Level],
    activity: &[f32],
    density: Option<&Volume<f32>>,
) -> Vec<f32> {
    let level = &ladder[0];
    let reach = levels::reach_mm(ladder, 0).map(|r| r.max(kernel.electron_reach_mm()));
    let extent = extent(level, reach);
    let window = |r: f64| levels::window(ladder, 0, r);
    let VoxelKernel { electron_kev, photon_kev } =
        voxel::windowed(kernel, level.side_mm, extent, &window);
    let (transform, forward) = transform(level, extent, activity);
    let scale = gy_per_kev(level);
    let Some(density) = density else {
        return transform.convolve(&forward, &((electron_kev + photon_kev) * scale));
    };
    let mut photons = transform.convolve(&forward, &(photon_kev * scale));
    let electrons = transform.convolve(&forward, &(electron_kev * scale));
    photons
        .par_iter_mut()
        .zip(electrons.par_iter().zip(density.as_slice()))
        .for_each(|(gy, (electron, &density))| *gy += electron * electron_scale(density));
    photons
}

#[cfg(test)]
mod tests;
