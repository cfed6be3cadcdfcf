//! Where a deformation folds, squeezes and stretches.

use super::transform::Deformation;
use rayon::prelude::*;

impl Deformation {
    /// Least and largest determinant of the map's Jacobian: the volume in the TO space that a small
    /// volume of the FROM space becomes. At zero and below the map folds: two points become one.
    ///
    /// Between nodes the map is trilinear, so its derivatives are taken at all eight corners of
    /// every cell. Cells with an undefined corner map nowhere and do not count.
    pub fn jacobian_range(&self) -> [f64; 2] {
        let nodes = self.nodes();
        let [slices, rows, columns] = nodes.shape();
        let (counts, strides) = ([columns, rows, slices], [1, columns, columns * rows]);
        let vectors = self.displacement_mm();
        let (axes, edges) = (nodes.direction(), nodes.spacing_mm());
        let pre = self.pre().matrix();
        let at_corner = |first: usize, corner: usize| {
            let node = (0..3).fold(first, |n, a| {
                n + if corner >> a & 1 == 1 {
                    strides[a].min(strides[a] * (counts[a] - 1))
                } else {
                    0
                }
            });
            let mut m: [[f64; 3]; 3] = std::array::from_fn(|r| [pre[r][0], pre[r][1], pre[r][2]]);
            for a in (0..3).filter(|&a| counts[a] > 1) {
                let upper = corner >> a & 1 == 1;
                let (low, high) =
                    if upper { (node - strides[a], node) } else { (node, node + strides[a]) };
                for r in 0..3 {
                    let slope = f64::from(vectors[high][r] - vectors[low][r]) / edges[a];
                    (0..3).for_each(|c| m[r][c] += slope * axes[a][c]);
                }
            }
            determinant(m)
        };
        let cells = |k: usize| {
            let mut range = [f64::INFINITY, f64::NEG_INFINITY];
            for j in 0..(rows - 1).max(1) {
                for i in 0..(columns - 1).max(1) {
                    for corner in 0..8 {
                        let value = at_corner(nodes.linear(k, j, i), corner);
                        if !value.is_nan() {
                            range = [range[0].min(value), range[1].max(value)];
                        }
                    }
                }
            }
            range
        };
        let post = self.post().determinant();
        let range = (0..(slices - 1).max(1))
            .into_par_iter()
            .map(cells)
            .reduce(|| [f64::INFINITY, f64::NEG_INFINITY], |a, b| [a[0].min(b[0]), a[1].max(b[1])]);
        // Nothing is defined anywhere: nothing folds.
        if range[0] > range[1] { [1.0, 1.0] } else { range.map(|d| d * post) }
    }
}

fn determinant(m: [[f64; 3]; 3]) -> f64 {
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
}

#[cfg(test)]
mod tests {
    use super::super::Grid;
    use super::super::transform::{Affine, Deformation};

    /// Δx = `slope` · (x − 10) between 10 and 20 mm along x, on oblique nodes.
    fn stretched(slope: f32, undefined: bool) -> Deformation {
        let (s, c) = 0.3f64.sin_cos();
        let (i, j) = ([c, s, 0.0], [-s, c, 0.0]);
        let nodes = Grid::new([4, 4, 5], [10.0, 5.0, 4.0], [3.0; 3], i, j).unwrap();
        let field = (0..nodes.len()).map(|n| {
            let along = slope * 10.0 * ((n % 5) as f32 - 1.0).clamp(0.0, 1.0);
            let hole = undefined && n % 5 == 2;
            if hole { [f32::NAN; 3] } else { [along * c as f32, along * s as f32, 0.0] }
        });
        let twice = Affine::new([
            [2.0, 0.0, 0.0, 1.0],
            [0.0, 1.0, 0.0, 2.0],
            [0.0, 0.0, 1.0, 3.0],
            [0.0, 0.0, 0.0, 1.0],
        ]);
        Deformation::new(Affine::IDENTITY, twice.unwrap(), nodes.clone(), field.collect()).unwrap()
    }

    #[test]
    fn the_range_is_that_of_the_steepest_cells() {
        let near = |found: [f64; 2], wanted: [f64; 2]| {
            assert!((0..2).all(|n| (found[n] - wanted[n]).abs() < 1e-5), "{found:?} {wanted:?}");
        };
        // The matrix after the field doubles volumes.
        near(stretched(0.5, false).jacobian_range(), [2.0, 3.0]);
        near(stretched(-0.5, false).jacobian_range(), [1.0, 2.0]);
        near(stretched(-1.25, false).jacobian_range(), [-0.5, 2.0]);
        // Cells next to undefined nodes map nowhere.
        near(stretched(-1.25, true).jacobian_range(), [2.0, 2.0]);
    }
}
