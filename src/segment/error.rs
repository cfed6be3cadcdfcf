//! Why no region can be made.

/// A refusal: contours, images or settings, not the program, must change.
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
        "closed contour {contour} (3006,0050) says it is planar but leaves its plane by {deviation_mm} mm"
    )]
    NotPlanar { contour: usize, deviation_mm: f64 },
    #[error(
        "closed contour {contour} (3006,0050) is not parallel to the others of its region; export the \
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
    #[error(
        "no sphere of {diameter_mm} mm fits into the region; draw the whole organ, or state a smaller \
         `diameter_mm`"
    )]
    NoSphereFits { diameter_mm: f64 },
    #[error(
        "nothing in the region reaches {threshold:.4e} Bq/ml; lower the threshold or draw it anew"
    )]
    NothingAbove { threshold: f64 },
    #[error(
        "the region holds no background below the threshold; draw it wider than the lesion, or use \
         `of_maximum`"
    )]
    NoBackground,
    #[error("the CT shows no {0} of plausible size; draw the region, or take it out of `derived`")]
    NoTissue(&'static str),
}
