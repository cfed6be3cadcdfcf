//! Contours and segmentations to the fraction of each voxel that a region fills.
//!
//! In: contours in patient space, or the occupancy of another grid; the dose grid. Out: fractional
//! occupancy. Areas in a contour's plane are exact (no sampling); between planes the region is a
//! stack of slabs. See `docs/methods/regions.md`.

pub mod contour;
mod coverage;
mod error;
mod overlap;
mod rasterise;
mod stack;

pub use contour::{Contour, ContourKind};
pub use error::SegmentError;
pub use overlap::{Assignment, assign, remainder, transfer};
pub use rasterise::{Rasterised, rasterise};

#[cfg(test)]
mod tests;
