//! Spheres in the hottest part of a region: how a concentration is sampled where the region's edge
//! has lost activity to blur (177Lu kidneys: Sandström et al., J Nucl Med 54 (2013) 33).

use super::{SegmentError, constants};
use crate::quantity::Millimetre;
use crate::volume::{Grid, Occupancy, Volume};

/// Lines that cross one voxel along each of two axes; along the third the chord is exact.
const LINES: usize = 16;

/// What spheres found.
#[derive(Debug, Clone, PartialEq)]
pub struct Spheres {
    /// All of them together; they do not overlap.
    pub occupancy: Occupancy,
    /// Patient position of each centre, LPS mm, hottest first.
    pub centres_lps_mm: Vec<[f64; 3]>,
}

/// The fraction of each voxel that a sphere fills.
pub fn sphere(grid: &Grid, centre_lps_mm: [f64; 3], diameter: Millimetre) -> Occupancy {
    let centre = grid.lps_to_voxel(centre_lps_mm);
    let voxels = filled(grid.spacing_mm(), centre, diameter.value() / 2.0);
    let shape = grid.shape();
    let inside = |at: [i64; 3]| (0..3).all(|a| at[a] >= 0 && at[a] < shape[2 - a] as i64);
    let linear = |at: [i64; 3]| grid.linear(at[2] as usize, at[1] as usize, at[0] as usize) as u32;
    Occupancy::new(
        voxels.into_iter().filter(|(at, _)| inside(*at)).map(|(at, f)| (linear(at), f)).collect(),
    )
}

/// (voxel [i, j, k], filled fraction) of a sphere around `centre`, in voxels.
fn filled(spacing: [f64; 3], centre: [f64; 3], radius_mm: f64) -> Vec<([i64; 3], f32)> {
    let reach = |a: usize| {
        let half = radius_mm / spacing[a];
        (centre[a] - half - 0.5).ceil() as i64..=(centre[a] + half + 0.5).floor() as i64
    };
    let mut voxels = Vec::new();
    for k in reach(2) {
        for j in reach(1) {
            for i in reach(0) {
                let f = fraction(spacing, [i, j, k].map(|n| n as f64), centre, radius_mm);
                if f > 0.0 {
                    voxels.push(([i, j, k], f as f32));
                }
            }
        }
    }
    voxels
}

/// Part of one voxel inside the sphere: mean over lines along k of the part of each in the sphere.
fn fraction(spacing: [f64; 3], voxel: [f64; 3], centre: [f64; 3], radius: f64) -> f64 {
    let from: [f64; 3] = std::array::from_fn(|a| (voxel[a] - centre[a]) * spacing[a]);
    let [low, high] = [-0.5, 0.5].map(|half| from[2] + half * spacing[2]);
    let mut sum = 0.0;
    for n in 0..LINES * LINES {
        let at = [n % LINES, n / LINES].map(|m| (m as f64 + 0.5) / LINES as f64 - 0.5);
        let [x, y] = [0, 1].map(|a| from[a] + at[a] * spacing[a]);
        let chord = radius * radius - x * x - y * y;
        if chord > 0.0 {
            let half = chord.sqrt();
            sum += (high.min(half) - low.max(-half)).max(0.0);
        }
    }
    sum / (spacing[2] * (LINES * LINES) as f64)
}

/// At most `count` spheres wholly inside of a region, centred on voxels: the one with the highest
/// mean first, then the highest that does not overlap those before it, and so on. The first voxel
/// wins where means are equal.
///
/// # Errors
/// [`SegmentError::NoSphereFits`] where the region holds not even one.
pub fn hottest_spheres(
    values: &Volume<f32>,
    within: &Occupancy,
    diameter: Millimetre,
    count: usize,
) -> Result<Spheres, SegmentError> {
    let grid = values.grid();
    let kernel = filled(grid.spacing_mm(), [0.0; 3], diameter.value() / 2.0);
    let whole: f64 = kernel.iter().map(|(_, f)| f64::from(*f)).sum();
    let mut inside = vec![0.0f32; grid.len()];
    within.iter().for_each(|(n, f)| inside[n] = f);
    let [slices, rows, columns] = grid.shape();
    let mut candidates: Vec<(f64, usize)> = Vec::new();
    for (n, _) in within.iter() {
        let at = grid.place(n).map(|x| x as i64);
        let (mut held, mut sum) = (0.0, 0.0);
        for (offset, f) in &kernel {
            let [i, j, k] = std::array::from_fn(|a| at[a] + offset[a]);
            let bounds = [(i, columns), (j, rows), (k, slices)];
            if bounds.iter().all(|&(x, count)| x >= 0 && x < count as i64) {
                let voxel = grid.linear(k as usize, j as usize, i as usize);
                held += f64::from(f * inside[voxel]);
                sum += f64::from(*f) * f64::from(values.as_slice()[voxel]);
            }
        }
        if held >= constants().sphere_inside_min.value * whole {
            candidates.push((sum / whole, n));
        }
    }
    candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let position = |n: usize| grid.voxel_to_lps(grid.place(n).map(|x| x as f64));
    let mut centres: Vec<[f64; 3]> = Vec::new();
    for (_, n) in candidates {
        if centres.len() == count {
            break;
        }
        let at = position(n);
        let apart = |other: &[f64; 3]| {
            (0..3).map(|a| (at[a] - other[a]).powi(2)).sum::<f64>().sqrt() >= diameter.value()
        };
        if centres.iter().all(apart) {
            centres.push(at);
        }
    }
    if centres.is_empty() {
        return Err(SegmentError::NoSphereFits { diameter_mm: diameter.value() });
    }
    // A voxel that two touching spheres share holds the sum of both.
    let mut together = std::collections::BTreeMap::<usize, f32>::new();
    for centre in &centres {
        for (n, f) in sphere(grid, *centre, diameter).iter() {
            *together.entry(n).or_default() += f;
        }
    }
    let occupancy = Occupancy::new(together.into_iter().map(|(n, f)| (n as u32, f)).collect());
    Ok(Spheres { occupancy, centres_lps_mm: centres })
}
