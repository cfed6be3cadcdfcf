//! How the digital patient lies in each session: moved and turned by what the seed says, where asked for.
//!
//! It is one body that moves: the voxels of the session that its regions were drawn in, each with what it
//! holds. Another session's voxels hold the mean of what lies in them.

use super::DigitalPatient;
use super::anatomy;
use super::noise::Random;
use crate::volume::Grid;
use crate::volume::dot;

/// Largest shift along an axis, mm, and largest turn about one, degrees, of a patient who is placed anew
/// on the same table with care.
const SHIFT_MM: f64 = 12.0;
const TURN_DEGREES: f64 = 3.0;

/// A turn about the middle of the field of view, then a shift.
#[derive(Debug, Clone, PartialEq)]
struct Motion {
    /// Directions in the scanner of the patient's axes.
    axes: [[f64; 3]; 3],
    shift_mm: [f64; 3],
}

impl Motion {
    const NONE: Self =
        Self { axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], shift_mm: [0.0; 3] };

    /// Of a session, by the seed.
    fn of(seed: u64, session: usize) -> Self {
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
    fn in_patient(&self, scanner_mm: [f64; 3]) -> [f64; 3] {
        let from = std::array::from_fn(|a| scanner_mm[a] - self.shift_mm[a]);
        self.axes.map(|axis| dot(axis, from))
    }
}

/// Places along each edge of a voxel that its mean is taken over.
const PLACES: usize = 4;

/// The body in one session.
pub(super) struct Lying<'a> {
    patient: &'a DigitalPatient,
    /// None where it lies as it was drawn.
    motion: Option<Motion>,
}

impl<'a> Lying<'a> {
    pub fn of(patient: &'a DigitalPatient, session: usize) -> Self {
        let moved = patient.options.moved && session != patient.drawn_session();
        Self { patient, motion: moved.then(|| Motion::of(patient.options.seed, session)) }
    }

    /// Label of every voxel of a grid of the session by its centre.
    pub fn labels(&self, grid: &Grid) -> Vec<u8> {
        (0..grid.len()).map(|n| self.label(grid, grid.place(n).map(|i| i as f64))).collect()
    }

    /// Mean over every voxel of a grid of what each label holds.
    pub fn means(&self, grid: &Grid, by_label: &[f64; 256]) -> Vec<f64> {
        let places = if self.motion.is_some() { PLACES } else { 1 };
        let within = |n: usize| (n as f64 + 0.5) / places as f64 - 0.5;
        let mean = |voxel: usize| {
            let at = grid.place(voxel);
            let mut sum = 0.0;
            for n in 0..places.pow(3) {
                let inside = [n % places, n / places % places, n / places / places];
                let ijk = std::array::from_fn(|a| at[a] as f64 + within(inside[a]));
                sum += by_label[usize::from(self.label(grid, ijk))];
            }
            sum / places.pow(3) as f64
        };
        (0..grid.len()).map(mean).collect()
    }

    /// Label at a place of a grid of the session: that of the body's own voxel there, and beyond the field
    /// of view that it was drawn in of the shapes.
    fn label(&self, grid: &Grid, ijk: [f64; 3]) -> u8 {
        let own = &self.patient.spect;
        let (mine, middle) = (anatomy::centre(grid), anatomy::centre(own));
        let from_middle = std::array::from_fn(|a| (ijk[a] - mine[a]) * grid.spacing_mm()[a]);
        let in_patient = match &self.motion {
            Some(motion) => motion.in_patient(from_middle),
            None => from_middle,
        };
        let voxel: [f64; 3] =
            std::array::from_fn(|a| (in_patient[a] / own.spacing_mm()[a] + middle[a]).round());
        let [slices, rows, columns] = own.shape();
        let size = [columns, rows, slices];
        if (0..3).all(|a| voxel[a] >= 0.0 && voxel[a] < size[a] as f64) {
            let [i, j, k] = voxel.map(|v| v as usize);
            return self.patient.labels[own.linear(k, j, i)];
        }
        anatomy::label_at(&self.patient.description, in_patient)
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
