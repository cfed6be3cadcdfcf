//! Linear convolution with an even kernel by FFT, in f32, over all cores.
//!
//! Zeros are never transformed along i, and only rows that are wanted come back. The kernel is even
//! along every axis, so its spectrum is real and is summed along k from its few cosines where it is
//! used, in cache, instead of being stored and read again. Between input and output there is one
//! array, transformed in place and laid out so that every pass reads and writes it in long runs.

use std::sync::{Arc, Mutex};

use ndarray::Array3;
use rayon::prelude::*;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner, num_complex::Complex};

type C32 = Complex<f32>;

/// Rows that are transposed together: as many values as a cache line holds.
const TILE: usize = 8;
/// Columns along k that are transformed together: as many as stay in the cache of a core.
const BLOCK: usize = 32;

/// Smallest length from `least` on that transforms fast: a multiple of 8 of threes and at most
/// one of 5, 7 and 11. Other smooth lengths take half as long again and more (measured).
fn good_length(least: usize) -> usize {
    let fast = |n: &usize| {
        let mut odd = n / 8;
        for factor in [2, 3] {
            while odd.is_multiple_of(factor) {
                odd /= factor;
            }
        }
        [1, 5, 7, 11].contains(&odd)
    };
    (least.max(1).next_multiple_of(8)..).step_by(8).find(fast).unwrap_or(least)
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
    /// The array between input and output, kept for the next map: new memory costs more than a
    /// transform.
    kept: Mutex<Vec<C32>>,
}

/// An octant's transform along i and j, real, with the scale of the way back in it:
/// `[i'][j'][c]`, j' to the middle only, c along k.
#[derive(Clone)]
pub(super) struct Kernel {
    values: Vec<f32>,
    /// Points of the octant along k.
    reach: usize,
}

impl Kernel {
    /// The sum of two kernels of one reach.
    pub fn plus(&self, other: &Self) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(a, b)| a + b).collect();
        Self { values, reach: self.reach }
    }
}

/// `columns[c][n] = rows[n][c]`; a column every `stride` values.
fn to_columns<const N: usize>(rows: [&[C32]; N], columns: &mut [C32], stride: usize) {
    let width = rows[0].len();
    let rows = rows.map(|row| &row[..width]);
    for (c, column) in columns.chunks_mut(stride).take(width).enumerate() {
        for (value, row) in column[..N].iter_mut().zip(&rows) {
            *value = row[c];
        }
    }
}

