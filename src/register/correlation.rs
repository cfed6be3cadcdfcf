//! Correlation of two images under a map, with the normal equations of the step that raises it.
//!
//! The fixed image is explained by gain × moving + offset. At the best gain and offset the residual's
//! sum of squares is (1 − r²) times the fixed image's, so the Gauss-Newton step of this least-squares
//! problem climbs the correlation r.

use super::motion::Motion;
use crate::volume::Volume;
use crate::volume::transform::Affine;
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

/// Gain, offset and at most twelve parameters of motion.
const COLUMNS_MAX: usize = 14;
/// Fixed division of work: sums do not depend on the number of threads.
const CHUNK: usize = 2048;
/// Fewer common samples than this say nothing.
const SAMPLES_MIN: usize = 64;

/// Sums over all fixed voxels that the moving image covers.
#[derive(Debug, Clone, Copy)]
struct Sums {
    samples: usize,
    /// Σ of products of columns: moving value, 1, derivatives by each parameter.
    columns: [[f64; COLUMNS_MAX]; COLUMNS_MAX],
    /// Σ of each column times the fixed value.
    right: [f64; COLUMNS_MAX],
    fixed: f64,
    fixed_squared: f64,
}

/// What one evaluation says.
#[derive(Debug, Clone)]
pub(super) struct Normal {
    pub samples: usize,
    pub correlation: f64,
    /// Point of the moving space that motions turn about.
    pub pivot: [f64; 3],
    matrix: DMatrix<f64>,
    right: DVector<f64>,
}

impl Normal {
    /// The damped step of the motion's parameters; none where the equations say nothing.
    pub fn step(&self, damping: f64) -> Option<Vec<f64>> {
        let mut matrix = self.matrix.clone();
        for n in 0..matrix.nrows() {
            matrix[(n, n)] *= 1.0 + damping;
        }
        let solved = matrix.cholesky()?.solve(&self.right);
        solved.iter().all(|s| s.is_finite()).then(|| solved.iter().skip(2).copied().collect())
    }
}

/// Trilinear value and gradient by the index, of `at` = [i, j, k]; none outside of the voxel centres.
fn value_and_gradient(moving: &Volume<f32>, at: [f64; 3]) -> Option<(f64, [f64; 3])> {
    let shape = moving.grid().shape();
    let (mut low, mut part) = ([0usize; 3], [0.0; 3]);
    for a in 0..3 {
        let count = shape[2 - a];
        if !(at[a] >= 0.0 && at[a] <= (count - 1) as f64) || count < 2 {
            return None;
        }
        low[a] = (at[a] as usize).min(count - 2);
        part[a] = at[a] - low[a] as f64;
    }
    let values = moving.as_slice();
    let first = moving.grid().linear(low[2], low[1], low[0]);
    let (row, slice) = (shape[2], shape[2] * shape[1]);
    let read = |n: usize| f64::from(values[n]);
    // Along i, with the difference along i.
    let line = |n: usize| {
        let (a, b) = (read(n), read(n + 1));
        (a + part[0] * (b - a), b - a)
    };
    let plane = |n: usize| {
        let ((a, da), (b, db)) = (line(n), line(n + row));
        (a + part[1] * (b - a), da + part[1] * (db - da), b - a)
    };
    let ((a, ai, aj), (b, bi, bj)) = (plane(first), plane(first + slice));
    let gradient = [ai + part[2] * (bi - ai), aj + part[2] * (bj - aj), b - a];
    Some((a + part[2] * (b - a), gradient))
}

/// Trilinear value alone.
pub(super) fn value(moving: &Volume<f32>, at: [f64; 3]) -> Option<f64> {
    value_and_gradient(moving, at).map(|(value, _)| value)
}

