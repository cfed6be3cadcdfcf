//! Linear convolution with an even kernel by FFT, in f32, over all cores.
//!
//! Zeros are never transformed: only rows that hold input are, and only rows that are wanted come
//! back. The kernel is even along every axis, so its spectrum is real and is summed from its few
//! cosines where it is used, in cache, instead of being transformed, stored and read again.

use std::sync::Arc;

use ndarray::Array3;
use rayon::prelude::*;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner, num_complex::Complex};

type C32 = Complex<f32>;

/// Columns that are gathered, transformed and put back together: a cache line of them.
const BLOCK: usize = 16;

/// Smallest number from `least` on that 2, 3, 5 and 7 make up (even: the real transform halves it).
fn good_length(least: usize) -> usize {
    (least.max(2)..)
        .find(|&n| {
            let mut rest = n;
            for factor in [2, 3, 5, 7] {
                while rest % factor == 0 {
                    rest /= factor;
                }
            }
            rest == 1 && n % 2 == 0
        })
        .unwrap_or(least)
}

/// Transforms for one shape of input and one reach of kernels.
pub(super) struct Transform {
    /// Input voxels along i, j, k.
    shape: [usize; 3],
    /// Padded lengths along i, j, k.
    padded: [usize; 3],
    /// Complex values of a row.
    row: usize,
    rows: Arc<dyn RealToComplex<f32>>,
    rows_back: Arc<dyn ComplexToReal<f32>>,
    columns: Arc<dyn Fft<f32>>,
    columns_back: Arc<dyn Fft<f32>>,
    depth: Arc<dyn Fft<f32>>,
    depth_back: Arc<dyn Fft<f32>>,
}

/// The input's transform along i and j, a plane for each k.
pub(super) struct Forward(Vec<Vec<C32>>);

/// An octant's transform along i and j, real: `[c][j'][i']`, j' to the middle only.
struct HalfKernel {
    values: Vec<f32>,
    /// Points of the octant along k.
    reach: usize,
    half: usize,
}

impl Transform {
    /// For inputs of `shape` (i, j, k) and kernels that reach `reach` voxels to each side.
    pub fn new(shape: [usize; 3], reach: [usize; 3]) -> Self {
        let padded: [usize; 3] =
            std::array::from_fn(|a| good_length(shape[a] + reach[a].min(shape[a])));
        let mut real = RealFftPlanner::<f32>::new();
        let mut complex = FftPlanner::<f32>::new();
        Self {
            shape,
            padded,
            row: padded[0] / 2 + 1,
            rows: real.plan_fft_forward(padded[0]),
            rows_back: real.plan_fft_inverse(padded[0]),
            columns: complex.plan_fft_forward(padded[1]),
            columns_back: complex.plan_fft_inverse(padded[1]),
            depth: complex.plan_fft_forward(padded[2]),
            depth_back: complex.plan_fft_inverse(padded[2]),
        }
    }

    /// Transforms the input along i and j.
    pub fn forward(&self, input: &[f32]) -> Forward {
        let [ni, nj, _] = self.shape;
        let planes = input
            .par_chunks(ni * nj)
            .map(|plane| {
                let mut out = vec![C32::default(); self.padded[1] * self.row];
                let mut line = vec![0.0f32; self.padded[0]];
                let mut scratch = self.rows.make_scratch_vec();
                for (values, spectrum) in plane.chunks(ni).zip(out.chunks_mut(self.row)) {
                    line[..ni].copy_from_slice(values);
                    line[ni..].fill(0.0);
                    self.rows
                        .process_with_scratch(&mut line, spectrum, &mut scratch)
                        .expect("lengths are the plan's own");
                }
                self.along_j(&mut out);
                out
            })
            .collect();
        Forward(planes)
    }

    /// Transforms the columns of one plane `[j'][i']` in place.
    fn along_j(&self, plane: &mut [C32]) {
        let length = self.padded[1];
        let mut block = vec![C32::default(); BLOCK * length];
        let mut scratch = vec![C32::default(); self.columns.get_inplace_scratch_len()];
        for start in (0..self.row).step_by(BLOCK) {
            let width = BLOCK.min(self.row - start);
            for (j, row) in plane.chunks(self.row).enumerate() {
                for (c, value) in row[start..start + width].iter().enumerate() {
                    block[c * length + j] = *value;
                }
            }
            self.columns.process_with_scratch(&mut block[..width * length], &mut scratch);
            for (j, row) in plane.chunks_mut(self.row).enumerate() {
                for (c, value) in row[start..start + width].iter_mut().enumerate() {
                    *value = block[c * length + j];
                }
            }
        }
    }

