//! The exact fraction of each cell of a plane that polygons cover, by the even-odd rule.
//!
//! Cells are unit squares: cell (c, r) reaches from c to c+1 and from r to r+1. A row of cells is
//! cut at every vertex and every crossing of edges inside it; between two cuts the edges do not
//! cross, so sorted by x they bound trapezoids, whose share of each cell is a closed formula.
//! Holes, keyholes, nested islands, crossings and overlaps need no special case.

use super::SegmentError;

/// Most edges that may meet one row of cells; their crossings are searched pair by pair.
const EDGES_PER_ROW_MAX: usize = 20_000;
/// Covered parts below this are rounding.
const COVERAGE_MIN: f64 = 1e-9;

/// A polygon edge with y0 < y1. Horizontal edges bound no trapezoid and are left out.
#[derive(Debug, Clone, Copy)]
struct Edge {
    x0: f64,
    y0: f64,
    x1: f64,
    y1: f64,
}

impl Edge {
    fn x(&self, y: f64) -> f64 {
        let t = ((y - self.y0) / (self.y1 - self.y0)).clamp(0.0, 1.0);
        self.x0 + t * (self.x1 - self.x0)
    }

    /// Height at which two edges properly cross.
    fn crossing(&self, other: &Edge) -> Option<f64> {
        let (ax, ay) = (self.x1 - self.x0, self.y1 - self.y0);
        let (bx, by) = (other.x1 - other.x0, other.y1 - other.y0);
        let cross = ax * by - ay * bx;
        if cross == 0.0 {
            return None;
        }
        let (dx, dy) = (other.x0 - self.x0, other.y0 - self.y0);
        let along = |px: f64, py: f64| (dx * py - dy * px) / cross;
        let (s, t) = (along(bx, by), along(ax, ay));
        let inner = 1e-9..1.0 - 1e-9;
        (inner.contains(&s) && inner.contains(&t)).then(|| self.y0 + s * ay)
    }
}

/// A horizontal edge: it bounds nothing, but another edge may cross it.
#[derive(Debug, Clone, Copy)]
struct Level {
    y: f64,
    left: f64,
    right: f64,
}

impl Level {
    fn holds(&self, edge: &Edge) -> bool {
        let margin = 1e-9 * (self.right - self.left).max(1.0);
        (self.left + margin..self.right - margin).contains(&edge.x(self.y))
    }
}

/// What polygons cover of a plane.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Coverage {
    /// (row, column, covered fraction), ascending; only inside the asked rows and columns.
    pub cells: Vec<(usize, usize, f64)>,
    /// Covered area, cells, also outside the asked rows and columns.
    pub area: f64,
    /// Some edges cross: a self-intersection or contours that cut each other.
    pub crossed: bool,
}

/// Even-odd coverage of `columns` × `rows` cells by closed polygons in cell coordinates.
pub(super) fn coverage(
    polygons: &[Vec<[f64; 2]>],
    columns: usize,
    rows: usize,
) -> Result<Coverage, SegmentError> {
    let mut edges: Vec<Edge> = polygons.iter().flat_map(|p| edges_of(p)).collect();
    edges.sort_by(|a, b| a.y0.total_cmp(&b.y0));
    let levels: Vec<Level> = polygons.iter().flat_map(|p| levels_of(p)).collect();
    let mut result = Coverage::default();
    let (Some(bottom), Some(top)) =
        (edges.iter().map(|e| e.y0).reduce(f64::min), edges.iter().map(|e| e.y1).reduce(f64::max))
    else {
        return Ok(result);
    };
    // One band below, one above the asked rows: for the area that lies outside them.
    let mut bands = vec![(bottom.min(0.0), 0.0, None)];
    let first = bottom.max(0.0).floor() as usize;
    let last = (top.max(0.0).ceil() as usize).min(rows);
    bands.extend((first..last).map(|r| (r as f64, (r + 1) as f64, Some(r))));
    bands.push((rows as f64, top.max(rows as f64), None));
    let mut row = Row::new(columns);
    for (low, high, index) in bands {
        if low < high {
            row.scan(&edges, &levels, low, high, &mut result)?;
            row.flush(index, &mut result.cells);
        }
    }
    Ok(result)
}

fn edges_of(polygon: &[[f64; 2]]) -> impl Iterator<Item = Edge> + '_ {
    (0..polygon.len()).filter_map(|n| {
        let (a, b) = (polygon[n], polygon[(n + 1) % polygon.len()]);
        let (low, high) = if a[1] < b[1] { (a, b) } else { (b, a) };
        (low[1] < high[1]).then_some(Edge { x0: low[0], y0: low[1], x1: high[0], y1: high[1] })
    })
}

