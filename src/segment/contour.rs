//! Contours of a region in patient space, as an RT Structure Set holds them (PS3.3 C.8.8.6).

/// Contour Geometric Type (3006,0042).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContourKind {
    ClosedPlanar,
    /// All such contours of one plane combine by exclusive or.
    ClosedPlanarXor,
    Point,
    OpenPlanar,
    OpenNonplanar,
}

/// One contour: points in order, LPS mm, not repeated at the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Contour {
    pub kind: ContourKind,
    pub points_lps_mm: Vec<[f64; 3]>,
}
