//! Planes in any order to a regular, right-handed grid: sorted along the slice normal, checked
//! for gaps, doubles, tilt and mixed sizes.

use super::error::ReadError;
use crate::volume::{Grid, cross, dot};

/// Where one image plane lies. `position` is the centre of its first pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plane {
    pub position: [f64; 3],
    pub axis_i: [f64; 3],
    pub axis_j: [f64; 3],
    /// Between rows (along j), mm.
    pub row_spacing: f64,
    /// Between columns (along i), mm.
    pub column_spacing: f64,
    pub rows: u32,
    pub columns: u32,
}

/// Planes in order.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Indices into the planes given, k ascending along the normal.
    pub order: Vec<usize>,
    /// Distance of each plane from the first along the normal, mm.
    pub offsets_mm: Vec<f64>,
    /// The lowest plane.
    pub first: Plane,
    /// Largest relative deviation of a gap from the mean gap.
    pub unevenness: f64,
}

/// Direction cosines of one series may differ by as much as writers' rounding.
const ORIENTATION_TOLERANCE: f64 = 1e-4;
/// Relative, for pixel spacings of one series.
const SPACING_TOLERANCE: f64 = 1e-4;
/// Closer planes are the same place.
const SAME_PLACE_MM: f64 = 1e-2;
/// Cosine between the normal and the way from slice to slice; less is a tilted gantry.
const STRAIGHT: f64 = 0.9999;
/// Gaps may differ from their mean by this part.
pub const GAP_TOLERANCE: f64 = 0.01;

/// Rounds to a nanometre, so that a stack described from either end has the same origin bit for
/// bit.
pub fn nanometre(mm: f64) -> f64 {
    (mm * 1e6).round() / 1e6
}

impl Plane {
    pub fn normal(&self) -> [f64; 3] {
        cross(self.axis_i, self.axis_j)
    }

    fn agrees_with(&self, other: &Plane) -> bool {
        let near =
            |a: [f64; 3], b: [f64; 3]| (0..3).all(|c| (a[c] - b[c]).abs() <= ORIENTATION_TOLERANCE);
        let same = |a: f64, b: f64| (a - b).abs() <= SPACING_TOLERANCE * b.abs();
        near(self.axis_i, other.axis_i)
            && near(self.axis_j, other.axis_j)
            && same(self.row_spacing, other.row_spacing)
            && same(self.column_spacing, other.column_spacing)
            && (self.rows, self.columns) == (other.rows, other.columns)
    }
}

/// Sorts planes along their common normal.
///
/// # Errors
/// Planes of different size, orientation or spacing; two at one place; a tilted stack.
pub fn arrange(planes: &[Plane]) -> Result<Stack, ReadError> {
    let Some(&any) = planes.first() else { return Err(ReadError::NoInstances) };
    if planes.iter().any(|p| !p.agrees_with(&any)) {
        return Err(ReadError::Geometry(
            "slices differ in size, orientation or pixel spacing; send each volume as a series of \
             its own"
                .into(),
        ));
    }
    let height = |n: usize| dot(planes[n].position, any.normal());
    let mut order: Vec<usize> = (0..planes.len()).collect();
    order.sort_by(|&a, &b| height(a).total_cmp(&height(b)));
    let first = planes[order[0]];
    let offsets_mm: Vec<f64> = order.iter().map(|&n| height(n) - height(order[0])).collect();
    if let Some(n) = (1..order.len()).find(|&n| offsets_mm[n] - offsets_mm[n - 1] < SAME_PLACE_MM) {
        return Err(ReadError::Geometry(format!(
            "more than one image lies {:.2} mm from the first slice: duplicates, or a dynamic or \
             gated series; send one static volume",
            offsets_mm[n]
        )));
    }
    check_straight(planes, &order, &offsets_mm)?;
    let gaps = offsets_mm.windows(2).map(|w| w[1] - w[0]);
    let mean = offsets_mm[offsets_mm.len() - 1] / (order.len() - 1).max(1) as f64;
    let unevenness = gaps.map(|gap| (gap - mean).abs() / mean).fold(0.0, f64::max);
    Ok(Stack { order, offsets_mm, first, unevenness })
}

