//! How an index of one grid becomes an index of another.

use super::super::Grid;
use super::super::transform::Transform;
use rayon::prelude::*;

/// Off-axis part of a direction below which axes count as parallel: 1e-3 mm over half a metre.
const PARALLEL_TOLERANCE: f64 = 2e-6;

/// How a fractional target index `[i, j, k]` becomes a fractional source index.
pub(super) enum IndexMap<'a> {
    Linear { matrix: [[f64; 3]; 3], shift: [f64; 3] },
    Curved(Curved<'a>),
}

impl<'a> IndexMap<'a> {
    pub fn new(source: &'a Grid, target: &'a Grid, map: &'a Transform) -> Self {
        let Some(affine) = map.as_affine() else {
            return IndexMap::Curved(Curved::new(source, target, map));
        };
        let at = |ijk| source.lps_to_voxel(affine.map(target.voxel_to_lps(ijk)));
        let shift = at([0.0; 3]);
        let columns: [[f64; 3]; 3] = std::array::from_fn(|c| {
            let mut unit = [0.0; 3];
            unit[c] = 1.0;
            at(unit)
        });
        let matrix = std::array::from_fn(|r| std::array::from_fn(|c| columns[c][r] - shift[r]));
        IndexMap::Linear { matrix, shift }
    }

    pub fn source_index(&self, ijk: [f64; 3]) -> Option<[f64; 3]> {
        match self {
            IndexMap::Linear { matrix, shift } => Some(std::array::from_fn(|r| {
                matrix[r][0] * ijk[0] + matrix[r][1] * ijk[1] + matrix[r][2] * ijk[2] + shift[r]
            })),
            IndexMap::Curved(curved) => curved.source_index(ijk),
        }
    }

    /// How many source voxels one target voxel at this index looks at (the Jacobian determinant).
    pub fn source_voxels(&self, ijk: [f64; 3]) -> f64 {
        let columns = match self {
            IndexMap::Linear { matrix, .. } => *matrix,
            IndexMap::Curved(_) => {
                let step = 0.25;
                let mut columns = [[0.0; 3]; 3];
                for axis in 0..3 {
                    let mut ends = [ijk; 2];
                    ends[0][axis] -= step;
                    ends[1][axis] += step;
                    let [Some(low), Some(high)] = ends.map(|e| self.source_index(e)) else {
                        return 0.0;
                    };
                    columns[axis] = std::array::from_fn(|c| (high[c] - low[c]) / (2.0 * step));
                }
                columns
            }
        };
        let [a, b, c] = columns;
        let determinant = a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0]);
        determinant.abs()
    }

    /// For each target axis the source axis that runs along it, with scale and shift of the index;
    /// none where axes are oblique to each other.
    pub fn separable(&self) -> Option<[(usize, f64, f64); 3]> {
        let IndexMap::Linear { matrix, shift } = self else { return None };
        let mut axes = [(0, 0.0, 0.0); 3];
        let mut used = [false; 3];
        for target_axis in 0..3 {
            let column: [f64; 3] = std::array::from_fn(|r| matrix[r][target_axis]);
            let main = (0..3).max_by(|&a, &b| column[a].abs().total_cmp(&column[b].abs()))?;
            let stray = (0..3).filter(|&r| r != main).map(|r| column[r].abs()).fold(0.0, f64::max);
            if used[main] || stray > PARALLEL_TOLERANCE * column[main].abs() {
                return None;
            }
            used[main] = true;
            axes[target_axis] = (main, column[main], shift[main]);
        }
        Some(axes)
    }
}

/// A map that bends, looked up once at the corners of all target voxels and trilinear within them: many
/// points of a voxel are asked for, and a point of an inverse deformation costs a search.
pub(super) struct Curved<'a> {
    source: &'a Grid,
    target: &'a Grid,
    map: &'a Transform,
    /// Source index at each corner; NaN where the map is undefined.
    corners: Vec<[f64; 3]>,
}

impl<'a> Curved<'a> {
    fn new(source: &'a Grid, target: &'a Grid, map: &'a Transform) -> Self {
        let [slices, rows, columns] = target.shape().map(|n| n + 1);
        let corner = |n: usize| {
            let at = [n % columns, n / columns % rows, n / columns / rows].map(|x| x as f64 - 0.5);
            let there = map.map(target.voxel_to_lps(at));
            there.map_or([f64::NAN; 3], |point| source.lps_to_voxel(point))
        };
        let corners = (0..slices * rows * columns).into_par_iter().map(corner).collect();
        Self { source, target, map, corners }
    }

    fn source_index(&self, ijk: [f64; 3]) -> Option<[f64; 3]> {
        let shape = self.target.shape();
        let strides = [1, shape[2] + 1, (shape[2] + 1) * (shape[1] + 1)];
        let (mut first, mut part) = (0, [0.0; 3]);
        let mut within = true;
        for axis in 0..3 {
            let from_face = ijk[axis] + 0.5;
            within &= (0.0..=shape[2 - axis] as f64).contains(&from_face);
            let low = (from_face.max(0.0) as usize).min(shape[2 - axis] - 1);
            first += low * strides[axis];
            part[axis] = from_face - low as f64;
        }
        if !within {
            return self.exactly(ijk);
        }
        let (mut sum, mut undefined) = ([0.0; 3], 0);
        for corner in 0..8usize {
            let (mut at, mut weight) = (first, 1.0);
            for axis in 0..3 {
                let upper = corner >> axis & 1;
                at += upper * strides[axis];
                weight *= if upper == 1 { part[axis] } else { 1.0 - part[axis] };
            }
            let value = self.corners[at];
            undefined += usize::from(value[0].is_nan());
            (0..3).for_each(|c| sum[c] += weight * value[c]);
        }
        match undefined {
            0 => Some(sum),
            8 => None,
            // The border of a field runs through the voxel.
            _ => self.exactly(ijk),
        }
    }

    fn exactly(&self, ijk: [f64; 3]) -> Option<[f64; 3]> {
        Some(self.source.lps_to_voxel(self.map.map(self.target.voxel_to_lps(ijk))?))
    }
}
