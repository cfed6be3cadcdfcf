//! Dose statistics, dose-volume histograms and biologically effective dose.
//!
//! In: dose and mass per voxel, a region's occupancy, its fitted curve. Out: mean by mass, all
//! else by volume; BED and EQD2 with the parameters they assumed. Beside them: organ doses by S
//! values, marrow dose by blood, equivalent uniform dose, RBE-weighted dose of alphas.

pub mod bed;
pub mod dvh;
pub mod effect;
mod error;
pub mod marrow;
pub mod organ;

pub use bed::{TissueParameters, bed, eqd2, g_factor};
pub use dvh::statistics;
pub use error::BiologyError;
