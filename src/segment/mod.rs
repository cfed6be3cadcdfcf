//! Contours and segmentations to the fraction of each voxel that a region fills.

pub mod contour;
