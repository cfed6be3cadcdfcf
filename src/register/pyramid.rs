//! Coarser copies of an image, and its middles.

use crate::volume::{Grid, Volume};
use ndarray::Array3;
use rayon::prelude::*;

/// Means over blocks whose edges come nearest to `edge_mm`; incomplete blocks at the end are left out.
pub(super) fn coarsen(volume: &Volume<f32>, edge_mm: f64) -> Volume<f32> {
    let grid = volume.grid();
    let (shape, spacing) = (grid.shape(), grid.spacing_mm());
    // Along i, j, k.
    let block: [usize; 3] =
        std::array::from_fn(|a| ((edge_mm / spacing[a]).round() as usize).clamp(1, shape[2 - a]));
    if block == [1; 3] {
        return volume.clone();
    }
    let coarse: [usize; 3] = std::array::from_fn(|a| shape[a] / block[2 - a]);
    let origin = grid.voxel_to_lps(block.map(|b| (b as f64 - 1.0) / 2.0));
    let edges = std::array::from_fn(|a| spacing[a] * block[a] as f64);
    let [axis_i, axis_j, _] = grid.direction();
    let target = Grid::new(coarse, edges, origin, axis_i, axis_j).expect("blocks of a valid grid");
    let [_, rows, columns] = coarse;
    let source = volume.as_slice();
    let mean = |n: usize| {
        let first =
            [n / columns / rows * block[2], n / columns % rows * block[1], n % columns * block[0]];
        let mut sum = 0.0f64;
        for k in first[0]..first[0] + block[2] {
            for j in first[1]..first[1] + block[1] {
                let row = grid.linear(k, j, first[2]);
                sum += source[row..row + block[0]].iter().map(|&v| f64::from(v)).sum::<f64>();
            }
        }
        (sum / (block[0] * block[1] * block[2]) as f64) as f32
    };
    let values: Vec<f32> = (0..target.len()).into_par_iter().map(mean).collect();
    let values = Array3::from_shape_vec(target.dim(), values).expect("one mean a voxel");
    Volume::new(target, values)
}

/// The middle of the grid, LPS mm.
pub(super) fn middle(volume: &Volume<f32>) -> [f64; 3] {
    let shape = volume.grid().shape();
    volume.grid().voxel_to_lps([shape[2], shape[1], shape[0]].map(|n| (n as f64 - 1.0) / 2.0))
}

/// Centre of what lies above the lowest value, LPS mm.
pub(super) fn centre_of_mass(volume: &Volume<f32>) -> [f64; 3] {
    let [_, rows, columns] = volume.grid().shape();
    let low = f64::from(volume.as_slice().iter().copied().fold(f32::INFINITY, f32::min));
    let (mut total, mut sum) = (0.0, [0.0; 3]);
    for (n, &value) in volume.as_slice().iter().enumerate() {
        let weight = f64::from(value) - low;
        total += weight;
        let at = [n % columns, n / columns % rows, n / columns / rows];
        (0..3).for_each(|a| sum[a] += weight * at[a] as f64);
    }
    if total == 0.0 { middle(volume) } else { volume.grid().voxel_to_lps(sum.map(|s| s / total)) }
}
