//! Holes as planning systems read them: joined to the outline around them by a channel of no width.
//!
//! Readers that fill every closed contour lose holes that are contours of their own; filled by the
//! even-odd rule or by winding, a keyhole is right for all.

use super::Outline;

/// Twice the signed area; outer boundaries of [`super::outlines`] are positive, holes negative.
fn area(outline: &Outline) -> f64 {
    (0..outline.len())
        .map(|n| {
            let (a, b) = (outline[n], outline[(n + 1) % outline.len()]);
            a[0] * b[1] - b[0] * a[1]
        })
        .sum()
}

fn leftmost(outline: &Outline) -> f64 {
    outline.iter().map(|p| p[0]).fold(f64::INFINITY, f64::min)
}

/// One polygon for each outer boundary of [`super::outlines`], with its holes joined to it.
pub fn keyholed(outlines: Vec<Outline>) -> Vec<Outline> {
    let (mut outer, mut holes): (Vec<Outline>, Vec<Outline>) =
        outlines.into_iter().partition(|outline| area(outline) > 0.0);
    // From the left: what a channel to the left meets has been joined before.
    holes.sort_by(|a, b| leftmost(a).total_cmp(&leftmost(b)).then(a[0][1].total_cmp(&b[0][1])));
    for hole in holes {
        match channel(&outer, &hole) {
            Some((polygon, edge, start, height)) => {
                let x = outer[polygon][edge][0];
                let (near, far) = ([x, height], [leftmost(&hole), height]);
                let around = (1..=hole.len()).map(|n| hole[(start + n) % hole.len()]);
                let detour: Vec<[f64; 2]> =
                    [near, far].into_iter().chain(around).chain([far, near]).collect();
                outer[polygon].splice(edge + 1..edge + 1, detour);
            }
            None => outer.push(hole),
        }
    }
    outer
}

/// Where a hole is joined: polygon, the edge of it that begins at this point, the hole's own edge, and
/// the height of the channel, which is no pixel's centre.
fn channel(outer: &[Outline], hole: &Outline) -> Option<(usize, usize, usize, f64)> {
    let left = leftmost(hole);
    let next = |outline: &Outline, n: usize| outline[(n + 1) % outline.len()];
    let start = (0..hole.len()).find(|&n| hole[n][0] == left && next(hole, n)[0] == left)?;
    let height = hole[start][1].min(next(hole, start)[1]) + 0.25;
    let mut best: Option<(f64, usize, usize)> = None;
    for (polygon, outline) in outer.iter().enumerate() {
        for edge in 0..outline.len() {
            let (a, b) = (outline[edge], next(outline, edge));
            let crossed = a[0] == b[0] && a[0] < left && (a[1] < height) != (b[1] < height);
            if crossed && best.is_none_or(|(x, ..)| a[0] > x) {
                best = Some((a[0], polygon, edge));
            }
        }
    }
    best.map(|(_, polygon, edge)| (polygon, edge, start, height))
}

#[cfg(test)]
mod tests {
    use super::super::outlines;
    use super::*;

    /// `#` is inside.
    fn joined(picture: &[&str]) -> (Vec<Outline>, f64) {
        let inside = |j: usize, i: usize| picture[j].as_bytes()[i] == b'#';
        let count = picture.iter().flat_map(|row| row.bytes()).filter(|b| *b == b'#').count();
        (keyholed(outlines(picture.len(), picture[0].len(), inside)), count as f64)
    }

    /// Even-odd at a pixel's centre.
    fn holds(polygons: &[Outline], j: usize, i: usize) -> bool {
        let (x, y) = (i as f64, j as f64);
        let crossings = polygons.iter().flat_map(|p| {
            (0..p.len()).filter(move |&n| {
                let (a, b) = (p[n], p[(n + 1) % p.len()]);
                (a[1] < y) != (b[1] < y) && a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) > x
            })
        });
        crossings.count() % 2 == 1
    }

    #[test]
    fn holes_become_part_of_their_outline_and_no_pixel_changes() {
        let pictures: [&[&str]; 4] = [
            &["####", "#..#", "####"],
            // Two holes side by side, and one more outline beside them.
            &["#######..##", "#.#.#.#..##", "#######....", "#.....#....", "#######...."],
            // An island in a hole.
            &["#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######"],
            // Holes that meet at a corner.
            &["#####", "#.###", "##.##", "#####"],
        ];
        for (picture, outer) in pictures.iter().zip([1, 2, 2, 1]) {
            let (polygons, count) = joined(picture);
            assert_eq!(polygons.len(), outer, "{picture:?}");
            let signed: f64 = polygons.iter().map(area).sum::<f64>() / 2.0;
            assert_eq!(signed, count, "{picture:?}");
            for (j, row) in picture.iter().enumerate() {
                for (i, pixel) in row.bytes().enumerate() {
                    assert_eq!(holds(&polygons, j, i), pixel == b'#', "{j} {i} of {picture:?}");
                }
            }
        }
    }
}
