//! Point maps between two patient spaces, with the checks that make them usable.
//!
//! **Direction.** A `Transform` maps the coordinates of a point in its FROM space to the
//! coordinates of the same anatomical point in its TO space: `to = map(from)`. Resampling wants
//! FROM = the frame of the target grid, TO = the frame of the source image, because it asks for
//! each target voxel where to look.
//!
//! - Spatial Registration (PS3.3 C.20.2): the stored matrix maps SOURCE → REGISTERED points, so
//!   resampling onto the registered frame takes the [`Transform::inverse`] of it.
//! - Deformable Spatial Registration (PS3.3 C.20.3): pre matrix, deformation and post matrix map
//!   REGISTERED → SOURCE points: it is used as stored.

use super::Grid;
use std::sync::Arc;

/// Largest deviation of MᵀM from the unit matrix in a matrix that says it is rigid.
pub const RIGID_TOLERANCE: f64 = 1e-3;
/// Smallest volume scale (determinant) that still counts as invertible.
const DETERMINANT_MIN: f64 = 1e-6;
/// Inversion of a deformation: largest position error, and the cap on iterations.
const INVERSE_TOLERANCE_MM: f64 = 1e-6;
const INVERSE_ITERATIONS_MAX: usize = 200;

/// Why a matrix or a deformation cannot serve as a map.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TransformError {
    #[error("transformation matrix (3006,00C6) holds a value that is not finite")]
    NotFinite,
    #[error("the last row of a transformation matrix (3006,00C6) must be 0 0 0 1, not {0:?}")]
    LastRow([f64; 4]),
    #[error(
        "transformation matrix (3006,00C6) has determinant {0}: it must be positive (no mirror \
         image, not singular); check the registration"
    )]
    Determinant(f64),
    #[error(
        "transformation matrix (3006,00C6) says RIGID but deviates from orthonormal by {0}; send \
         it as RIGID_SCALE or AFFINE, or correct it"
    )]
    NotRigid(f64),
    #[error(
        "deformation field (0064,0009) has {found} vectors where its grid has {expected} nodes"
    )]
    FieldSize { found: usize, expected: usize },
}

/// An affine map, valid by construction: finite, last row 0 0 0 1, determinant positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    linear: [[f64; 3]; 3],
    shift_mm: [f64; 3],
}

/// `to = post · (pre · from + Δ(pre-image of the node))`: displacement vectors on a grid that lies
/// in the FROM space, trilinear between nodes. A vector with NaN says "undefined here".
#[derive(Debug, Clone, PartialEq)]
pub struct Deformation {
    pre: Affine,
    post: Affine,
    nodes: Grid,
    /// i fastest.
    displacement_mm: Vec<[f32; 3]>,
}

/// A point map FROM one patient space TO another; see the module for directions.
#[derive(Debug, Clone, PartialEq)]
pub enum Transform {
    Identity,
    Affine(Affine),
    Deformable(Arc<Deformation>),
    /// The inverse of a deformation, solved point by point.
    InverseDeformable(Arc<Deformation>),
    /// First the one, then the other.
    Chain(Box<[Transform; 2]>),
}

