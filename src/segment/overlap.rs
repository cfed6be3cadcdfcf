//! Regions against each other and from grid to grid.

use crate::volume::resample::conserve;
use crate::volume::{Grid, Occupancy, Transform, Volume};
use ndarray::Array3;

/// A region given on one grid, on another: its volume is kept where `to` covers it.
///
/// `to_from` maps points of the frame of `to` into the frame of `from` (see
/// [`crate::volume::transform`]); identity where both share a frame of reference.
pub fn transfer(occupancy: &Occupancy, from: &Grid, to: &Grid, to_from: &Transform) -> Occupancy {
    if occupancy.is_empty() {
        return Occupancy::default();
    }
    if *from == *to && *to_from == Transform::Identity {
        return occupancy.clone();
    }
    let (low, high) = bounds(occupancy, from);
    let part = crop(from, low, high);
    let mut values = Array3::<f32>::zeros(part.dim());
    for (n, fraction) in occupancy.iter() {
        let [k, j, i] = index(from, n);
        values[[k - low[0], j - low[1], i - low[2]]] = fraction;
    }
    let Some((first, last)) = image(&part, to, to_from) else { return Occupancy::default() };
    let window = crop(to, first, last);
    let moved = conserve(&Volume::new(part, values), &window, to_from);
    Occupancy::new(
        moved
            .as_slice()
            .iter()
            .enumerate()
            .filter(|(_, f)| **f > 0.0)
            .map(|(n, &f)| {
                let [i, j, k] = window.place(n);
                (to.linear(k + first[0], j + first[1], i + first[2]) as u32, f)
            })
            .collect(),
    )
}

/// `[k, j, i]` of a linear index.
fn index(grid: &Grid, n: usize) -> [usize; 3] {
    let [i, j, k] = grid.place(n);
    [k, j, i]
}

/// First and last `[k, j, i]` that a region occupies.
fn bounds(occupancy: &Occupancy, grid: &Grid) -> ([usize; 3], [usize; 3]) {
    occupancy.iter().fold(([usize::MAX; 3], [0; 3]), |(low, high), (n, _)| {
        let at = index(grid, n);
        (std::array::from_fn(|a| low[a].min(at[a])), std::array::from_fn(|a| high[a].max(at[a])))
    })
}

/// The part of a grid from voxel `low` to voxel `high`, both included.
fn crop(grid: &Grid, low: [usize; 3], high: [usize; 3]) -> Grid {
    let [i, j, _] = grid.direction();
    let origin = grid.voxel_to_lps([low[2] as f64, low[1] as f64, low[0] as f64]);
    let shape = std::array::from_fn(|a| high[a] - low[a] + 1);
    Grid::new(shape, grid.spacing_mm(), origin, i, j).expect("a part of a valid grid is valid")
}

/// First and last voxel of `to` that the grid `part` may reach; none where it misses `to`.
fn image(part: &Grid, to: &Grid, to_from: &Transform) -> Option<([usize; 3], [usize; 3])> {
    let shape = to.shape();
    let whole = ([0; 3], shape.map(|s| s - 1));
    let back = to_from.inverse();
    // Corners say where a box goes that stays one; of a box that bends, the whole surface does.
    let steps = part.shape().map(|n| if to_from.as_affine().is_some() { 1 } else { n });
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for [k, j, i] in surface(steps) {
        let counts = [i, j, k];
        let at = std::array::from_fn(|a| {
            counts[a] as f64 * part.shape()[2 - a] as f64 / steps[2 - a] as f64 - 0.5
        });
        // Where the field does not reach, nobody knows.
        let Some(there) = back.map(part.voxel_to_lps(at)) else { return Some(whole) };
        let voxel = to.lps_to_voxel(there);
        for a in 0..3 {
            low[a] = low[a].min(voxel[2 - a]);
            high[a] = high[a].max(voxel[2 - a]);
        }
    }
    let last: [f64; 3] = shape.map(|s| (s - 1) as f64);
    if (0..3).any(|a| high[a] < -0.5 || low[a] > last[a] + 0.5) {
        return None;
    }
    Some((
        std::array::from_fn(|a| (low[a] - 0.5).floor().clamp(0.0, last[a]) as usize),
        std::array::from_fn(|a| (high[a] + 0.5).ceil().clamp(0.0, last[a]) as usize),
    ))
}

/// Points `[k, j, i]` on the faces of a box of so many steps.
fn surface(steps: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [slices, rows, columns] = steps;
    (0..=slices).flat_map(move |k| {
        (0..=rows).flat_map(move |j| {
            let inside = k % slices != 0 && j % rows != 0;
            (0..=columns).step_by(if inside { columns } else { 1 }).map(move |i| [k, j, i])
        })
    })
}

/// What of the grid no region fills: 1 − Σ f, not below 0.
pub fn remainder(grid: &Grid, regions: &[&Occupancy]) -> Occupancy {
    assign(grid, regions).remainder
}

/// Each part of a voxel belongs to one owner.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// One for each region, in the order given.
    pub shares: Vec<Occupancy>,
    pub remainder: Occupancy,
}

/// Divides every voxel among regions that may overlap: an earlier region takes what it fills, a
/// later one what is left. Within a voxel, fractions are taken to lie apart as far as there is
/// room (as they do at a common border). Shares and remainder add up to 1 in each voxel.
pub fn assign(grid: &Grid, regions: &[&Occupancy]) -> Assignment {
    let mut left = vec![1.0f32; grid.len()];
    let shares = regions
        .iter()
        .map(|region| {
            let share = region
                .iter()
                .map(|(n, fraction)| {
                    let taken = fraction.min(left[n]);
                    left[n] -= taken;
                    (n as u32, taken)
                })
                .collect();
            Occupancy::new(share)
        })
        .collect();
    let remainder = left.into_iter().enumerate().map(|(n, f)| (n as u32, f)).collect();
    Assignment { shares, remainder: Occupancy::new(remainder) }
}