    /// Convolves with the even kernel whose first octant `[k, j, i]` is given.
    pub fn convolve(&self, forward: &Forward, octant: &Array3<f64>) -> Vec<f32> {
        let kernel = self.half_kernel(octant);
        let cosines = cosines(self.padded[2], kernel.reach);
        let [ni, nj, nk] = self.shape;
        let mut middle = vec![C32::default(); self.padded[1] * nk * self.row];
        middle
            .par_chunks_mut(nk * self.row)
            .enumerate()
            .for_each(|(j, out)| self.along_k(forward, &kernel, &cosines, j, out));
        let mut result = vec![0.0f32; ni * nj * nk];
        result.par_chunks_mut(ni * nj).enumerate().for_each(|(k, out)| self.back(&middle, k, out));
        result
    }

    /// Along k: there, times the kernel, and back; `out` is `[k][i']` for one j'.
    fn along_k(
        &self,
        forward: &Forward,
        kernel: &HalfKernel,
        cosines: &[f32],
        j: usize,
        out: &mut [C32],
    ) {
        let length = self.padded[2];
        let folded = j.min(self.padded[1] - j);
        let mut block = vec![C32::default(); BLOCK * length];
        let scratch_length =
            self.depth.get_inplace_scratch_len().max(self.depth_back.get_inplace_scratch_len());
        let mut scratch = vec![C32::default(); scratch_length];
        let mut spectrum = vec![0.0f32; BLOCK * (length / 2 + 1)];
        // Whole rows first: memory likes long runs, the cache takes the blocks.
        let mut slab = Vec::with_capacity(forward.0.len() * self.row);
        for plane in &forward.0 {
            slab.extend_from_slice(&plane[j * self.row..][..self.row]);
        }
        for start in (0..self.row).step_by(BLOCK) {
            let width = BLOCK.min(self.row - start);
            block.fill(C32::default());
            for (k, row) in slab.chunks(self.row).enumerate() {
                for (c, value) in row[start..start + width].iter().enumerate() {
                    block[c * length + k] = *value;
                }
            }
            let block = &mut block[..width * length];
            self.depth.process_with_scratch(block, &mut scratch);
            kernel.spectra(self.row, folded, start, width, cosines, &mut spectrum);
            for (column, real) in block.chunks_mut(length).zip(spectrum.chunks(length / 2 + 1)) {
                let (first, second) = column.split_at_mut(length / 2 + 1);
                first.iter_mut().zip(real).for_each(|(v, r)| *v *= *r);
                second.iter_mut().rev().zip(&real[1..]).for_each(|(v, r)| *v *= *r);
            }
            self.depth_back.process_with_scratch(block, &mut scratch);
            for (k, row) in out.chunks_mut(self.row).enumerate() {
                for (c, value) in row[start..start + width].iter_mut().enumerate() {
                    *value = block[c * length + k];
                }
            }
        }
    }

    /// Back along j and i, for one k.
    fn back(&self, middle: &[C32], k: usize, out: &mut [f32]) {
        let [ni, nj, nk] = self.shape;
        let length = self.padded[1];
        let mut plane = vec![C32::default(); nj * self.row];
        let mut block = vec![C32::default(); BLOCK * length];
        let mut scratch = vec![C32::default(); self.columns_back.get_inplace_scratch_len()];
        let mut slab = Vec::with_capacity(length * self.row);
        for j in 0..length {
            slab.extend_from_slice(&middle[(j * nk + k) * self.row..][..self.row]);
        }
        for start in (0..self.row).step_by(BLOCK) {
            let width = BLOCK.min(self.row - start);
            for (j, row) in slab.chunks(self.row).enumerate() {
                for (c, value) in row[start..start + width].iter().enumerate() {
                    block[c * length + j] = *value;
                }
            }
            self.columns_back.process_with_scratch(&mut block[..width * length], &mut scratch);
            for (j, row) in plane.chunks_mut(self.row).enumerate() {
                for (c, value) in row[start..start + width].iter_mut().enumerate() {
                    *value = block[c * length + j];
                }
            }
        }
        let scale = 1.0 / self.padded.iter().map(|&n| n as f32).product::<f32>();
        let mut line = vec![0.0f32; self.padded[0]];
        let mut scratch = self.rows_back.make_scratch_vec();
        for (spectrum, values) in plane.chunks_mut(self.row).zip(out.chunks_mut(ni)) {
            // Real by symmetry; the transform wants it exact.
            spectrum[0].im = 0.0;
            spectrum[self.row - 1].im = 0.0;
            self.rows_back
                .process_with_scratch(spectrum, &mut line, &mut scratch)
                .expect("lengths are the plan's own");
            for (value, from) in values.iter_mut().zip(&line) {
                *value = from * scale;
            }
        }
    }