impl Affine {
    pub const IDENTITY: Affine =
        Affine { linear: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], shift_mm: [0.0; 3] };

    /// A row-major 4×4 matrix for column vectors in mm, as (3006,00C6) holds it.
    pub fn new(matrix: [[f64; 4]; 4]) -> Result<Self, TransformError> {
        if !matrix.iter().flatten().all(|v| v.is_finite()) {
            return Err(TransformError::NotFinite);
        }
        let unit = [0.0, 0.0, 0.0, 1.0];
        if matrix[3].iter().zip(unit).any(|(a, b)| (a - b).abs() > 1e-6) {
            return Err(TransformError::LastRow(matrix[3]));
        }
        let affine = Self {
            linear: std::array::from_fn(|r| std::array::from_fn(|c| matrix[r][c])),
            shift_mm: std::array::from_fn(|r| matrix[r][3]),
        };
        let determinant = affine.determinant();
        if determinant.is_nan() || determinant < DETERMINANT_MIN {
            return Err(TransformError::Determinant(determinant));
        }
        Ok(affine)
    }

    /// A shift by so many mm.
    pub fn translation(shift_mm: [f64; 3]) -> Self {
        Self { shift_mm, ..Self::IDENTITY }
    }

    /// Row-major 4×4 for column vectors in mm.
    pub fn matrix(&self) -> [[f64; 4]; 4] {
        let mut matrix = [[0.0, 0.0, 0.0, 1.0]; 4];
        for (row, ([a, b, c], shift)) in
            matrix.iter_mut().zip(self.linear.iter().zip(self.shift_mm))
        {
            *row = [*a, *b, *c, shift];
        }
        matrix
    }

    /// As [`Affine::new`], and orthonormal to [`RIGID_TOLERANCE`] (type RIGID of (0070,030C)).
    pub fn rigid(matrix: [[f64; 4]; 4]) -> Result<Self, TransformError> {
        let affine = Self::new(matrix)?;
        let m = affine.linear;
        let mut deviation = 0.0f64;
        for a in 0..3 {
            for b in 0..3 {
                let product: f64 = (0..3).map(|r| m[r][a] * m[r][b]).sum();
                deviation = deviation.max((product - f64::from(u8::from(a == b))).abs());
            }
        }
        if deviation > RIGID_TOLERANCE {
            return Err(TransformError::NotRigid(deviation));
        }
        Ok(affine)
    }

    /// Ratio of a volume in the TO space to its volume in the FROM space.
    pub fn determinant(&self) -> f64 {
        let m = self.linear;
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    }

    /// Least and largest factor by which a length changes (the singular values).
    pub fn stretch(&self) -> [f64; 2] {
        let m = nalgebra::Matrix3::from_fn(|r, c| self.linear[r][c]);
        let values = m.singular_values();
        [values.min(), values.max()]
    }

    pub fn map(&self, p: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|r| {
            self.linear[r][0] * p[0]
                + self.linear[r][1] * p[1]
                + self.linear[r][2] * p[2]
                + self.shift_mm[r]
        })
    }

    pub fn inverse(&self) -> Self {
        let (m, d) = (self.linear, self.determinant());
        let cofactor = |r: usize, c: usize| {
            let (r1, r2, c1, c2) = ((r + 1) % 3, (r + 2) % 3, (c + 1) % 3, (c + 2) % 3);
            m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
        };
        let linear: [[f64; 3]; 3] =
            std::array::from_fn(|r| std::array::from_fn(|c| cofactor(c, r) / d));
        let back = Self { linear, shift_mm: [0.0; 3] };
        let shift = back.map(self.shift_mm);
        Self { linear, shift_mm: [-shift[0], -shift[1], -shift[2]] }
    }

    /// First `self`, then `next`.
    pub fn then(&self, next: &Affine) -> Self {
        let linear = std::array::from_fn(|r| {
            std::array::from_fn(|c| {
                (0..3).map(|n| next.linear[r][n] * self.linear[n][c]).sum::<f64>()
            })
        });
        Self { linear, shift_mm: next.map(self.shift_mm) }
    }
}

impl Deformation {
    /// `displacement_mm` is `[k, j, i]` on `nodes`, which lie in the FROM (registered) space.
    pub fn new(
        pre: Affine,
        post: Affine,
        nodes: Grid,
        displacement_mm: Vec<[f32; 3]>,
    ) -> Result<Self, TransformError> {
        let (found, expected) = (displacement_mm.len(), nodes.len());
        if found != expected {
            return Err(TransformError::FieldSize { found, expected });
        }
        Ok(Self { pre, post, nodes, displacement_mm })
    }

    pub fn pre(&self) -> &Affine {
        &self.pre
    }
    pub fn post(&self) -> &Affine {
        &self.post
    }
    pub fn nodes(&self) -> &Grid {
        &self.nodes
    }
    /// Vectors of the nodes in patient directions, i fastest.
    pub fn displacement_mm(&self) -> &[[f32; 3]] {
        &self.displacement_mm
    }

    fn map(&self, p: [f64; 3]) -> Option<[f64; 3]> {
        let (moved, delta) = (self.pre.map(p), self.displacement(p)?);
        Some(self.post.map(std::array::from_fn(|c| moved[c] + delta[c])))
    }

