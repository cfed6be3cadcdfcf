//! Kernels of voxels of any size, by integration of the point kernel over pairs of voxels.
//!
//! A decay anywhere in a voxel sends energy to distance r in all directions. The share that lands
//! in the voxel at offset (i, j, k) is the mean over directions of the product of three triangles
//! 1 - |r u - i h| / h (the overlap of a voxel with its own shifted copy). The triangles of all
//! offsets sum to 1 for every direction and distance, so energy is kept to rounding.

use ndarray::Array3;
use rayon::prelude::*;

use super::point::PointKernel;
use super::{KernelError, VOXEL_SIDE_MM};
use crate::quantity::JOULE_PER_EV;
use crate::quantity::nuclide::Nuclide;

/// Shells to the smallest voxel side, and steps of direction along an arc of one side.
const SHELLS_PER_SIDE: f64 = 5.0;
const SHELLS_PER_REACH: f64 = 250.0;
const DIRECTIONS_PER_SIDE: f64 = 2.5;
/// Directions along each angle of an octant, at least.
const LEAST_DIRECTIONS: usize = 32;
/// Largest octant that is printed.
const LARGEST_OCTANT: usize = 64;
/// mGy/(MBq s) for 1 Gy/(Bq s).
const MGY_PER_MBQ_S: f64 = 1e9;

/// Energy of a point kernel in thin shells: mean radius (mm) and energy (keV).
type Shells = Vec<(f64, f64)>;

/// Electrons and alphas: shells whose radius is the mean distance of what they hold.
fn electron_shells(kernel: &PointKernel, coarsest: f64) -> Shells {
    const PARTS: usize = 4;
    let end = kernel.electron_reach_mm();
    // Neighbours across an edge or a corner get energy as the second and third power of r: shells
    // must be thin against the electrons' range, not only against the voxel.
    let step = coarsest.min(end / SHELLS_PER_REACH);
    let mut within = kernel.short_range_within_kev(0.0);
    let mut shells = vec![(0.0, within)];
    let mut inner = 0.0;
    while inner < end {
        let (mut energy, mut moment) = (0.0, 0.0);
        for part in 0..PARTS {
            let low = inner + step * part as f64 / PARTS as f64;
            let high = inner + step * (part + 1) as f64 / PARTS as f64;
            let next = kernel.short_range_within_kev(high);
            let middle = 0.5 * (low + high);
            energy += next - within;
            moment += (next - within) * middle;
            within = next;
        }
        if energy > 0.0 {
            shells.push((moment / energy, energy));
        }
        inner += step;
    }
    shells.retain(|s| s.1 > 0.0);
    shells
}

/// Photons to `end`, by Simpson's rule in each shell.
fn photon_shells(kernel: &PointKernel, step: f64, end: f64, window: &dyn Fn(f64) -> f64) -> Shells {
    let at = |r: f64| kernel.photon_kev_per_mm(r) * window(r);
    let mut shells = Vec::new();
    let mut low = 0.0;
    let mut start = at(0.0);
    while low < end {
        let high = low + step;
        let (middle, stop) = (at(low + step / 2.0), at(high));
        let energy = step / 6.0 * (start + 4.0 * middle + stop);
        if energy > 0.0 {
            shells.push((low + step / 2.0, energy));
        }
        (low, start) = (high, stop);
    }
    shells
}

