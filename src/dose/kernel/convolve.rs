//! Dose from a map of time-integrated activity, by convolution on a ladder of grids.
//!
//! Electrons and alphas deposit their energy within millimetres of where they start: their energy
//! in a voxel is divided by the voxel's own mass. Photons bring every tissue about the same dose
//! as water at that place, whatever its density: theirs is not scaled. See [`electron_scale`] for
//! air, and `docs/methods/kernel.md` for where this holds.

use ndarray::Array3;
use rayon::prelude::*;

use super::levels::{self, Level};
use super::transform::{Kernel, Transform};
use super::voxel;
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

/// Kernels made ready for one nuclide and one grid's shape and spacing; serves any number of maps.
pub struct KernelPlan {
    shape: [usize; 3],
    side_mm: [f64; 3],
    ladder: Vec<Level>,
    /// Electrons and alphas on the fine grid, Gy in water per Bq s.
    electrons: Kernel,
    /// Photons on each grid of the ladder, Gy in water per Bq s.
    photons: Vec<Kernel>,
    /// Of each grid of the ladder.
    transforms: Vec<Transform>,
    relative_uncertainty: f64,
}

/// Dose of `tia_bq_s` (time-integrated activity of each voxel, Bq s), in water or, with a density
/// (g/ml, same grid), in tissue of the voxels' own masses.
///
/// # Errors
/// See [`KernelPlan::new`] and [`KernelPlan::dose`].
pub fn dose(
    kernel: &PointKernel,
    tia_bq_s: &Volume<f32>,
    density_g_per_ml: Option<&Volume<f32>>,
) -> Result<KernelDose, KernelError> {
    KernelPlan::new(kernel, tia_bq_s.grid())?.dose(tia_bq_s, density_g_per_ml)
}

impl KernelPlan {
    /// Integrates the kernel for the voxels of `grid`.
    ///
    /// # Errors
    /// [`KernelError::VoxelSide`] for voxels that no kernel is made for.
    pub fn new(kernel: &PointKernel, grid: &Grid) -> Result<Self, KernelError> {
        let side_mm = grid.spacing_mm();
        if let Some(&wrong) = side_mm.iter().find(|s| !VOXEL_SIDE_MM.contains(*s)) {
            return Err(KernelError::VoxelSide(wrong));
        }
        let ladder = levels::ladder(shape_ijk(grid), side_mm);
        let mut photons = Vec::new();
        let mut transforms = Vec::new();
        let electron_reach = kernel.electron_reach_mm();
        let reach_mm = |n| {
            let reach = levels::reach_mm(&ladder, n);
            reach.map(|r| if n == 0 { r.max(electron_reach) } else { r })
        };
        let fine_extent = extent(&ladder[0], reach_mm(0));
        for (n, level) in ladder.iter().enumerate() {
            let extent = extent(level, reach_mm(n));
            let window = |r: f64| levels::window(&ladder, n, r);
            let scale = gy_per_kev(level);
            let transform = Transform::new(level.shape, extent.map(|e| e - 1));
            let octant = voxel::photons(kernel, level.side_mm, extent, &window) * scale;
            photons.push(transform.kernel(&octant));
            transforms.push(transform);
        }
        let octant = voxel::electrons(kernel, side_mm, fine_extent) * gy_per_kev(&ladder[0]);
        let electrons = transforms[0].kernel(&octant);
        let (u_electron, u_photon) = kernel.relative_uncertainties();
        let (electron, photon) = (kernel.short_range_kev(), kernel.photon_kev());
        Ok(Self {
            shape: grid.shape(),
            side_mm,
            ladder,
            electrons,
            photons,
            transforms,
            relative_uncertainty: (electron * u_electron).hypot(photon * u_photon)
                / (electron + photon),
        })
    }