    /// Trilinear; none outside the nodes or next to an undefined vector.
    fn displacement(&self, p: [f64; 3]) -> Option<[f64; 3]> {
        let position = self.nodes.lps_to_voxel(p);
        let shape = self.nodes.shape();
        let mut cell = [(0usize, 0.0f64); 3];
        for axis in 0..3 {
            let last = (shape[2 - axis] - 1) as f64;
            let x = position[axis];
            if !(-1e-6..=last + 1e-6).contains(&x) {
                return None;
            }
            let low = x.clamp(0.0, last).floor().min((last - 1.0).max(0.0));
            cell[axis] = (low as usize, (x - low).clamp(0.0, 1.0));
        }
        let mut sum = [0.0f64; 3];
        for corner in 0..8usize {
            let mut index = [0usize; 3];
            let mut weight = 1.0;
            for axis in 0..3 {
                let upper = corner >> axis & 1;
                index[axis] = cell[axis].0 + upper;
                weight *= if upper == 1 { cell[axis].1 } else { 1.0 - cell[axis].1 };
            }
            if weight > 0.0 {
                let vector = self.displacement_mm[self.nodes.linear(index[2], index[1], index[0])];
                for c in 0..3 {
                    sum[c] += weight * f64::from(vector[c]);
                }
            }
        }
        sum.iter().all(|v| v.is_finite()).then_some(sum)
    }

    /// Fixed-point iteration from the affine part alone, in shorter steps where it swings; none where
    /// it leaves the field or does not settle (a folded field).
    fn map_back(&self, q: [f64; 3]) -> Option<[f64; 3]> {
        let (pre, wanted) = (self.pre.inverse(), self.post.inverse().map(q));
        let last: [f64; 3] = std::array::from_fn(|a| (self.nodes.shape()[2 - a] - 1) as f64);
        let mut p = pre.map(wanted);
        let (mut part, mut before) = (1.0, f64::INFINITY);
        for _ in 0..INVERSE_ITERATIONS_MAX {
            let voxel = self.nodes.lps_to_voxel(p);
            let inside = std::array::from_fn(|a| voxel[a].clamp(0.0, last[a]));
            let delta = self.displacement(self.nodes.voxel_to_lps(inside))?;
            let next = pre.map(std::array::from_fn(|c| wanted[c] - delta[c]));
            let step = (0..3).map(|c| (next[c] - p[c]).powi(2)).sum::<f64>().sqrt();
            if step > before {
                part *= 0.5;
            }
            before = step;
            p = std::array::from_fn(|c| p[c] + part * (next[c] - p[c]));
            if step < INVERSE_TOLERANCE_MM {
                return self.displacement(p).map(|_| p);
            }
        }
        None
    }
}

impl Transform {
    /// The TO coordinates of a FROM point; none where a deformation is undefined.
    pub fn map(&self, p: [f64; 3]) -> Option<[f64; 3]> {
        match self {
            Transform::Identity => Some(p),
            Transform::Affine(a) => Some(a.map(p)),
            Transform::Deformable(d) => d.map(p),
            Transform::InverseDeformable(d) => d.map_back(p),
            Transform::Chain(ways) => ways[1].map(ways[0].map(p)?),
        }
    }

    /// TO → FROM.
    pub fn inverse(&self) -> Transform {
        match self {
            Transform::Identity => Transform::Identity,
            Transform::Affine(a) => Transform::Affine(a.inverse()),
            Transform::Deformable(d) => Transform::InverseDeformable(d.clone()),
            Transform::InverseDeformable(d) => Transform::Deformable(d.clone()),
            Transform::Chain(ways) => {
                Transform::Chain(Box::new([ways[1].inverse(), ways[0].inverse()]))
            }
        }
    }

    /// First `self`, then `next`; one matrix where both are.
    pub fn then(self, next: Transform) -> Transform {
        match (self, next) {
            (Transform::Identity, way) | (way, Transform::Identity) => way,
            (Transform::Affine(a), Transform::Affine(b)) => Transform::Affine(a.then(&b)),
            (first, second) => Transform::Chain(Box::new([first, second])),
        }
    }