/// `rows[n][c] = columns[c][n]`; a column every `stride` values.
fn to_rows<const N: usize>(columns: &[C32], stride: usize, rows: [&mut [C32]; N]) {
    let width = rows[0].len();
    let mut rows = rows.map(|row| &mut row[..width]);
    for (c, column) in columns.chunks(stride).take(width).enumerate() {
        let column = &column[..N];
        for (row, value) in rows.iter_mut().zip(column) {
            row[c] = *value;
        }
    }
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
            kept: Mutex::default(),
        }
    }

    /// Makes ready the even kernel whose first octant `[k, j, i]` is given.
    pub fn kernel(&self, octant: &Array3<f64>) -> Kernel {
        let (reach, rj, ri) = octant.dim();
        let half = self.padded[1] / 2 + 1;
        let (along_i, along_j) = (cosines(self.padded[0], ri), cosines(self.padded[1], rj));
        let scale = 1.0 / self.padded.iter().map(|&n| n as f64).product::<f64>();
        let mut values = vec![0.0f32; self.row * half * reach];
        for (c, plane) in octant.outer_iter().enumerate() {
            let mut rows = vec![0.0f32; rj * self.row];
            for (j, line) in plane.outer_iter().enumerate() {
                for (i, value) in line.iter().enumerate() {
                    add(
                        &mut rows[j * self.row..][..self.row],
                        (value * scale) as f32,
                        &along_i[i * self.row..],
                    );
                }
            }
            for i in 0..self.row {
                for y in 0..half {
                    let cosines = (0..rj).map(|j| along_j[j * half + y]);
                    let sum = cosines.enumerate().map(|(j, cos)| cos * rows[j * self.row + i]);
                    values[(i * half + y) * reach + c] = sum.sum();
                }
            }
        }
        Kernel { values, reach }
    }

    /// Convolves the input with each kernel.
    pub fn convolve<const N: usize>(&self, input: &[f32], kernels: [&Kernel; N]) -> [Vec<f32>; N] {
        let forward = self.forward(input);
        // The last result is made where the input's transform lies.
        let length = forward.len();
        let mut spectra: Vec<Vec<C32>> =
            (1..N).map(|_| vec![C32::default(); length]).chain([forward]).collect();
        self.along_k(&mut spectra, &kernels);
        let results = std::array::from_fn(|n| self.back(&spectra[n]));
        if let (Ok(mut kept), Some(spectrum)) = (self.kept.lock(), spectra.pop()) {
            *kept = spectrum;
        }
        results
    }

    /// Transforms the input along i and j: `[i'][k][j']`.
    fn forward(&self, input: &[f32]) -> Vec<C32> {
        let [ni, nj, nk] = self.shape;
        let length = self.padded[1];
        let kept = self.kept.lock().map(|mut kept| std::mem::take(&mut *kept));
        let mut out = kept.unwrap_or_default();
        out.resize(self.row * nk * length, C32::default());
        // For every plane its runs along j'.
        let mut planes: Vec<Vec<&mut [C32]>> = Vec::new();
        planes.resize_with(nk, || Vec::with_capacity(self.row));
        for slab in out.chunks_mut(nk * length) {
            planes.iter_mut().zip(slab.chunks_mut(length)).for_each(|(runs, run)| runs.push(run));
        }
        let plane = || Plane::new(self, &self.columns, self.rows.make_scratch_vec());
        planes.par_iter_mut().zip(input.par_chunks(ni * nj)).for_each_init(
            plane,
            |plane, (runs, values)| {
                plane.forward(self, values);
                for (run, column) in runs.iter_mut().zip(plane.values.chunks(length)) {
                    run.copy_from_slice(column);
                }
            },
        );
        out
    }

    /// Along k: there, times each kernel, and back. The input is the last of the spectra.
    fn along_k(&self, spectra: &mut [Vec<C32>], kernels: &[&Kernel]) {
        let slab = self.shape[2] * self.padded[1];
        let mut slabs: Vec<Vec<&mut [C32]>> = Vec::new();
        slabs.resize_with(self.row, Vec::new);
        for spectrum in spectra {
            slabs.iter_mut().zip(spectrum.chunks_mut(slab)).for_each(|(of, slab)| of.push(slab));
        }
        let cosines: Vec<Vec<f32>> =
            kernels.iter().map(|kernel| cosines(self.padded[2], kernel.reach)).collect();
        slabs.par_iter_mut().enumerate().for_each_init(
            || Columns::new(self, kernels.len()),
            |columns, (i, slabs)| columns.slab(self, slabs, i, kernels, &cosines),
        );
    }

    /// Back along j and i.
    fn back(&self, spectrum: &[C32]) -> Vec<f32> {
        let [ni, nj, nk] = self.shape;
        let length = self.padded[1];
        let mut result = vec![0.0f32; ni * nj * nk];
        let plane = || Plane::new(self, &self.columns_back, self.rows_back.make_scratch_vec());
        result.par_chunks_mut(ni * nj).enumerate().for_each_init(plane, |plane, (k, values)| {
            let slabs = spectrum.chunks(nk * length);
            for (column, slab) in plane.values.chunks_mut(length).zip(slabs) {
                column.copy_from_slice(&slab[k * length..][..length]);
            }
            plane.back(self, values);
        });
        result
    }
}

/// What one core needs to transform planes along i and j.
struct Plane {
    /// `[i'][j']`
    values: Vec<C32>,
    line: Vec<f32>,
    /// Rows along i'.
    tile: Vec<C32>,
    rows_scratch: Vec<C32>,
    columns_scratch: Vec<C32>,
}

impl Plane {
    fn new(of: &Transform, columns: &Arc<dyn Fft<f32>>, rows_scratch: Vec<C32>) -> Self {
        Self {
            values: vec![C32::default(); of.row * of.padded[1]],
            line: vec![0.0; of.padded[0]],
            tile: vec![C32::default(); TILE * of.row],
            rows_scratch,
            columns_scratch: vec![C32::default(); columns.get_inplace_scratch_len()],
        }
    }

