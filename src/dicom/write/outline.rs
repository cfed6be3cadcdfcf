//! Outlines of a mask along the edges of its pixels.

use std::collections::BTreeMap;

/// A closed polygon in `[i, j]` index coordinates; pixel centres are integers, so corners lie at
/// halves. The last point is not repeated.
pub type Outline = Vec<[f64; 2]>;

/// Corner of pixels, in units of pixels from the image's corner.
type Corner = (usize, usize);

/// Directions with the inside on the right hand, rows counting downward.
const RIGHT: (i8, i8) = (1, 0);
const DOWN: (i8, i8) = (0, 1);
const LEFT: (i8, i8) = (-1, 0);
const UP: (i8, i8) = (0, -1);

/// Outer boundaries and holes of the pixels for which `inside(j, i)` holds, each as one polygon.
/// Even-odd filling of all of them gives back exactly those pixels; pixels that only share a
/// corner belong to different polygons.
pub fn outlines(
    rows: usize,
    columns: usize,
    inside: impl Fn(usize, usize) -> bool,
) -> Vec<Outline> {
    let mut edges = directed_edges(rows, columns, inside);
    let mut polygons = Vec::new();
    while let Some((&start, _)) = edges.iter().next() {
        polygons.push(trace(&mut edges, start));
    }
    polygons
}

/// Every pixel side between inside and outside, by the corner it starts from.
fn directed_edges(
    rows: usize,
    columns: usize,
    inside: impl Fn(usize, usize) -> bool,
) -> BTreeMap<Corner, Vec<(i8, i8)>> {
    let mut edges = BTreeMap::<Corner, Vec<(i8, i8)>>::new();
    let filled = |j: Option<usize>, i: Option<usize>| match (j, i) {
        (Some(j), Some(i)) => j < rows && i < columns && inside(j, i),
        _ => false,
    };
    for j in 0..rows {
        for i in (0..columns).filter(|&i| inside(j, i)) {
            let sides = [
                (filled(j.checked_sub(1), Some(i)), (i, j), RIGHT),
                (filled(Some(j), Some(i + 1)), (i + 1, j), DOWN),
                (filled(Some(j + 1), Some(i)), (i + 1, j + 1), LEFT),
                (filled(Some(j), i.checked_sub(1)), (i, j + 1), UP),
            ];
            for (_, corner, direction) in sides.into_iter().filter(|side| !side.0) {
                edges.entry(corner).or_default().push(direction);
            }
        }
    }
    edges
}

/// Follows edges from `start` until it is reached again, keeping only the points where it turns.
fn trace(edges: &mut BTreeMap<Corner, Vec<(i8, i8)>>, start: Corner) -> Outline {
    let mut polygon = Outline::new();
    let (mut at, mut heading) = (start, None);
    let mut first = None;
    loop {
        let Some(direction) = take_edge(edges, at, heading) else { break };
        first.get_or_insert(direction);
        if heading != Some(direction) {
            polygon.push([at.0 as f64 - 0.5, at.1 as f64 - 0.5]);
        }
        heading = Some(direction);
        at = (
            at.0.wrapping_add_signed(direction.0.into()),
            at.1.wrapping_add_signed(direction.1.into()),
        );
        if at == start {
            break;
        }
    }
    if heading == first {
        polygon.remove(0);
    }
    polygon
}

/// Takes the edge that leaves `at`; where two do, the one that turns right, so that pixels that
/// touch at a corner stay apart.
fn take_edge(
    edges: &mut BTreeMap<Corner, Vec<(i8, i8)>>,
    at: Corner,
    heading: Option<(i8, i8)>,
) -> Option<(i8, i8)> {
    let leaving = edges.get_mut(&at)?;
    let right = heading.map(|(x, y)| (-y, x));
    let choice = leaving.iter().position(|&d| Some(d) == right).unwrap_or(0);
    let direction = leaving.swap_remove(choice);
    if leaving.is_empty() {
        edges.remove(&at);
    }
    Some(direction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Even-odd rule at a pixel centre.
    fn encloses(polygons: &[Outline], x: f64, y: f64) -> bool {
        let crossings =
            polygons.iter().flat_map(|p| (0..p.len()).map(move |n| (p[n], p[(n + 1) % p.len()])));
        let right = crossings.filter(|([ax, ay], [_, by])| (ay > &y) != (by > &y) && *ax > x);
        right.count() % 2 == 1
    }

    proptest! {
        #[test]
        fn filling_the_outlines_gives_back_the_mask(mask in proptest::collection::vec(any::<bool>(), 48)) {
            let polygons = outlines(6, 8, |j, i| mask[j * 8 + i]);
            for j in 0..6 {
                for i in 0..8 {
                    prop_assert_eq!(encloses(&polygons, i as f64, j as f64), mask[j * 8 + i]);
                }
            }
            for polygon in &polygons {
                prop_assert!(polygon.len() >= 4);
                let mut corners: Vec<_> = polygon.iter().map(|p| (p[0].to_bits(), p[1].to_bits())).collect();
                corners.sort_unstable();
                corners.dedup();
                prop_assert!(corners.len() >= 4);
            }
        }
    }

    #[test]
    fn a_square_has_four_points_and_a_hole_is_a_polygon_of_its_own() {
        assert_eq!(outlines(5, 5, |j, i| (1..4).contains(&j) && (1..4).contains(&i)).len(), 1);
        let ring = outlines(3, 3, |j, i| (j, i) != (1, 1));
        assert_eq!(ring.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4]);
    }
}