/// Spreads shells over the offsets of an octant of `extent` voxels (i, j, k) of `side_mm`.
/// What lands beyond the octant is left out.
fn spread(shells: &Shells, side_mm: [f64; 3], extent: [usize; 3]) -> Array3<f64> {
    // Fixed parts, summed in order: the same bits for any number of threads.
    const PARTS: usize = 16;
    let partial: Vec<Array3<f64>> = (0..PARTS)
        .into_par_iter()
        .map(|part| {
            let mut sum = Array3::zeros((extent[2] + 1, extent[1] + 1, extent[0] + 1));
            for shell in shells.iter().skip(part).step_by(PARTS) {
                spread_shell(&mut sum, *shell, side_mm);
            }
            sum
        })
        .collect();
    let mut total = Array3::zeros((extent[2] + 1, extent[1] + 1, extent[0] + 1));
    for part in &partial {
        total += part;
    }
    // Off the middle planes an octant's directions stand for two, four or eight voxels.
    let mut out = total.slice(ndarray::s![..extent[2], ..extent[1], ..extent[0]]).to_owned();
    for ((k, j, i), value) in out.indexed_iter_mut() {
        let copies = [i, j, k].iter().filter(|&&x| x > 0).count();
        *value /= f64::from(1u32 << copies);
    }
    out
}

fn spread_shell(sum: &mut Array3<f64>, (r, energy): (f64, f64), side_mm: [f64; 3]) {
    let least = side_mm.iter().copied().fold(f64::INFINITY, f64::min);
    let n = ((DIRECTIONS_PER_SIDE * r / least).ceil() as usize).max(LEAST_DIRECTIONS);
    let step = std::f64::consts::FRAC_PI_2 / n as f64;
    let angle = |a: usize| (step * (a as f64 + 0.5)).sin_cos();
    // Rings by polar angle, each with its share of the octant; the shares sum to 1 exactly.
    let whole: f64 = (0..n).map(|a| angle(a).0).sum();
    for a in 0..n {
        let (sin, cos) = angle(a);
        let share = energy * sin / (whole * n as f64);
        let (k, in_k) = cell(r * cos / side_mm[2]);
        if k >= sum.dim().0 {
            continue;
        }
        for b in 0..n {
            let (sin_phi, cos_phi) = angle(b);
            let (i, in_i) = cell(r * sin * cos_phi / side_mm[0]);
            let (j, in_j) = cell(r * sin * sin_phi / side_mm[1]);
            add(sum, [k, j, i], [in_k, in_j, in_i], share);
        }
    }
}

/// Voxel and place in it: the triangles of this one and the next have weights 1 - t and t.
fn cell(x: f64) -> (usize, f64) {
    let whole = x as usize;
    (whole, x - whole as f64)
}

fn add(sum: &mut Array3<f64>, at: [usize; 3], t: [f64; 3], share: f64) {
    let weight = |axis: usize, next: usize| if next == 1 { t[axis] } else { 1.0 - t[axis] };
    for dk in 0..2 {
        for dj in 0..2 {
            let plane = share * weight(0, dk) * weight(1, dj);
            for di in 0..2 {
                if let Some(value) = sum.get_mut([at[0] + dk, at[1] + dj, at[2] + di]) {
                    *value += plane * weight(2, di);
                }
            }
        }
    }
}

/// Longest distance in an octant, mm.
fn diagonal_mm(side_mm: [f64; 3], extent: [usize; 3]) -> f64 {
    (0..3).map(|a| (side_mm[a] * extent[a] as f64).powi(2)).sum::<f64>().sqrt()
}

fn step_mm(side_mm: [f64; 3]) -> f64 {
    side_mm.iter().copied().fold(f64::INFINITY, f64::min) / SHELLS_PER_SIDE
}

/// The photons' part for voxels of `side_mm` (i, j, k), an octant of `extent` voxels along each
/// axis, as far as `window` (0 to 1 by distance in mm) takes it; keV per decay.
pub(super) fn photons(
    kernel: &PointKernel,
    side_mm: [f64; 3],
    extent: [usize; 3],
    window: &dyn Fn(f64) -> f64,
) -> Array3<f64> {
    let end = diagonal_mm(side_mm, extent);
    spread(&photon_shells(kernel, step_mm(side_mm), end, window), side_mm, extent)
}