    fn forward(&mut self, of: &Transform, values: &[f32]) {
        let [ni, _, _] = of.shape;
        self.values.fill(C32::default());
        for (n, some) in values.chunks(TILE * ni).enumerate() {
            if some.iter().all(|&value| value == 0.0) {
                continue;
            }
            self.tile.fill(C32::default());
            for (values, spectrum) in some.chunks(ni).zip(self.tile.chunks_mut(of.row)) {
                self.line[..ni].copy_from_slice(values);
                self.line[ni..].fill(0.0);
                of.rows
                    .process_with_scratch(&mut self.line, spectrum, &mut self.rows_scratch)
                    .expect("lengths are the plan's own");
            }
            let rows: [&[C32]; TILE] = std::array::from_fn(|r| &self.tile[r * of.row..][..of.row]);
            to_columns(rows, &mut self.values[n * TILE..], of.padded[1]);
        }
        of.columns.process_with_scratch(&mut self.values, &mut self.columns_scratch);
    }

    fn back(&mut self, of: &Transform, out: &mut [f32]) {
        let [ni, _, _] = of.shape;
        of.columns_back.process_with_scratch(&mut self.values, &mut self.columns_scratch);
        for (n, some) in out.chunks_mut(TILE * ni).enumerate() {
            let mut rows = self.tile.chunks_mut(of.row);
            let rows: [&mut [C32]; TILE] = std::array::from_fn(|_| rows.next().unwrap_or_default());
            to_rows(&self.values[n * TILE..], of.padded[1], rows);
            for (spectrum, values) in self.tile.chunks_mut(of.row).zip(some.chunks_mut(ni)) {
                // Real by symmetry; the transform wants it exact.
                spectrum[0].im = 0.0;
                spectrum[of.row - 1].im = 0.0;
                of.rows_back
                    .process_with_scratch(spectrum, &mut self.line, &mut self.rows_scratch)
                    .expect("lengths are the plan's own");
                values.copy_from_slice(&self.line[..ni]);
            }
        }
    }
}

/// What one core needs to transform columns along k.
struct Columns {
    block: Vec<C32>,
    product: Vec<C32>,
    scratch: Vec<C32>,
    /// Of each kernel, to the middle of j' and of k'.
    kernels: Vec<Vec<f32>>,
}

impl Columns {
    fn new(of: &Transform, kernels: usize) -> Self {
        let [_, pj, pk] = of.padded;
        let scratch =
            of.depth.get_inplace_scratch_len().max(of.depth_back.get_inplace_scratch_len());
        Self {
            block: vec![C32::default(); BLOCK * pk],
            product: vec![C32::default(); BLOCK * pk],
            scratch: vec![C32::default(); scratch],
            kernels: vec![vec![0.0; (pj / 2 + 1) * (pk / 2 + 1)]; kernels],
        }
    }

    /// All columns of one i'; `slabs[n]` is `[k][j']`, the input is the last.
    fn slab(
        &mut self,
        of: &Transform,
        slabs: &mut [&mut [C32]],
        i: usize,
        kernels: &[&Kernel],
        cosines: &[Vec<f32>],
    ) {
        let length = of.padded[1];
        let half = length / 2 + 1;
        for ((kernel, cosines), real) in kernels.iter().zip(cosines).zip(&mut self.kernels) {
            let values = &kernel.values[i * half * kernel.reach..][..half * kernel.reach];
            sum_spectra(values, kernel.reach, cosines, real);
        }
        for start in (0..length).step_by(BLOCK) {
            let width = BLOCK.min(length - start);
            let Some((input, others)) = slabs.split_last_mut() else { return };
            self.forward(of, input, start, width);
            for (n, output) in others.iter_mut().chain([input]).enumerate() {
                self.multiply(of, n, start, width);
                self.back(of, output, start, width);
            }
        }
    }

