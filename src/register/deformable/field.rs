//! A field of displacements on the fixed image's grid.

use super::smooth::{Beyond, smooth};
use crate::volume::Grid;
use rayon::prelude::*;

/// Displacements at every voxel's centre, mm along the grid's own axes i, j, k.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub grid: Grid,
    pub mm: Vec<[f32; 3]>,
}

impl Field {
    pub fn none(grid: &Grid) -> Self {
        Self { grid: grid.clone(), mm: vec![[0.0; 3]; grid.len()] }
    }

    /// The same field at another grid's voxels; the grids' axes are parallel.
    pub fn on(&self, grid: &Grid) -> Self {
        let mm = (0..grid.len())
            .into_par_iter()
            .map(|n| {
                self.at(self.grid.lps_to_voxel(grid.voxel_to_lps(grid.place(n).map(|x| x as f64))))
            })
            .collect();
        Self { grid: grid.clone(), mm }
    }

    /// Trilinear at a fractional index; beyond the border as at the border.
    pub fn at(&self, place: [f64; 3]) -> [f32; 3] {
        let shape = self.grid.shape();
        let strides = [1, shape[2], shape[2] * shape[1]];
        let (mut first, mut step, mut part) = (0, [0; 3], [0.0f32; 3]);
        for axis in 0..3 {
            let last = shape[2 - axis] - 1;
            let inside = place[axis].clamp(0.0, last as f64);
            let low = (inside as usize).min(last.saturating_sub(1));
            first += low * strides[axis];
            step[axis] = if last > 0 { strides[axis] } else { 0 };
            part[axis] = (inside - low as f64) as f32;
        }
        let mut sum = [0.0f32; 3];
        for corner in 0..8usize {
            let (mut at, mut weight) = (first, 1.0f32);
            for axis in 0..3 {
                let upper = corner >> axis & 1;
                at += upper * step[axis];
                weight *= if upper == 1 { part[axis] } else { 1.0 - part[axis] };
            }
            let vector = self.mm[at];
            (0..3).for_each(|c| sum[c] += weight * vector[c]);
        }
        sum
    }

    /// First the step, then this field: d(x) = u(x) + d(x + u(x)).
    pub fn after(&self, step: &[[f32; 3]]) -> Self {
        let spacing = self.grid.spacing_mm();
        let mm = step
            .par_iter()
            .enumerate()
            .map(|(n, u)| {
                let from = self.grid.place(n).map(|x| x as f64);
                let there = std::array::from_fn(|a| from[a] + f64::from(u[a]) / spacing[a]);
                let d = self.at(there);
                std::array::from_fn(|a| u[a] + d[a])
            })
            .collect();
        Self { grid: self.grid.clone(), mm }
    }

    /// Gaussian means, `sigma_mm` wide.
    pub fn smooth(&mut self, sigma_mm: f64) {
        let sigma = self.grid.spacing_mm().map(|edge| sigma_mm / edge);
        let mut flat = self.mm.as_flattened().to_vec();
        smooth(&mut flat, 3, self.grid.shape(), sigma, Beyond::Border);
        self.mm = flat.as_chunks::<3>().0.to_vec();
    }

    /// Root of the mean square of the difference, mm.
    pub fn apart(&self, other: &Self) -> f64 {
        let square = |a: &[f32; 3], b: &[f32; 3]| -> f64 {
            (0..3).map(|c| f64::from(a[c] - b[c]).powi(2)).sum()
        };
        // In order: the sum does not depend on the number of threads.
        let sum: f64 = self.mm.iter().zip(&other.mm).map(|(a, b)| square(a, b)).sum();
        (sum / self.mm.len() as f64).sqrt()
    }
}