fn check_straight(planes: &[Plane], order: &[usize], offsets: &[f64]) -> Result<(), ReadError> {
    let (a, b) = (planes[order[0]].position, planes[order[order.len() - 1]].position);
    let way: [f64; 3] = std::array::from_fn(|c| b[c] - a[c]);
    let length = dot(way, way).sqrt();
    if order.len() > 1 && offsets[offsets.len() - 1] / length < STRAIGHT {
        return Err(ReadError::Geometry(
            "slices are shifted against each other (tilted gantry or sheared volume); send a \
             series that was reconstructed without tilt"
                .into(),
        ));
    }
    Ok(())
}

impl Stack {
    /// The grid of an even stack; `thickness` is the third extent of a single plane.
    ///
    /// # Errors
    /// Gaps that differ by more than 1 % (a slice is missing), or a single slice without thickness.
    pub fn even_grid(&self, thickness: Option<f64>) -> Result<Grid, ReadError> {
        if self.unevenness > GAP_TOLERANCE {
            return Err(ReadError::Geometry(format!(
                "gaps between slices differ by {:.0} %: slices are missing; send the whole series",
                self.unevenness * 100.0
            )));
        }
        let slices = self.order.len();
        let spacing = if slices > 1 {
            self.offsets_mm[slices - 1] / (slices - 1) as f64
        } else {
            thickness.ok_or_else(|| {
                ReadError::Geometry("a single slice has no Slice Thickness (0018,0050)".into())
            })?
        };
        self.grid(slices, spacing)
    }

    /// A grid that starts at the lowest plane.
    pub fn grid(&self, slices: usize, spacing: f64) -> Result<Grid, ReadError> {
        let p = &self.first;
        Grid::new(
            [slices, p.rows as usize, p.columns as usize],
            [p.column_spacing, p.row_spacing, nanometre(spacing)],
            p.position.map(nanometre),
            p.axis_i,
            p.axis_j,
        )
        .map_err(|error| ReadError::Geometry(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(z: f64) -> Plane {
        Plane {
            position: [-10.0, -20.0, z],
            axis_i: [1.0, 0.0, 0.0],
            axis_j: [0.0, 1.0, 0.0],
            row_spacing: 2.0,
            column_spacing: 3.0,
            rows: 4,
            columns: 5,
        }
    }

    #[test]
    fn planes_are_sorted_along_the_normal_whatever_their_order() {
        let stack = arrange(&[plane(4.0), plane(0.0), plane(2.0)]).unwrap();
        assert_eq!(stack.order, [1, 2, 0]);
        let grid = stack.even_grid(None).unwrap();
        assert_eq!(grid.shape(), [3, 4, 5]);
        assert_eq!(grid.spacing_mm(), [3.0, 2.0, 2.0]);
        assert_eq!(grid.origin_lps_mm(), [-10.0, -20.0, 0.0]);
    }

    #[test]
    fn feet_up_orientation_sorts_downward_and_stays_right_handed() {
        let down = |z| Plane { axis_j: [0.0, -1.0, 0.0], ..plane(z) };
        let stack = arrange(&[down(0.0), down(2.0)]).unwrap();
        assert_eq!(stack.order, [1, 0]);
        assert_eq!(stack.even_grid(None).unwrap().direction()[2], [0.0, 0.0, -1.0]);
    }

    #[test]
    fn gaps_doubles_tilt_and_mixtures_are_refused() {
        let refused = |planes: &[Plane]| {
            arrange(planes).and_then(|s| s.even_grid(None)).unwrap_err().to_string()
        };
        assert!(refused(&[plane(0.0), plane(2.0), plane(6.0)]).contains("missing"));
        assert!(refused(&[plane(0.0), plane(2.0), plane(2.0)]).contains("more than one image"));
        let shifted = Plane { position: [-10.0, -19.0, 2.0], ..plane(2.0) };
        assert!(refused(&[plane(0.0), shifted]).contains("tilted"));
        let finer = Plane { rows: 8, ..plane(2.0) };
        assert!(refused(&[plane(0.0), finer]).contains("differ in size"));
        assert!(refused(&[plane(0.0)]).contains("Slice Thickness"));
    }
}
