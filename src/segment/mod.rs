//! Regions as the fraction of each voxel that they fill: contours and segmentations as they were
//! drawn, and what is made from the images themselves.
//!
//! In: contours in patient space, or the occupancy of another grid; the dose grid. Out: fractional
//! occupancy. Areas in a contour's plane are exact (no sampling); between planes the region is a
//! stack of slabs. Made here: spheres in the hottest part of a region, thresholds within one, and
//! body, lungs and bone of a CT. See `docs/methods/regions.md`.

mod constants;
pub mod contour;
mod coverage;
mod ct_tissue;
mod error;
mod mask;
mod overlap;
mod rasterise;
mod sphere;
mod stack;
mod threshold;

pub use constants::{Constants, constants};
pub use contour::{Contour, ContourKind};
pub use ct_tissue::{CtTissue, ct_tissue};
pub use error::SegmentError;
pub use overlap::{Assignment, assign, remainder, transfer};
pub use rasterise::{Rasterised, rasterise};
pub use sphere::{Spheres, hottest_spheres, sphere};
pub use threshold::{Level, Thresholded, threshold};

#[cfg(test)]
mod tests;