    /// Dose of `tia_bq_s` on the plan's grid; see [`dose`].
    ///
    /// # Errors
    /// [`KernelError`] for what no map can be: negative or not finite, no activity, impossible
    /// density, grids that differ.
    pub fn dose(
        &self,
        tia_bq_s: &Volume<f32>,
        density_g_per_ml: Option<&Volume<f32>>,
    ) -> Result<KernelDose, KernelError> {
        let grid = tia_bq_s.grid();
        if grid.shape() != self.shape || grid.spacing_mm() != self.side_mm {
            return Err(KernelError::GridsDiffer);
        }
        check(tia_bq_s, density_g_per_ml)?;
        let far = self.far_photons(tia_bq_s.as_slice());
        let mut gy = self.near(tia_bq_s.as_slice(), density_g_per_ml);
        if let Some(coarse) = far {
            levels::spread(&coarse, &self.ladder[1], &mut gy, &self.ladder[0]);
        }
        // Rounding leaves values around 0 where there is no dose.
        gy.par_iter_mut().for_each(|v| *v = v.max(0.0));
        let array = Array3::from_shape_vec(grid.dim(), gy).expect("one value per voxel");
        Ok(KernelDose {
            gy: Volume::new(grid.clone(), array),
            relative_uncertainty: self.relative_uncertainty,
            warnings: warnings(density_g_per_ml),
        })
    }

    /// Photon dose in water of all the coarser grids, on the second.
    fn far_photons(&self, fine: &[f32]) -> Option<Vec<f32>> {
        let mut activity: Vec<Vec<f32>> = Vec::new();
        for pair in self.ladder.windows(2) {
            let finer = activity.last().map_or(fine, Vec::as_slice);
            activity.push(levels::gather(finer, &pair[0], &pair[1]));
        }
        let mut coarser: Option<Vec<f32>> = None;
        for n in (1..self.ladder.len()).rev() {
            let [mut here] = self.transforms[n].convolve(&activity[n - 1], [&self.photons[n]]);
            if let Some(coarse) = coarser {
                levels::spread(&coarse, &self.ladder[n + 1], &mut here, &self.ladder[n]);
            }
            coarser = Some(here);
        }
        coarser
    }

    /// The fine grid: electrons and near photons.
    fn near(&self, activity: &[f32], density: Option<&Volume<f32>>) -> Vec<f32> {
        let transform = &self.transforms[0];
        let Some(density) = density else {
            let both = self.electrons.plus(&self.photons[0]);
            let [gy] = transform.convolve(activity, [&both]);
            return gy;
        };
        let kernels = [&self.photons[0], &self.electrons];
        let [mut photons, electrons] = transform.convolve(activity, kernels);
        photons
            .par_iter_mut()
            .zip(electrons.par_iter().zip(density.as_slice()))
            .for_each(|(gy, (electron, &density))| *gy += electron * electron_scale(density));
        photons
    }
}

/// Voxels along i, j, k.
fn shape_ijk(grid: &Grid) -> [usize; 3] {
    let [k, j, i] = grid.shape();
    [i, j, k]
}

fn check(tia: &Volume<f32>, density: Option<&Volume<f32>>) -> Result<(), KernelError> {
    let values = tia.as_slice();
    if let Some(voxel) = first(values, |v| !(v.is_finite() && v >= 0.0)) {
        return Err(KernelError::Activity { voxel, bq_s: values[voxel] });
    }
    if first(values, |v| v > 0.0).is_none() {
        return Err(KernelError::NoActivity);
    }
    if let Some(density) = density {
        if !tia.grid().coincides(density.grid(), GRID_TOLERANCE_MM) {
            return Err(KernelError::GridsDiffer);
        }
        let values = density.as_slice();
        if let Some(voxel) = first(values, |v| !PLAUSIBLE_DENSITY.contains(&v)) {
            return Err(KernelError::Density { voxel, density_g_per_ml: values[voxel] });
        }
    }
    Ok(())
}

/// The first voxel that is so. Asked run by run without a way out of a run: a search that may end at
/// every voxel took longer than the transforms.
fn first(values: &[f32], is_so: impl Fn(f32) -> bool + Sync) -> Option<usize> {
    const RUN: usize = 1 << 14;
    let any = |run: &[f32]| run.iter().fold(false, |any, &v| any | is_so(v));
    let run = values.par_chunks(RUN).position_first(any)?;
    values[run * RUN..].iter().position(|&v| is_so(v)).map(|n| run * RUN + n)
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

#[cfg(test)]
mod tests;