fn levels_of(polygon: &[[f64; 2]]) -> impl Iterator<Item = Level> + '_ {
    (0..polygon.len()).filter_map(|n| {
        let (a, b) = (polygon[n], polygon[(n + 1) % polygon.len()]);
        let level = Level { y: a[1], left: a[0].min(b[0]), right: a[0].max(b[0]) };
        (a[1] == b[1] && level.left < level.right).then_some(level)
    })
}

/// Accumulates one row of cells: `part[c]` is what edges crossing column c contribute to it, and
/// `step[c]` what starts at column c and holds for all columns to its right.
struct Row {
    part: Vec<f64>,
    step: Vec<f64>,
    touched: Option<(usize, usize)>,
}

impl Row {
    fn new(columns: usize) -> Self {
        Self { part: vec![0.0; columns], step: vec![0.0; columns + 1], touched: None }
    }

    fn scan(
        &mut self,
        edges: &[Edge],
        levels: &[Level],
        low: f64,
        high: f64,
        result: &mut Coverage,
    ) -> Result<(), SegmentError> {
        // Sorted by y0: what begins at or above the row's top cannot meet it.
        let begun = edges.partition_point(|e| e.y0 < high);
        let active: Vec<Edge> = edges[..begun].iter().filter(|e| e.y1 > low).copied().collect();
        if active.len() > EDGES_PER_ROW_MAX {
            let limit = EDGES_PER_ROW_MAX;
            return Err(SegmentError::TooComplex { edges: active.len(), limit });
        }
        let mut cuts: Vec<f64> = vec![low, high];
        cuts.extend(active.iter().flat_map(|e| [e.y0, e.y1]));
        let crossings = crossings(&active, low, high);
        result.crossed |= !crossings.is_empty();
        cuts.extend(crossings);
        result.crossed |= levels.iter().filter(|l| l.y >= low && l.y < high).any(|level| {
            active.iter().filter(|e| e.y0 < level.y && e.y1 > level.y).any(|e| level.holds(e))
        });
        cuts.retain(|y| (low..=high).contains(y));
        cuts.sort_by(f64::total_cmp);
        cuts.dedup();
        for pair in cuts.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let middle = 0.5 * (a + b);
            let mut lines: Vec<(f64, f64, f64)> = active
                .iter()
                .filter(|e| e.y0 < middle && e.y1 > middle)
                .map(|e| (e.x(middle), e.x(a), e.x(b)))
                .collect();
            lines.sort_by(|p, q| p.0.total_cmp(&q.0));
            for (n, &(middle_x, xa, xb)) in lines.iter().enumerate() {
                let sign = if n % 2 == 0 { 1.0 } else { -1.0 };
                self.add(xa, xb, sign * (b - a));
                result.area -= sign * (b - a) * middle_x;
            }
        }
        Ok(())
    }

    /// Adds `height` times the part of each cell that lies right of a line from xa to xb.
    fn add(&mut self, xa: f64, xb: f64, height: f64) {
        let columns = self.part.len();
        let (left, right) = (xa.min(xb), xa.max(xb));
        // Area right of the line within [0, c]: integral of max(0, c − x) over the line.
        let right_of = |c: f64| {
            if c <= left {
                0.0
            } else if c >= right {
                c - 0.5 * (left + right)
            } else {
                0.5 * (c - left) * (c - left) / (right - left)
            }
        };
        let first = left.floor().clamp(0.0, columns as f64) as usize;
        let end = right.ceil().clamp(0.0, columns as f64) as usize;
        for c in first..end {
            let part = right_of((c + 1) as f64) - right_of(c as f64);
            self.part[c] += height * part;
        }
        let full = end.max(first);
        self.step[full] += height;
        let (low, high) = self.touched.unwrap_or((full, full));
        self.touched = Some((low.min(first), high.max(full)));
    }

    /// Moves the row's covered cells out and clears it.
    fn flush(&mut self, row: Option<usize>, cells: &mut Vec<(usize, usize, f64)>) {
        let Some((first, last)) = self.touched.take() else { return };
        let columns = self.part.len();
        let mut running = 0.0;
        for c in first..=last.min(columns) {
            running += std::mem::take(&mut self.step[c]);
            if c < columns {
                let covered = std::mem::take(&mut self.part[c]) + running;
                if let Some(row) = row.filter(|_| covered > COVERAGE_MIN) {
                    cells.push((row, c, covered.min(1.0)));
                }
            }
        }
    }
}