    /// `width` columns from j' = `start` on, transformed along k.
    fn forward(&mut self, of: &Transform, slab: &[C32], start: usize, width: usize) {
        let [_, pj, pk] = of.padded;
        let block = &mut self.block[..width * pk];
        let planes = of.shape[2];
        block.chunks_mut(pk).for_each(|column| column[planes..].fill(C32::default()));
        let run = |k: usize| &slab[k * pj + start..][..width];
        let whole = planes / TILE * TILE;
        for k in (0..whole).step_by(TILE) {
            to_columns(std::array::from_fn::<_, TILE, _>(|n| run(k + n)), &mut block[k..], pk);
        }
        for k in whole..planes {
            to_columns([run(k)], &mut block[k..], pk);
        }
        of.depth.process_with_scratch(block, &mut self.scratch);
    }

    /// The block times kernel `n`.
    fn multiply(&mut self, of: &Transform, n: usize, start: usize, width: usize) {
        let [_, pj, pk] = of.padded;
        let half = pk / 2 + 1;
        let columns = self.block.chunks(pk).zip(self.product.chunks_mut(pk)).take(width);
        for (c, (column, out)) in columns.enumerate() {
            let folded = (start + c).min(pj - start - c);
            let real = &self.kernels[n][folded * half..][..half];
            let (first, second) = out.split_at_mut(half);
            let (first_in, second_in) = column.split_at(half);
            for ((o, v), r) in first.iter_mut().zip(first_in).zip(real) {
                *o = *v * *r;
            }
            // The lengths are even: the middle has no mirror image.
            let mirrored = real[1..half - 1].iter().rev();
            for ((o, v), r) in second.iter_mut().zip(second_in).zip(mirrored) {
                *o = *v * *r;
            }
        }
    }

    /// The product, transformed back along k, to its place in the slab.
    fn back(&mut self, of: &Transform, slab: &mut [C32], start: usize, width: usize) {
        let [_, pj, pk] = of.padded;
        let product = &mut self.product[..width * pk];
        of.depth_back.process_with_scratch(product, &mut self.scratch);
        for (n, planes) in slab.chunks_mut(TILE * pj).enumerate() {
            let from = &product[n * TILE..];
            let mut runs = planes.chunks_mut(pj).map(|run| &mut run[start..start + width]);
            if runs.len() == TILE {
                to_rows(
                    from,
                    pk,
                    std::array::from_fn::<_, TILE, _>(|_| runs.next().unwrap_or_default()),
                );
            } else {
                for (k, run) in runs.enumerate() {
                    to_rows(&from[k..], pk, [run]);
                }
            }
        }
    }
}

/// Spectra along k, to the middle frequency, of every j' to the middle, from their octant's values.
fn sum_spectra(values: &[f32], reach: usize, cosines: &[f32], out: &mut [f32]) {
    let frequencies = cosines.len() / reach;
    for (sum, values) in out.chunks_mut(frequencies).zip(values.chunks(reach)) {
        sum.fill(0.0);
        for (value, cosines) in values.iter().zip(cosines.chunks(frequencies)) {
            add(sum, *value, cosines);
        }
    }
}

fn add(to: &mut [f32], weight: f32, values: &[f32]) {
    to.iter_mut().zip(values).for_each(|(t, v)| *t += weight * v);
}

/// Weights of an octant's points at each frequency to the middle, point by point: 1 for the
/// centre, 2 cos(2 pi f c / n) for the others.
fn cosines(length: usize, reach: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity((length / 2 + 1) * reach);
    for c in 0..reach {
        let weight = if c == 0 { 1.0 } else { 2.0 };
        for frequency in 0..=length / 2 {
            let turn = (frequency * c % length) as f64 / length as f64;
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
        let kernel = transform.kernel(&octant);
        let twice = kernel.plus(&kernel);
        let [found, doubled] = transform.convolve(&input, [&kernel, &twice]);
        assert!(found.iter().zip(&doubled).all(|(f, d)| (2.0 * f - d).abs() < 4e-4));
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
    fn lengths_are_those_that_transform_fast() {
        for (least, length) in [(1, 8), (17, 24), (136, 144), (144, 144), (216, 216), (272, 288)] {
            assert_eq!(good_length(least), length, "{least}");
        }
    }
}
