//! What pulls the moving image onto the fixed one, at one level.
//!
//! The symmetric force of demons (half the sum of both images' gradients, Vercauteren et al.,
//! NeuroImage 45 (2009) S61), not voxel by voxel but as the least-squares step of all voxels in a
//! Gaussian window (Lucas and Kanade 1981): (⟨J Jᵀ⟩ + ⟨d²⟩/K² 1) u = ⟨J d⟩. Where a window holds edges in
//! every direction the step is the right one at once; where it holds noise, d² damps it; no step is longer than
//! about K.

use super::field::Field;
use super::smooth::{Beyond, smooth};
use crate::register::correlation::value;
use crate::volume::transform::Affine;
use crate::volume::{Grid, Volume};
use rayon::prelude::*;

/// Numbers a voxel: six of the symmetric matrix, three of the right side.
const SUMS: usize = 9;

/// Two images of one level, the second one to be seen through a map and a field.
pub(super) struct Pair<'a> {
    fixed: &'a Volume<f32>,
    moving: &'a Volume<f32>,
    gradient: Vec<[f32; 3]>,
    /// Index of a fixed voxel to index of a moving one.
    matrix: [[f64; 3]; 3],
    shift: [f64; 3],
}

impl<'a> Pair<'a> {
    pub fn new(fixed: &'a Volume<f32>, moving: &'a Volume<f32>, map: &Affine) -> Self {
        let at = |ijk| moving.grid().lps_to_voxel(map.map(fixed.grid().voxel_to_lps(ijk)));
        let shift = at([0.0; 3]);
        let mut matrix = [[0.0; 3]; 3];
        for axis in 0..3 {
            let mut unit = [0.0; 3];
            unit[axis] = 1.0;
            let end = at(unit);
            (0..3).for_each(|r| matrix[r][axis] = end[r] - shift[r]);
        }
        let gradient = gradient(fixed.as_slice(), fixed.grid());
        Self { fixed, moving, gradient, matrix, shift }
    }

    /// The moving image at the fixed voxels as the field displaces them; NaN where it does not reach.
    pub fn seen(&self, field: &Field) -> Vec<f32> {
        let grid = self.fixed.grid();
        let spacing = grid.spacing_mm();
        let look = |(n, d): (usize, &[f32; 3])| {
            let from = grid.place(n).map(|x| x as f64);
            let p: [f64; 3] = std::array::from_fn(|a| from[a] + f64::from(d[a]) / spacing[a]);
            let place = std::array::from_fn(|r| {
                let row = &self.matrix[r];
                row[0] * p[0] + row[1] * p[1] + row[2] * p[2] + self.shift[r]
            });
            value(self.moving, place).map_or(f32::NAN, |v| v as f32)
        };
        field.mm.par_iter().enumerate().map(look).collect()
    }

    /// The step at every voxel, mm along the grid's axes.
    pub fn step(&self, field: &Field, window_mm: f64, longest_mm: f64) -> Vec<[f32; 3]> {
        let grid = self.fixed.grid();
        let seen = self.seen(field);
        let there = gradient(&seen, grid);
        let damping = (1.0 / (longest_mm * longest_mm)) as f32;
        let mut sums = vec![0.0f32; SUMS * grid.len()];
        sums.par_chunks_mut(SUMS).enumerate().for_each(|(n, sums)| {
            let d = self.fixed.as_slice()[n] - seen[n];
            let [x, y, z]: [f32; 3] =
                std::array::from_fn(|a| 0.5 * (self.gradient[n][a] + there[n][a]));
            if (d + x + y + z).is_nan() {
                return;
            }
            let r = damping * d * d;
            sums.copy_from_slice(&[
                x * x + r,
                x * y,
                x * z,
                y * y + r,
                y * z,
                z * z + r,
                x * d,
                y * d,
                z * d,
            ]);
        });
        let sigma = grid.spacing_mm().map(|edge| window_mm / edge);
        smooth(&mut sums, SUMS, grid.shape(), sigma, Beyond::Nothing);
        sums.par_chunks(SUMS).map(solve).collect()
    }
}

/// Solves the symmetric equations of one voxel; no step where they say nothing.
fn solve(sums: &[f32]) -> [f32; 3] {
    let s: [f64; SUMS] = std::array::from_fn(|n| f64::from(sums[n]));
    // A little of the trace: a direction without an edge gets no step of its own.
    let little = 1e-3 * (s[0] + s[3] + s[5]);
    let (a, b, c, d, e, f) = (s[0] + little, s[1], s[2], s[3] + little, s[4], s[5] + little);
    let minors = [d * f - e * e, c * e - b * f, b * e - c * d];
    let determinant = a * minors[0] + b * minors[1] + c * minors[2];
    if determinant <= f64::from(f32::MIN_POSITIVE) {
        return [0.0; 3];
    }
    let rows = [
        minors,
        [minors[1], a * f - c * c, b * c - a * e],
        [minors[2], b * c - a * e, a * d - b * b],
    ];
    rows.map(|row| ((row[0] * s[6] + row[1] * s[7] + row[2] * s[8]) / determinant) as f32)
}

/// Differences of neighbours, per mm along the grid's axes; NaN where a neighbour is.
fn gradient(values: &[f32], grid: &Grid) -> Vec<[f32; 3]> {
    let [slices, rows, columns] = grid.shape();
    let (counts, strides) = ([columns, rows, slices], [1, columns, columns * rows]);
    let edges = grid.spacing_mm();
    let of = |n: usize| {
        let at = grid.place(n);
        std::array::from_fn(|a| {
            let low = if at[a] > 0 { n - strides[a] } else { n };
            let high = if at[a] + 1 < counts[a] { n + strides[a] } else { n };
            let apart = ((high - low) / strides[a]) as f64 * edges[a];
            if apart == 0.0 { 0.0 } else { (values[high] - values[low]) / apart as f32 }
        })
    };
    (0..values.len()).into_par_iter().map(of).collect()
}