    /// The map as one matrix, where it is one.
    pub fn as_affine(&self) -> Option<Affine> {
        match self {
            Transform::Identity => Some(Affine::IDENTITY),
            Transform::Affine(a) => Some(*a),
            Transform::Deformable(_) | Transform::InverseDeformable(_) | Transform::Chain(_) => {
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matrix(linear: [[f64; 3]; 3], shift: [f64; 3]) -> [[f64; 4]; 4] {
        let mut m = [[0.0; 4]; 4];
        for r in 0..3 {
            m[r][..3].copy_from_slice(&linear[r]);
            m[r][3] = shift[r];
        }
        m[3][3] = 1.0;
        m
    }

    fn bump() -> Deformation {
        let nodes = Grid::axial([9, 9, 9], [10.0; 3], [-40.0; 3]).unwrap();
        let field = (0..9 * 9 * 9)
            .map(|n| {
                let p = nodes.voxel_to_lps([(n % 9) as f64, (n / 9 % 9) as f64, (n / 81) as f64]);
                let r2 = p.iter().map(|x| x * x).sum::<f64>();
                let size = 4.0 * (-r2 / 800.0).exp();
                [size as f32, (-0.5 * size) as f32, (0.25 * size) as f32]
            })
            .collect();
        let pre = Affine::new(matrix(Affine::IDENTITY.linear, [1.0, -2.0, 3.0])).unwrap();
        Deformation::new(pre, Affine::IDENTITY, nodes, field).unwrap()
    }

    #[test]
    fn a_mirror_a_singular_and_a_bent_matrix_are_refused() {
        let mirror = matrix([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [0.0; 3]);
        assert!(matches!(Affine::new(mirror), Err(TransformError::Determinant(_))));
        assert!(matches!(
            Affine::new(matrix([[0.0; 3]; 3], [0.0; 3])),
            Err(TransformError::Determinant(_))
        ));
        let scaled = matrix([[1.1, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [0.0; 3]);
        assert!(Affine::new(scaled).is_ok());
        assert!(matches!(Affine::rigid(scaled), Err(TransformError::NotRigid(_))));
        let mut last = matrix(Affine::IDENTITY.linear, [0.0; 3]);
        last[3][0] = 1.0;
        assert!(matches!(Affine::new(last), Err(TransformError::LastRow(_))));
        last[0][0] = f64::NAN;
        assert_eq!(Affine::new(last), Err(TransformError::NotFinite));
    }

    #[test]
    fn a_deformation_adds_its_vector_after_the_pre_matrix() {
        let q = Transform::Deformable(Arc::new(bump())).map([0.0; 3]).unwrap();
        for (found, wanted) in q.iter().zip([5.0, -4.0, 4.0]) {
            assert!((found - wanted).abs() < 1e-6, "{q:?}");
        }
        assert_eq!(Transform::Deformable(Arc::new(bump())).map([99.0, 0.0, 0.0]), None);
    }

    #[test]
    fn an_undefined_vector_maps_nowhere() {
        let mut d = bump();
        d.displacement_mm[d.nodes.linear(4, 4, 4)] = [f32::NAN; 3];
        let t = Transform::Deformable(Arc::new(d));
        assert_eq!(t.map([1.0, 1.0, 1.0]), None);
        assert!(t.map([25.0, 25.0, 25.0]).is_some());
    }

    proptest! {
        #[test]
        fn inverse_undoes_an_affine(
            angle in -3.0f64..3.0, scale in 0.5f64..2.0, shear in -0.3f64..0.3,
            shift in prop::array::uniform3(-500.0f64..500.0),
            p in prop::array::uniform3(-500.0f64..500.0),
        ) {
            let (s, c) = angle.sin_cos();
            let m = [[c * scale, -s, shear], [s, c, 0.0], [0.0, shear, scale]];
            prop_assume!(Affine::new(matrix(m, shift)).is_ok());
            let t = Transform::Affine(Affine::new(matrix(m, shift)).unwrap());
            let back = t.inverse().map(t.map(p).unwrap()).unwrap();
            for axis in 0..3 {
                prop_assert!((back[axis] - p[axis]).abs() < 1e-8);
            }
        }

        #[test]
        fn inverse_undoes_a_deformation(p in prop::array::uniform3(-25.0f64..25.0)) {
            let t = Transform::Deformable(Arc::new(bump()));
            let back = t.inverse().map(t.map(p).unwrap()).unwrap();
            for axis in 0..3 {
                prop_assert!((back[axis] - p[axis]).abs() < 1e-5);
            }
        }
    }
}