/// The electrons' and alphas' part, whole; keV per decay.
pub(super) fn electrons(
    kernel: &PointKernel,
    side_mm: [f64; 3],
    extent: [usize; 3],
) -> Array3<f64> {
    spread(&electron_shells(kernel, step_mm(side_mm)), side_mm, extent)
}

/// A voxel S value in water.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SValue {
    pub i: usize,
    pub j: usize,
    pub k: usize,
    /// Mean absorbed dose per decay in the source voxel, mGy/(MBq s).
    pub mgy_per_mbq_s: f64,
    /// Statistical, of the tables (k = 1).
    pub relative_uncertainty: f64,
}

/// Energy per decay (keV) that a voxel of `side_mm` (i, j, k) of water keeps of its own decays: that
/// of electrons and alphas, and that of photons.
///
/// # Errors
/// [`KernelError::VoxelSide`] for an impossible side.
pub fn own_voxel_kev(kernel: &PointKernel, side_mm: [f64; 3]) -> Result<(f64, f64), KernelError> {
    if let Some(&wrong) = side_mm.iter().find(|s| !VOXEL_SIDE_MM.contains(*s)) {
        return Err(KernelError::VoxelSide(wrong));
    }
    let electron = electrons(kernel, side_mm, [1; 3])[[0, 0, 0]];
    let photon = photons(kernel, side_mm, [1; 3], &|_| 1.0)[[0, 0, 0]];
    Ok((electron, photon))
}

