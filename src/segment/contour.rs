//! Contours as an RTSTRUCT gives them, in patient space.

/// Contour Geometric Type (3006,0042).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContourKind {
    ClosedPlanar,
    ClosedPlanarXor,
    Point,
    OpenPlanar,
    OpenNonplanar,
}

/// One contour: its points in LPS mm, the last not repeating the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Contour {
    pub kind: ContourKind,
    pub points_lps_mm: Vec<[f64; 3]>,
}