    fn half_kernel(&self, octant: &Array3<f64>) -> HalfKernel {
        let (reach, rj, ri) = octant.dim();
        let half = self.padded[1] / 2 + 1;
        let (along_i, along_j) = (cosines(self.padded[0], ri), cosines(self.padded[1], rj));
        let mut values = vec![0.0f32; reach * half * self.row];
        for (k, plane) in octant.outer_iter().enumerate() {
            let mut rows = vec![0.0f32; rj * self.row];
            for (j, line) in plane.outer_iter().enumerate() {
                for (x, value) in rows[j * self.row..][..self.row].iter_mut().enumerate() {
                    let cosines = &along_i[x * ri..][..ri];
                    *value = line.iter().zip(cosines).map(|(v, c)| *v as f32 * c).sum();
                }
            }
            for y in 0..half {
                let out = &mut values[(k * half + y) * self.row..][..self.row];
                for j in 0..rj {
                    let cosine = along_j[y * rj + j];
                    for (value, from) in out.iter_mut().zip(&rows[j * self.row..][..self.row]) {
                        *value += cosine * from;
                    }
                }
            }
        }
        HalfKernel { values, reach, half }
    }
}

impl HalfKernel {
    /// The spectra along k of a block of columns, one after the other, to the middle frequency.
    fn spectra(
        &self,
        row: usize,
        j: usize,
        start: usize,
        width: usize,
        cosines: &[f32],
        out: &mut [f32],
    ) {
        let frequencies = cosines.len() / self.reach;
        for (k, weights) in cosines.chunks(self.reach).enumerate() {
            let mut sum = [0.0f32; BLOCK];
            for (c, weight) in weights.iter().enumerate() {
                let values = &self.values[(c * self.half + j) * row + start..][..width];
                sum.iter_mut().zip(values).for_each(|(s, v)| *s += weight * v);
            }
            for (c, value) in sum[..width].iter().enumerate() {
                out[c * frequencies + k] = *value;
            }
        }
    }
}

/// Weights of an octant's points in the spectrum at each frequency to the middle:
/// 1 for the centre, 2 cos(2 pi f c / n) for the others.
fn cosines(length: usize, reach: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity((length / 2 + 1) * reach);
    for frequency in 0..=length / 2 {
        for c in 0..reach {
            let turn = (frequency * c % length) as f64 / length as f64;
            let weight = if c == 0 { 1.0 } else { 2.0 };
            out.push((weight * (std::f64::consts::TAU * turn).cos()) as f32);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_sum_over_all_pairs() {
        let shape = [9usize, 6, 7];
        let extent = [4usize, 3, 7];
        let octant = Array3::from_shape_fn((extent[2], extent[1], extent[0]), |(k, j, i)| {
            1.0 / (1.0 + (k * k + 2 * j * j + 3 * i * i) as f64)
        });
        let input: Vec<f32> =
            (0..shape.iter().product::<usize>()).map(|n| ((n * 37) % 11) as f32).collect();
        let transform = Transform::new(shape, extent.map(|e| e - 1));
        let found = transform.convolve(&transform.forward(&input), &octant);
        for (n, found) in found.iter().enumerate() {
            let at = |n: usize| [n % 9, n / 9 % 6, n / 54];
            let mut expected = 0.0;
            for (m, &v) in input.iter().enumerate() {
                let d: [usize; 3] = std::array::from_fn(|a| at(n)[a].abs_diff(at(m)[a]));
                if let Some(w) = octant.get([d[2], d[1], d[0]]) {
                    expected += w * f64::from(v);
                }
            }
            assert!((f64::from(*found) - expected).abs() < 2e-4, "{n}: {found} {expected}");
        }
    }

    #[test]
    fn lengths_are_even_and_smooth() {
        assert_eq!(good_length(1), 2);
        assert_eq!(good_length(136), 140);
        assert_eq!(good_length(31), 32);
    }
}
