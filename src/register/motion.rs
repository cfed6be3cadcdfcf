//! Small motions: what one step of the search may do.

use crate::volume::transform::Affine;

/// Distance at which rotations and stretches are counted in mm, so that all parameters are alike:
/// about the half width of a trunk.
pub(super) const LEVER_MM: f64 = 150.0;

/// What may differ between two images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Motion {
    /// Three shifts, three rotations.
    #[default]
    Rigid,
    /// Twelve numbers: rotation, stretch and shear too.
    Affine,
}

impl Motion {
    pub(super) fn parameters(self) -> usize {
        match self {
            Self::Rigid => 6,
            Self::Affine => 12,
        }
    }

    /// Change of the image value with each parameter at `arm` (mm, from the pivot), where it has
    /// `gradient` (per mm).
    pub(super) fn derivative(self, gradient: [f64; 3], arm: [f64; 3], out: &mut [f64]) {
        let (g, v) = (gradient, arm.map(|a| a / LEVER_MM));
        out[..3].copy_from_slice(&g);
        match self {
            // (ω × v) · g = ω · (v × g)
            Self::Rigid => {
                for a in 0..3 {
                    let (b, c) = ((a + 1) % 3, (a + 2) % 3);
                    out[3 + a] = v[b] * g[c] - v[c] * g[b];
                }
            }
            Self::Affine => (0..9).for_each(|n| out[3 + n] = g[n / 3] * v[n % 3]),
        }
    }

    /// The motion of `step` (mm, rotations and stretches at [`LEVER_MM`]) about `pivot`.
    pub(super) fn about(self, step: &[f64], pivot: [f64; 3]) -> Affine {
        let linear: [[f64; 3]; 3] = match self {
            Self::Rigid => rotation([step[3], step[4], step[5]].map(|s| s / LEVER_MM)),
            Self::Affine => std::array::from_fn(|r| {
                std::array::from_fn(|c| {
                    f64::from(u8::from(r == c)) + step[3 + 3 * r + c] / LEVER_MM
                })
            }),
        };
        let mut matrix = [[0.0; 4]; 4];
        for r in 0..3 {
            matrix[r][..3].copy_from_slice(&linear[r]);
            let turned: f64 = (0..3).map(|c| linear[r][c] * pivot[c]).sum();
            matrix[r][3] = pivot[r] - turned + step[r];
        }
        matrix[3][3] = 1.0;
        // A step that would fold the image is none.
        Affine::new(matrix).unwrap_or(Affine::IDENTITY)
    }
}

/// Rotation by |ω| rad about ω (Rodrigues).
fn rotation(omega: [f64; 3]) -> [[f64; 3]; 3] {
    let angle = omega.iter().map(|w| w * w).sum::<f64>().sqrt();
    if angle == 0.0 {
        return [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    }
    let [x, y, z] = omega.map(|w| w / angle);
    let (s, c) = angle.sin_cos();
    let t = 1.0 - c;
    [
        [t * x * x + c, t * x * y - s * z, t * x * z + s * y],
        [t * x * y + s * z, t * y * y + c, t * y * z - s * x],
        [t * x * z - s * y, t * y * z + s * x, t * z * z + c],
    ]
}
