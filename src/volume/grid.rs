//! The one place where voxel indices become patient coordinates and back.

use crate::quantity::Millilitre;

/// A regular voxel grid in patient space. Valid by construction: no zero extent, positive finite
/// spacing, orthonormal right-handed axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    origin_lps_mm: [f64; 3],
    direction: [[f64; 3]; 3],
}

/// Why a grid cannot be.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum GridError {
    #[error("a grid needs 1 to 2^31 voxels, not {0:?} (k, j, i)")]
    Shape([usize; 3]),
    #[error("voxel spacing must be positive and finite, not {0:?} mm (x, y, z)")]
    Spacing([f64; 3]),
    #[error("origin must be finite, not {0:?} mm")]
    Origin([f64; 3]),
    #[error("row and column directions must be perpendicular unit vectors, not {0:?} and {1:?}")]
    Orientation([f64; 3], [f64; 3]),
}

/// How far direction cosines may be from orthonormal: writers print six digits.
const ORTHONORMAL_TOLERANCE: f64 = 1e-4;

pub(crate) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

impl Grid {
    /// `shape` is `[k, j, i]`; `spacing_mm` and `origin_lps_mm` are `[x-like, y-like, z-like]`,
    /// that is along i, j, k; `axis_i` and `axis_j` are the first and second triplet of Image
    /// Orientation (Patient); the third axis is their cross product. The origin is the CENTRE of
    /// voxel (0, 0, 0).
    pub fn new(
        shape: [usize; 3],
        spacing_mm: [f64; 3],
        origin_lps_mm: [f64; 3],
        axis_i: [f64; 3],
        axis_j: [f64; 3],
    ) -> Result<Self, GridError> {
        let voxels = shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
        if !voxels.is_some_and(|n| n >= 1 && n <= i32::MAX as usize) {
            return Err(GridError::Shape(shape));
        }
        if !spacing_mm.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Err(GridError::Spacing(spacing_mm));
        }
        if !origin_lps_mm.iter().all(|o| o.is_finite()) {
            return Err(GridError::Origin(origin_lps_mm));
        }
        let near = |value: f64, target: f64| (value - target).abs() <= ORTHONORMAL_TOLERANCE;
        if !(near(dot(axis_i, axis_i), 1.0)
            && near(dot(axis_j, axis_j), 1.0)
            && near(dot(axis_i, axis_j), 0.0))
        {
            return Err(GridError::Orientation(axis_i, axis_j));
        }
        let direction = [axis_i, axis_j, cross(axis_i, axis_j)];
        Ok(Self { shape, spacing_mm, origin_lps_mm, direction })
    }

    /// An axial grid (rows along patient left, columns along posterior, slices along head).
    pub fn axial(
        shape: [usize; 3],
        spacing_mm: [f64; 3],
        origin_lps_mm: [f64; 3],
    ) -> Result<Self, GridError> {
        Self::new(shape, spacing_mm, origin_lps_mm, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    }

    /// `[k, j, i]` extents.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }
    /// The extents as ndarray wants them.
    pub fn dim(&self) -> (usize, usize, usize) {
        (self.shape[0], self.shape[1], self.shape[2])
    }
    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
    /// Never: a grid has at least one voxel.
    pub fn is_empty(&self) -> bool {
        false
    }
    /// Spacing along i, j, k.
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.spacing_mm
    }
    /// Centre of voxel (0, 0, 0).
    pub fn origin_lps_mm(&self) -> [f64; 3] {
        self.origin_lps_mm
    }
    /// Unit vectors of the i, j and k axes in patient space.
    pub fn direction(&self) -> [[f64; 3]; 3] {
        self.direction
    }
    /// Volume of one voxel.
    pub fn voxel_volume(&self) -> Millilitre {
        Millilitre::new(self.spacing_mm.iter().product::<f64>() / 1000.0)
    }
    /// Rows along x, columns along y: what planning systems want of a dose grid.
    pub fn is_axial(&self) -> bool {
        let [i, j, _] = self.direction;
        (i[0] - 1.0).abs() < 1e-6 && (j[1] - 1.0).abs() < 1e-6
    }

    /// Patient position of a (fractional) voxel index `[i, j, k]`.
    pub fn voxel_to_lps(&self, ijk: [f64; 3]) -> [f64; 3] {
        let mut p = self.origin_lps_mm;
        for (axis, &index) in ijk.iter().enumerate() {
            for (c, value) in p.iter_mut().enumerate() {
                *value += self.direction[axis][c] * self.spacing_mm[axis] * index;
            }
        }
        p
    }

    /// Fractional voxel index `[i, j, k]` of a patient position; integers are voxel centres.
    pub fn lps_to_voxel(&self, lps_mm: [f64; 3]) -> [f64; 3] {
        let d: [f64; 3] = std::array::from_fn(|c| lps_mm[c] - self.origin_lps_mm[c]);
        std::array::from_fn(|axis| dot(self.direction[axis], d) / self.spacing_mm[axis])
    }

    /// Position in a slice-major array.
    pub fn linear(&self, k: usize, j: usize, i: usize) -> usize {
        (k * self.shape[1] + j) * self.shape[2] + i
    }

    /// Index `[i, j, k]` of what stands at a position of such an array.
    pub fn place(&self, n: usize) -> [usize; 3] {
        let [_, rows, columns] = self.shape;
        [n % columns, n / columns % rows, n / columns / rows]
    }

    /// Same shape, and every corner at the same place to `tolerance_mm`.
    pub fn coincides(&self, other: &Grid, tolerance_mm: f64) -> bool {
        let last: [f64; 3] = std::array::from_fn(|axis| (self.shape[2 - axis] - 1) as f64);
        self.shape == other.shape
            && [[0.0; 3], [last[0], 0.0, 0.0], [0.0, last[1], 0.0], last].iter().all(|&corner| {
                let (a, b) = (self.voxel_to_lps(corner), other.voxel_to_lps(corner));
                (0..3).all(|c| (a[c] - b[c]).abs() <= tolerance_mm)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_and_position_are_inverse_on_an_oblique_grid() {
        let (s, c) = 0.3f64.sin_cos();
        let grid =
            Grid::new([5, 6, 7], [2.0, 3.0, 4.5], [-10.0, 20.0, 5.0], [c, s, 0.0], [-s, c, 0.0])
                .unwrap();
        let p = grid.voxel_to_lps([1.25, 2.0, 3.5]);
        let v = grid.lps_to_voxel(p);
        for (a, b) in v.iter().zip([1.25, 2.0, 3.5]) {
            assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn lies_about_geometry_are_refused() {
        assert!(matches!(Grid::axial([0, 1, 1], [1.0; 3], [0.0; 3]), Err(GridError::Shape(_))));
        assert!(matches!(
            Grid::axial([1, 1, 1], [0.0, 1.0, 1.0], [0.0; 3]),
            Err(GridError::Spacing(_))
        ));
        assert!(matches!(
            Grid::axial([1, 1, 1], [1.0; 3], [f64::NAN; 3]),
            Err(GridError::Origin(_))
        ));
        assert!(matches!(
            Grid::new([1, 1, 1], [1.0; 3], [0.0; 3], [1.0, 0.0, 0.0], [0.6, 0.8, 0.0]),
            Err(GridError::Orientation(..))
        ));
    }
}
