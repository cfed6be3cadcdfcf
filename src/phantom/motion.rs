//! How the digital patient lies in each session: moved and turned by what the seed says, where asked for.

use super::noise::Random;
use crate::volume::dot;

/// Largest shift along an axis, mm, and largest turn about one, degrees, of a patient who is placed anew
/// on the same table with care.
const SHIFT_MM: f64 = 12.0;
const TURN_DEGREES: f64 = 3.0;

/// A turn about the middle of the field of view, then a shift.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Motion {
    /// Directions in the scanner of the patient's axes.
    axes: [[f64; 3]; 3],
    shift_mm: [f64; 3],
}

impl Motion {
    pub const NONE: Self =
        Self { axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], shift_mm: [0.0; 3] };

    /// Of a session, by the seed.
    pub fn of(seed: u64, session: usize) -> Self {
        let mut random = Random::new(seed, 2000 + session as u64);
        let mut within = |most: f64| most * (2.0 * random.uniform() - 1.0);
        let shift_mm = [(); 3].map(|()| within(SHIFT_MM));
        let turns = [(); 3].map(|()| within(TURN_DEGREES).to_radians());
        let mut axes = Self::NONE.axes;
        for (about, turn) in turns.into_iter().enumerate() {
            let (sin, cos) = turn.sin_cos();
            let (a, b) = ((about + 1) % 3, (about + 2) % 3);
            for axis in &mut axes {
                (axis[a], axis[b]) = (cos * axis[a] - sin * axis[b], sin * axis[a] + cos * axis[b]);
            }
        }
        Self { axes, shift_mm }
    }

    /// The place in the patient that lies at a place of the scanner, both from their middle.
    pub fn in_patient(&self, scanner_mm: [f64; 3]) -> [f64; 3] {
        let from = std::array::from_fn(|a| scanner_mm[a] - self.shift_mm[a]);
        self.axes.map(|axis| dot(axis, from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::cross;

    #[test]
    fn a_motion_keeps_lengths_and_handedness_and_stays_within_its_bounds() {
        for session in 0..20 {
            let motion = Motion::of(5, session);
            let [x, y, z] = motion.axes;
            for axis in [x, y, z] {
                assert!((dot(axis, axis) - 1.0).abs() < 1e-12);
            }
            assert!((dot(cross(x, y), z) - 1.0).abs() < 1e-12);
            assert!(motion.shift_mm.iter().all(|mm| mm.abs() <= SHIFT_MM));
            assert_ne!(motion, Motion::of(5, session + 1));
        }
        assert_eq!(Motion::NONE.in_patient([1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]);
    }
}
