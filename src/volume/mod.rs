//! Geometry in patient space and the arrays that live on it.
//!
//! Patient space is DICOM's LPS in millimetres. Arrays are `[k, j, i]`, slice-major, with the
//! slice normal along +k: `direction` is always right-handed. Every conversion between voxel
//! index and patient space is in `grid.rs`.

mod grid;
mod jacobian;
pub mod resample;
pub mod transform;

pub use grid::{Grid, GridError};
pub(crate) use grid::{cross, dot};
pub use transform::Transform;

use crate::quantity::Millilitre;
use ndarray::Array3;

/// Values on a grid, `[k, j, i]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume<T = f32> {
    grid: Grid,
    values: Array3<T>,
}

impl<T> Volume<T> {
    /// # Panics
    /// When the array's shape is not the grid's: a programming error, never bad input.
    pub fn new(grid: Grid, values: Array3<T>) -> Self {
        assert_eq!(values.dim(), grid.dim(), "array and grid differ in shape");
        assert!(values.is_standard_layout(), "array is not in [k, j, i] order");
        Self { grid, values }
    }
    pub fn grid(&self) -> &Grid {
        &self.grid
    }
    pub fn values(&self) -> &Array3<T> {
        &self.values
    }
    pub fn values_mut(&mut self) -> &mut Array3<T> {
        &mut self.values
    }
    pub fn into_parts(self) -> (Grid, Array3<T>) {
        (self.grid, self.values)
    }
    /// The values as one slice, i fastest.
    pub fn as_slice(&self) -> &[T] {
        self.values.as_slice().expect("standard layout")
    }
}

/// A region of interest as the fraction of each voxel that it fills: (linear index, 0 < f ≤ 1),
/// index ascending, i fastest. Sparse, because organs are small against a grid.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Occupancy(Vec<(u32, f32)>);

impl Occupancy {
    /// Sorts, drops what is not positive, clamps to 1.
    pub fn new(mut voxels: Vec<(u32, f32)>) -> Self {
        voxels.retain(|v| v.1 > 0.0);
        voxels.sort_unstable_by_key(|v| v.0);
        voxels.iter_mut().for_each(|v| v.1 = v.1.min(1.0));
        Self(voxels)
    }
    pub fn iter(&self) -> impl Iterator<Item = (usize, f32)> + '_ {
        self.0.iter().map(|&(n, f)| (n as usize, f))
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Σ f × voxel volume.
    pub fn volume(&self, grid: &Grid) -> Millilitre {
        grid.voxel_volume() * self.0.iter().map(|v| f64::from(v.1)).sum::<f64>()
    }
}
