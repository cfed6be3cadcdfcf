//! Dose statistics, dose-volume histograms and biologically effective dose.
//!
//! In: dose and mass per voxel, a region's occupancy, its fitted curve. Out: mean by mass, all
//! else by volume; BED and EQD2 with the parameters they assumed.

pub mod bed;
pub mod dvh;
mod error;

pub use error::BiologyError;