/// Voxel S values in water of 1 g/ml for voxels of `side_mm` (i, j, k), the first octant of `size`
/// voxels along each axis, centre first, i fastest.
///
/// # Errors
/// [`KernelError`] for a nuclide without data, an impossible side or size.
pub fn s_values(
    nuclide: &Nuclide,
    side_mm: [f64; 3],
    size: usize,
) -> Result<Vec<SValue>, KernelError> {
    if let Some(&wrong) = side_mm.iter().find(|s| !VOXEL_SIDE_MM.contains(*s)) {
        return Err(KernelError::VoxelSide(wrong));
    }
    if size == 0 || size > LARGEST_OCTANT {
        return Err(KernelError::Size(size, LARGEST_OCTANT));
    }
    let point = PointKernel::of(nuclide)?;
    let electron_kev = electrons(&point, side_mm, [size; 3]);
    let photon_kev = photons(&point, side_mm, [size; 3], &|_| 1.0);
    let gram = side_mm.iter().product::<f64>() * 1e-3;
    let per_kev = 1e3 * JOULE_PER_EV / (gram * 1e-3) * MGY_PER_MBQ_S;
    let (u_electron, u_photon) = point.relative_uncertainties();
    let values = electron_kev.indexed_iter().map(|((k, j, i), &electron)| {
        let photon = photon_kev[[k, j, i]];
        let both = electron + photon;
        SValue {
            i,
            j,
            k,
            mgy_per_mbq_s: both * per_kev,
            relative_uncertainty: (electron * u_electron).hypot(photon * u_photon) / both,
        }
    });
    Ok(values.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(all: &[SValue], i: usize, j: usize, k: usize) -> f64 {
        all.iter().find(|s| (s.i, s.j, s.k) == (i, j, k)).unwrap().mgy_per_mbq_s
    }

    #[test]
    fn published_voxel_s_values() {
        // mGy/(MBq s), EGSnrc in water: 000, 100, 110, 111, 200.
        // ICRP 107 gives 177Lu 35.10 keV of photons, ENSDF (in use) 33.41: the last two are photons'.
        const LU_177_PHOTONS: f64 = 33.41 / 35.10;
        let mut missed = Vec::new();
        for (name, side, expected) in [
            (
                "Lu-177",
                3.0,
                [0.7816, 1.613e-2, 6.56e-4, 9.02e-5 * LU_177_PHOTONS, 4.13e-5 * LU_177_PHOTONS],
            ),
            ("Y-90", 3.0, [1.6005, 0.2812, 9.905e-2, 4.54e-2, 2.27e-2]),
            ("Y-90", 6.0, [0.3480, 3.983e-2, 7.39e-3, 1.66e-3, 1.74e-4]),
            ("I-131", 3.0, [0.9516, 3.201e-2, 2.587e-3, 7.72e-4, 4.72e-4]),
        ] {
            let all = s_values(&Nuclide::parse(name).unwrap(), [side; 3], 4).unwrap();
            let found = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [2, 0, 0]]
                .map(|[i, j, k]| value(&all, i, j, k));
            // Self, first neighbour, diagonals, photons.
            let tolerance = [0.015, 0.03, 0.04, 0.10, 0.10];
            for n in 0..5 {
                let off = found[n] / expected[n] - 1.0;
                println!("{name} {side} mm [{n}] {:.4e} {:+.2} %", found[n], 100.0 * off);
            }
            let off = |n: usize| (found[n] / expected[n] - 1.0).abs();
            missed.extend((0..5).filter(|&n| off(n) > tolerance[n]).map(|n| (name, side, n)));
        }
        assert!(missed.is_empty(), "{missed:?}");
    }

    #[test]
    fn energy_is_kept_for_any_voxel() {
        let nuclide = Nuclide::parse("Y-90").unwrap();
        let point = PointKernel::of(&nuclide).unwrap();
        for side in [[1.0, 1.0, 1.0], [4.0, 4.0, 3.0], [2.0, 2.0, 8.0], [9.0, 5.0, 2.5]] {
            let extent = side.map(|s| (14.0 / s) as usize + 3);
            let kernel = electrons(&point, side, extent);
            let mut sum = 0.0;
            for ((k, j, i), e) in kernel.indexed_iter() {
                let copies = [i, j, k].iter().filter(|&&x| x > 0).count();
                sum += e * f64::from(1u32 << copies);
            }
            let off = sum / point.short_range_kev() - 1.0;
            assert!(off.abs() < 1e-9, "{side:?}: {off:e}");
        }
    }

    #[test]
    fn small_voxels_add_up_to_large_ones() {
        let nuclide = Nuclide::parse("Y-90").unwrap();
        let point = PointKernel::of(&nuclide).unwrap();
        let fine = electrons(&point, [2.0; 3], [10; 3]);
        let coarse = electrons(&point, [4.0; 3], [4; 3]);
        // Energy from a block of 2x2x2 to the block beside it, from the fine kernel.
        let at = |x: i32| x.unsigned_abs() as usize;
        for (block, expected) in [(0, coarse[[0, 0, 0]]), (1, coarse[[0, 0, 1]])] {
            let mut sum = 0.0;
            for n in 0..64 {
                let bit = |b: i32| (n >> b) & 1;
                let (di, dj, dk) = (2 * block + bit(0) - bit(3), bit(1) - bit(4), bit(2) - bit(5));
                sum += fine[[at(dk), at(dj), at(di)]] / 8.0;
            }
            assert!((sum / expected - 1.0).abs() < 2e-3, "{block}: {sum} against {expected}");
        }
    }

    #[test]
    fn impossible_kernels_are_refused() {
        let nuclide = Nuclide::parse("Lu-177").unwrap();
        for side in [0.0, -3.0, f64::NAN, f64::INFINITY, 1e3] {
            assert!(matches!(
                s_values(&nuclide, [3.0, 3.0, side], 3),
                Err(KernelError::VoxelSide(_))
            ));
        }
        assert!(matches!(s_values(&nuclide, [3.0; 3], 0), Err(KernelError::Size(..))));
        assert!(matches!(s_values(&nuclide, [3.0; 3], 65), Err(KernelError::Size(..))));
        let stable = Nuclide::parse("Hf-177").unwrap();
        assert!(matches!(s_values(&stable, [3.0; 3], 3), Err(KernelError::Nuclide(_))));
    }
}
