//! Why contours do not make a region.

/// A refusal: the contours, not the program, must change.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SegmentError {
    #[error(
        "no closed contour with three points or more in ROI contour (3006,0039): an empty region, \
         or points and open lines only"
    )]
    NoClosedContour,
    #[error("contour {contour} (3006,0050) holds a coordinate that is not finite")]
    NotFinite { contour: usize },
    #[error(
        "contour {contour} (3006,0050) says it is planar but leaves its plane by {deviation_mm} mm"
    )]
    NotPlanar { contour: usize, deviation_mm: f64 },
    #[error(
        "contour {contour} (3006,0050) is not parallel to the others of its region; export the \
         region on parallel planes"
    )]
    NotParallel { contour: usize },
    #[error("the contours enclose no area")]
    NoArea,
    #[error(
        "the region lies wholly outside the image grid; check that contours and image share a \
         frame of reference (0020,0052)"
    )]
    OutsideGrid,
    #[error(
        "{edges} contour edges meet one row of voxels, more than {limit}: simplify the contour"
    )]
    TooComplex { edges: usize, limit: usize },
    #[error("the grid that the contours would need has too many voxels: {0:?} (k, j, i)")]
    TooLarge([usize; 3]),
}