/// Evaluates `fixed_to_moving`; none where the images share too little or one is flat.
pub(super) fn normal_equations(
    fixed: &Volume<f32>,
    moving: &Volume<f32>,
    fixed_to_moving: &Affine,
    motion: Motion,
) -> Option<Normal> {
    let pivot = fixed_to_moving.map(super::pyramid::middle(fixed));
    let count = 2 + motion.parameters();
    let (direction, spacing) = (moving.grid().direction(), moving.grid().spacing_mm());
    let parts: Vec<Sums> = fixed
        .as_slice()
        .par_chunks(CHUNK)
        .enumerate()
        .map(|(chunk, values)| {
            let mut sums = Sums::none();
            for (m, &value) in values.iter().enumerate() {
                let n = chunk * CHUNK + m;
                let ijk = fixed.grid().place(n).map(|x| x as f64);
                let point = fixed_to_moving.map(fixed.grid().voxel_to_lps(ijk));
                let at = moving.grid().lps_to_voxel(point);
                let Some((there, slope)) = value_and_gradient(moving, at) else { continue };
                let gradient = std::array::from_fn(|c| {
                    (0..3).map(|a| direction[a][c] * slope[a] / spacing[a]).sum()
                });
                let arm = std::array::from_fn(|c| point[c] - pivot[c]);
                let mut column = [0.0; COLUMNS_MAX];
                (column[0], column[1]) = (there, 1.0);
                motion.derivative(gradient, arm, &mut column[2..]);
                sums.add(&column[..count], f64::from(value));
            }
            sums
        })
        .collect();
    let total = parts.iter().fold(Sums::none(), |mut total, part| {
        total.join(part);
        total
    });
    total.normal(count, pivot)
}

impl Sums {
    fn none() -> Self {
        Self {
            samples: 0,
            columns: [[0.0; COLUMNS_MAX]; COLUMNS_MAX],
            right: [0.0; COLUMNS_MAX],
            fixed: 0.0,
            fixed_squared: 0.0,
        }
    }

    fn add(&mut self, column: &[f64], fixed: f64) {
        self.samples += 1;
        self.fixed += fixed;
        self.fixed_squared += fixed * fixed;
        for (r, &a) in column.iter().enumerate() {
            self.right[r] += a * fixed;
            for (sum, &b) in self.columns[r][..=r].iter_mut().zip(column) {
                *sum += a * b;
            }
        }
    }

    fn join(&mut self, other: &Self) {
        self.samples += other.samples;
        self.fixed += other.fixed;
        self.fixed_squared += other.fixed_squared;
        for r in 0..COLUMNS_MAX {
            self.right[r] += other.right[r];
            for c in 0..=r {
                self.columns[r][c] += other.columns[r][c];
            }
        }
    }

    fn normal(&self, count: usize, pivot: [f64; 3]) -> Option<Normal> {
        if self.samples < SAMPLES_MIN {
            return None;
        }
        let n = self.samples as f64;
        let (moving, moving_squared) = (self.columns[1][0], self.columns[0][0]);
        let covariance = self.right[0] - moving * self.fixed / n;
        let variance = moving_squared - moving * moving / n;
        let fixed_variance = self.fixed_squared - self.fixed * self.fixed / n;
        // Below the rounding of the sums there is no structure.
        let flat = |variance: f64, squared: f64| variance <= 1e-12 * squared.max(f64::MIN_POSITIVE);
        if flat(variance, moving_squared) || flat(fixed_variance, self.fixed_squared) {
            return None;
        }
        let gain = covariance / variance;
        let offset = (self.fixed - gain * moving) / n;
        // Derivatives of the explained value are gain times those of the moving image.
        let scale = |c: usize| if c < 2 { 1.0 } else { gain };
        let entry = |r: usize, c: usize| self.columns[r.max(c)][r.min(c)];
        let matrix = DMatrix::from_fn(count, count, |r, c| entry(r, c) * scale(r) * scale(c));
        let right = DVector::from_fn(count, |r, _| {
            (self.right[r] - gain * entry(r, 0) - offset * entry(r, 1)) * scale(r)
        });
        let correlation = covariance / (variance * fixed_variance).sqrt();
        Some(Normal { samples: self.samples, correlation, pivot, matrix, right })
    }
}
