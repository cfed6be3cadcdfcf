//! A dose map on an axial grid, which is what planning systems read.

use crate::volume::{Grid, GridError, Volume};
use ndarray::Array3;
use rayon::prelude::*;
use std::borrow::Cow;

/// The map itself where its grid is axial; else its values interpolated (trilinear) on the axial
/// grid that encloses all of its voxels, with the spacing of the axis nearest to each direction.
/// Outside of the map the dose is 0.
pub(super) fn axial(dose_gy: &Volume<f32>) -> Result<Cow<'_, Volume<f32>>, GridError> {
    if dose_gy.grid().is_axial() {
        return Ok(Cow::Borrowed(dose_gy));
    }
    let grid = enclosing(dose_gy.grid())?;
    let [slices, rows, columns] = grid.shape();
    let mut values = vec![0f32; grid.len()];
    values.par_chunks_mut(rows * columns).zip(0..slices).for_each(|(slice, k)| {
        for (pixel, value) in slice.iter_mut().enumerate() {
            let (j, i) = (pixel / columns, pixel % columns);
            let position = grid.voxel_to_lps([i as f64, j as f64, k as f64]);
            *value = interpolated(dose_gy, dose_gy.grid().lps_to_voxel(position)) as f32;
        }
    });
    let values = Array3::from_shape_vec(grid.dim(), values).expect("made with the grid's length");
    Ok(Cow::Owned(Volume::new(grid, values)))
}

fn enclosing(grid: &Grid) -> Result<Grid, GridError> {
    let [k, j, i] = grid.shape().map(|n| (n - 1) as f64);
    let corner = |n: usize, bit: usize, last: f64| if n >> bit & 1 == 1 { last } else { 0.0 };
    let corners: Vec<[f64; 3]> = (0..8)
        .map(|n| grid.voxel_to_lps([corner(n, 0, i), corner(n, 1, j), corner(n, 2, k)]))
        .collect();
    let (direction, spacing) = (grid.direction(), grid.spacing_mm());
    let (mut shape, mut origin, mut axial_spacing) = ([0usize; 3], [0.0; 3], [0.0; 3]);
    for axis in 0..3 {
        let nearest = (0..3)
            .max_by(|&a, &b| direction[a][axis].abs().total_cmp(&direction[b][axis].abs()))
            .unwrap_or(axis);
        let bound = |start: f64, pick: fn(f64, f64) -> f64| {
            corners.iter().map(|p| p[axis]).fold(start, pick)
        };
        let (low, high) = (bound(f64::INFINITY, f64::min), bound(f64::NEG_INFINITY, f64::max));
        axial_spacing[axis] = spacing[nearest];
        origin[axis] = low;
        // A hair less than a whole step beyond the last voxel asks for no further voxel.
        shape[2 - axis] = ((high - low) / spacing[nearest] - 1e-6).ceil().max(0.0) as usize + 1;
    }
    Grid::axial(shape, axial_spacing, origin)
}

/// Trilinear value at a fractional voxel index; within half a voxel of the border the border's own.
fn interpolated(dose: &Volume<f32>, ijk: [f64; 3]) -> f64 {
    let shape = dose.grid().shape();
    let mut low = [0usize; 3];
    let mut part = [0.0; 3];
    for axis in 0..3 {
        let last = shape[2 - axis] - 1;
        if !(-0.5..=last as f64 + 0.5).contains(&ijk[axis]) {
            return 0.0;
        }
        let inside = ijk[axis].clamp(0.0, last as f64);
        low[axis] = (inside.floor() as usize).min(last.saturating_sub(1));
        part[axis] = inside - low[axis] as f64;
    }
    let values = dose.values();
    (0..8usize)
        .map(|n| {
            let step = [n & 1, n >> 1 & 1, n >> 2 & 1];
            let weight: f64 =
                (0..3).map(|a| if step[a] == 1 { part[a] } else { 1.0 - part[a] }).product();
            let at: [usize; 3] = std::array::from_fn(|a| (low[a] + step[a]).min(shape[2 - a] - 1));
            weight * f64::from(values[[at[2], at[1], at[0]]])
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coronal_map_keeps_every_value_at_its_place() {
        let grid = Grid::new(
            [4, 5, 6],
            [2.0, 3.0, 4.0],
            [-7.0, 11.0, 30.0],
            [1.0, 0.0, 0.0],
            [0.0, 0.0, -1.0],
        )
        .unwrap();
        let values = Array3::from_shape_fn(grid.dim(), |(k, j, i)| (k * 100 + j * 10 + i) as f32);
        let dose = Volume::new(grid, values);
        let out = axial(&dose).unwrap();
        assert!(out.grid().is_axial());
        assert_eq!(out.grid().len(), dose.grid().len());
        for ((k, j, i), &value) in dose.values().indexed_iter() {
            let p = dose.grid().voxel_to_lps([i as f64, j as f64, k as f64]);
            let at = out.grid().lps_to_voxel(p).map(|v| v.round() as usize);
            assert!((out.values()[[at[2], at[1], at[0]]] - value).abs() < 1e-3);
        }
    }

    #[test]
    fn a_uniform_oblique_map_stays_uniform_inside() {
        let (s, c) = 0.2f64.sin_cos();
        let grid = Grid::new([9, 9, 9], [2.0; 3], [0.0; 3], [c, s, 0.0], [-s, c, 0.0]).unwrap();
        let dose = Volume::new(grid.clone(), Array3::from_elem(grid.dim(), 2.5f32));
        let out = axial(&dose).unwrap();
        let middle = out.grid().lps_to_voxel(grid.voxel_to_lps([4.0; 3])).map(|v| v as usize);
        assert_eq!(out.values()[[middle[2], middle[1], middle[0]]], 2.5);
        assert_eq!(out.values()[[0, 0, 0]], 0.0);
    }
}
