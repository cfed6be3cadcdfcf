//! Contours to a stack of slabs along one axis.
//!
//! A plane stands for the slab half-way to its neighbours. The first and the last plane reach out
//! by half the usual distance of planes, so a region of n equally spaced planes is n slabs thick.
//! Where neighbours are further apart than [`GAP`] times the usual distance, nothing was drawn in
//! between and nothing is assumed there: each of the two reaches out by half the usual distance.

use super::{Contour, ContourKind, SegmentError};
use crate::quantity::Warning;
use crate::volume::dot;

/// Farthest that a point of a planar contour may lie from its plane, mm.
const PLANAR_TOLERANCE_MM: f64 = 0.5;
/// Contours closer than this along the normal lie on one plane, mm.
const SAME_PLANE_MM: f64 = 0.1;
/// Neighbouring planes further apart than this many usual distances leave a gap.
const GAP: f64 = 1.5;
/// Planes further apart than this make a coarse region, mm.
const SPARSE_MM: f64 = 10.0;

/// The closed contours of one plane and the slab they stand for, along the stack's normal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slab<'a> {
    pub low_mm: f64,
    pub high_mm: f64,
    pub contours: Vec<&'a Contour>,
}

/// Twice the vector area of a polygon (Newell): its length is twice the area.
fn vector_area(points: &[[f64; 3]]) -> [f64; 3] {
    let mut sum = [0.0; 3];
    for n in 1..points.len().saturating_sub(1) {
        let [a, b]: [[f64; 3]; 2] =
            [points[n], points[n + 1]].map(|p| std::array::from_fn(|c| p[c] - points[0][c]));
        sum[0] += a[1] * b[2] - a[2] * b[1];
        sum[1] += a[2] * b[0] - a[0] * b[2];
        sum[2] += a[0] * b[1] - a[1] * b[0];
    }
    sum
}

/// The contours that enclose area, with a warning for each kind that is left out.
pub(super) fn closed<'a>(
    contours: &'a [Contour],
    warnings: &mut Vec<Warning>,
) -> Result<Vec<&'a Contour>, SegmentError> {
    let (mut kept, mut open, mut short) = (Vec::new(), 0usize, 0usize);
    for (n, contour) in contours.iter().enumerate() {
        if !contour.points_lps_mm.iter().flatten().all(|c| c.is_finite()) {
            return Err(SegmentError::NotFinite { contour: n + 1 });
        }
        match contour.kind {
            ContourKind::ClosedPlanar | ContourKind::ClosedPlanarXor => {
                if contour.points_lps_mm.len() < 3 {
                    short += 1;
                } else if contour.kind == ContourKind::ClosedPlanar && kept.contains(&contour) {
                    warnings.push(Warning::new(
                        "duplicate-contour",
                        format!("contour {} repeats another one and is left out", n + 1),
                    ));
                } else {
                    kept.push(contour);
                }
            }
            ContourKind::Point | ContourKind::OpenPlanar | ContourKind::OpenNonplanar => open += 1,
        }
    }
    if open > 0 {
        warnings.push(Warning::new(
            "open-contours-ignored",
            format!("{open} contours are points or open lines, enclose nothing and are left out"),
        ));
    }
    if short > 0 {
        warnings.push(Warning::new(
            "short-contours-ignored",
            format!("{short} closed contours have fewer than three points and are left out"),
        ));
    }
    if kept.is_empty() {
        return Err(SegmentError::NoClosedContour);
    }
    Ok(kept)
}

/// Farthest distance of a contour's points from the mean of their positions along an axis.
fn deviation(contour: &Contour, axis: [f64; 3]) -> f64 {
    let mean = position(contour, axis);
    contour.points_lps_mm.iter().map(|p| (dot(*p, axis) - mean).abs()).fold(0.0, f64::max)
}

fn position(contour: &Contour, axis: [f64; 3]) -> f64 {
    let sum: f64 = contour.points_lps_mm.iter().map(|p| dot(*p, axis)).sum();
    sum / contour.points_lps_mm.len() as f64
}

/// Is every contour flat along this axis, to what writers round to?
pub(super) fn is_normal(contours: &[&Contour], axis: [f64; 3]) -> bool {
    contours.iter().all(|c| deviation(c, axis) <= SAME_PLANE_MM)
}

/// The common normal of all contours: that of the largest.
pub(super) fn normal(contours: &[&Contour]) -> Result<[f64; 3], SegmentError> {
    let length = |v: [f64; 3]| dot(v, v).sqrt();
    let unit = |c: &Contour| {
        let area = vector_area(&c.points_lps_mm);
        let l = length(area);
        (l > 0.0).then(|| (l, area.map(|x| x / l)))
    };
    let largest = contours
        .iter()
        .filter_map(|c| unit(c))
        .reduce(|a, b| if b.0 > a.0 { b } else { a })
        .ok_or(SegmentError::NoArea)?
        .1;
    for (n, contour) in contours.iter().enumerate() {
        let own = unit(contour).map_or(0.0, |(_, axis)| deviation(contour, axis));
        if own > PLANAR_TOLERANCE_MM {
            return Err(SegmentError::NotPlanar { contour: n + 1, deviation_mm: own });
        }
        if deviation(contour, largest) > PLANAR_TOLERANCE_MM {
            return Err(SegmentError::NotParallel { contour: n + 1 });
        }
    }
    Ok(largest)
}

/// Slabs along `axis`, ascending; `single_mm` is the thickness of a region drawn on one plane.
pub(super) fn slabs<'a>(
    contours: &[&'a Contour],
    axis: [f64; 3],
    single_mm: f64,
    warnings: &mut Vec<Warning>,
) -> Vec<Slab<'a>> {
    let mut placed: Vec<(f64, &Contour)> =
        contours.iter().map(|c| (position(c, axis), *c)).collect();
    placed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut planes: Vec<(f64, Vec<&Contour>)> = Vec::new();
    for (at, contour) in placed {
        match planes.last_mut() {
            Some((first, members)) if at - *first <= SAME_PLANE_MM => members.push(contour),
            _ => planes.push((at, vec![contour])),
        }
    }
    let mut gaps: Vec<f64> = planes.windows(2).map(|p| p[1].0 - p[0].0).collect();
    let usual = {
        let mut sorted = gaps.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len().saturating_sub(1) / 2).copied()
    };
    let usual = usual.unwrap_or_else(|| {
        warnings.push(Warning::new(
            "single-plane",
            format!("the region is drawn on one plane; {single_mm:.2} mm thickness assumed"),
        ));
        single_mm
    });
    if usual > SPARSE_MM {
        warnings.push(Warning::new(
            "sparse-planes",
            format!("contours lie {usual:.1} mm apart: each stands for a slab of that thickness"),
        ));
    }
    let open = gaps.iter().filter(|g| **g > GAP * usual).count();
    if open > 0 {
        warnings.push(Warning::new(
            "contour-gap",
            format!(
                "{open} gaps of more than {GAP} plane distances ({usual:.2} mm) between contours \
                 are left empty"
            ),
        ));
    }
    gaps.iter_mut().filter(|g| **g > GAP * usual).for_each(|g| *g = usual);
    let last = planes.len() - 1;
    planes
        .into_iter()
        .enumerate()
        .map(|(n, (at, contours))| Slab {
            low_mm: at - 0.5 * if n == 0 { usual } else { gaps[n - 1] },
            high_mm: at + 0.5 * if n == last { usual } else { gaps[n] },
            contours,
        })
        .collect()
}