/// Heights within the row at which active edges properly cross.
fn crossings(active: &[Edge], low: f64, high: f64) -> Vec<f64> {
    // Extents along x inside the row; sorted, so that only overlapping ones are compared.
    let mut extents: Vec<(f64, f64, Edge)> = active
        .iter()
        .map(|e| {
            let (a, b) = (e.x(low), e.x(high));
            (a.min(b), a.max(b), *e)
        })
        .collect();
    extents.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut heights = Vec::new();
    for (n, (_, right, edge)) in extents.iter().enumerate() {
        for (_, _, other) in extents[n + 1..].iter().take_while(|o| o.0 <= *right) {
            heights.extend(edge.crossing(other).filter(|y| (low..=high).contains(y)));
        }
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(c: &Coverage) -> f64 {
        c.cells.iter().map(|c| c.2).sum()
    }

    fn square(x: f64, y: f64, side: f64) -> Vec<[f64; 2]> {
        vec![[x, y], [x + side, y], [x + side, y + side], [x, y + side]]
    }

    #[test]
    fn a_shifted_square_covers_by_its_exact_parts() {
        let c = coverage(&[square(0.25, 0.5, 1.0)], 3, 3).unwrap();
        let wanted = [(0, 0, 0.375), (0, 1, 0.125), (1, 0, 0.375), (1, 1, 0.125)];
        assert_eq!(c.cells, wanted);
        assert!((c.area - 1.0).abs() < 1e-12 && !c.crossed);
    }

    #[test]
    fn nested_contours_alternate() {
        let c = coverage(
            &[square(1.0, 1.0, 8.0), square(2.0, 2.0, 6.0), square(4.0, 4.0, 2.0)],
            10,
            10,
        )
        .unwrap();
        assert!((total(&c) - (64.0 - 36.0 + 4.0)).abs() < 1e-12);
    }

    #[test]
    fn a_keyhole_leaves_no_trace_of_its_channel() {
        let keyhole = vec![
            [1.0, 1.0],
            [9.0, 1.0],
            [9.0, 9.0],
            [1.0, 9.0],
            [1.0, 5.3],
            [3.0, 5.3],
            [3.0, 7.0],
            [7.0, 7.0],
            [7.0, 3.0],
            [3.0, 3.0],
            [3.0, 5.3],
            [1.0, 5.3],
        ];
        let c = coverage(&[keyhole], 10, 10).unwrap();
        assert!((total(&c) - (64.0 - 16.0)).abs() < 1e-12);
        assert!(!c.crossed);
        assert!(c.cells.iter().all(|c| (c.2 - 1.0).abs() < 1e-12));
    }

    #[test]
    fn a_bow_tie_has_two_halves_and_is_reported() {
        let c = coverage(&[vec![[1.0, 1.0], [5.0, 5.0], [5.0, 1.0], [1.0, 5.0]]], 6, 6).unwrap();
        assert!((total(&c) - 8.0).abs() < 1e-9);
        assert!(c.crossed);
    }

    #[test]
    fn what_overlaps_cancels() {
        let c = coverage(&[square(1.0, 1.0, 4.0), square(3.0, 3.0, 4.0)], 10, 10).unwrap();
        assert!((total(&c) - (16.0 + 16.0 - 2.0 * 4.0)).abs() < 1e-9);
        assert!(c.crossed);
    }

    #[test]
    fn area_beyond_the_cells_counts_in_the_area_only() {
        let c = coverage(&[square(-2.0, -2.0, 8.0)], 4, 4).unwrap();
        assert!((total(&c) - 16.0).abs() < 1e-9 && (c.area - 64.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn covered_cells_add_up_to_the_polygon(
            radii in prop::collection::vec(1.0f64..9.0, 3..40), dx in 0.0f64..1.0, dy in 0.0f64..1.0,
        ) {
            // A star around a point: simple, so the shoelace formula holds.
            let n = radii.len();
            let polygon: Vec<[f64; 2]> = radii
                .iter()
                .enumerate()
                .map(|(m, r)| {
                    let angle = std::f64::consts::TAU * m as f64 / n as f64;
                    [10.0 + dx + r * angle.cos(), 10.0 + dy + r * angle.sin()]
                })
                .collect();
            let shoelace = (0..n)
                .map(|m| {
                    let (a, b) = (polygon[m], polygon[(m + 1) % n]);
                    a[0] * b[1] - b[0] * a[1]
                })
                .sum::<f64>()
                / 2.0;
            let c = coverage(&[polygon], 21, 21).unwrap();
            prop_assert!((total(&c) / shoelace - 1.0).abs() < 1e-6);
            prop_assert!((c.area / shoelace - 1.0).abs() < 1e-9);
            prop_assert!(c.cells.iter().all(|c| c.2 > 0.0 && c.2 <= 1.0));
        }
    }
}
