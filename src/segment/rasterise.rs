//! Closed planar contours to the fraction of each voxel that they fill.

use super::coverage::{Coverage, coverage};
use super::stack::{Slab, closed, is_normal, normal, slabs};
use super::{Contour, SegmentError, transfer};
use crate::quantity::{Millilitre, Warning};
use crate::volume::{Grid, Occupancy, Transform};
use rayon::prelude::*;

/// Part of a region that may lie outside the grid without a word.
const OUTSIDE_TOLERANCE: f64 = 1e-3;
/// Largest extent of a grid laid along oblique contours, voxels in one direction.
const OBLIQUE_EXTENT_MAX: f64 = 4096.0;

/// A region on a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Rasterised {
    pub occupancy: Occupancy,
    /// Of the contours themselves (area × slab), also where they leave the grid.
    pub volume: Millilitre,
    pub warnings: Vec<Warning>,
}

/// Fraction of each voxel of `grid` inside the contours, which are in the grid's frame of
/// reference.
///
/// In a contour's plane areas are exact and all contours of the plane combine by even-odd (XOR:
/// holes, keyholes, islands). Between planes the region is a stack of slabs, see
/// [`super::stack`]. Planes parallel to two axes of the grid are cut along the grid's own cells;
/// oblique ones first fill a grid of their own that is then carried over with its volume kept.
///
/// # Errors
/// No closed contour, not planar, not parallel, no area, or nothing inside the grid.
pub fn rasterise(contours: &[Contour], grid: &Grid) -> Result<Rasterised, SegmentError> {
    let mut warnings = Vec::new();
    let contours = closed(contours, &mut warnings)?;
    let axes = grid.direction();
    // Slices first: contours are drawn on them.
    let (occupancy, volume) = match [2, 1, 0].into_iter().find(|&a| is_normal(&contours, axes[a])) {
        Some(axis) => aligned(&contours, grid, axis, grid.spacing_mm()[axis], &mut warnings)?,
        None => oblique(&contours, grid, &mut warnings)?,
    };
    if volume.value() <= 0.0 {
        return Err(SegmentError::NoArea);
    }
    if occupancy.is_empty() {
        return Err(SegmentError::OutsideGrid);
    }
    let outside = 1.0 - occupancy.volume(grid) / volume;
    if outside > OUTSIDE_TOLERANCE {
        warnings.push(Warning::new(
            "region-leaves-grid",
            format!("{:.1} % of the region lies outside the image grid", outside * 100.0),
        ));
    }
    Ok(Rasterised { occupancy, volume, warnings })
}

/// The two axes other than `axis`, in order.
fn in_plane(axis: usize) -> [usize; 2] {
    [[1, 2], [0, 2], [0, 1]][axis]
}

/// Contours whose planes are perpendicular to one axis of the grid.
fn aligned(
    contours: &[&Contour],
    grid: &Grid,
    axis: usize,
    single_mm: f64,
    warnings: &mut Vec<Warning>,
) -> Result<(Occupancy, Millilitre), SegmentError> {
    let [u, v] = in_plane(axis);
    let extent = |a: usize| grid.shape()[2 - a];
    let slabs = slabs(contours, grid.direction()[axis], single_mm, warnings);
    let covered: Vec<Coverage> = slabs
        .par_iter()
        .map(|slab| coverage(&polygons(slab, grid, [u, v]), extent(u), extent(v)))
        .collect::<Result<_, _>>()?;
    if covered.iter().any(|c| c.crossed) {
        warnings.push(Warning::new(
            "contours-cross",
            "contour lines cross each other or themselves; what lies inside twice counts as \
             outside (even-odd)",
        ));
    }
    let spacing = grid.spacing_mm();
    let along = grid.direction()[axis];
    let origin: f64 = (0..3).map(|c| along[c] * grid.origin_lps_mm()[c]).sum();
    let mut ml = 0.0;
    let mut voxels: Vec<(u32, f64)> = Vec::new();
    for (slab, plane) in slabs.iter().zip(&covered) {
        ml += plane.area * spacing[u] * spacing[v] * (slab.high_mm - slab.low_mm) / 1000.0;
        let [low, high] = [slab.low_mm, slab.high_mm].map(|mm| (mm - origin) / spacing[axis] + 0.5);
        let slices = low.max(0.0).floor() as usize..high.max(0.0).ceil() as usize;
        for slice in slices.start..slices.end.min(extent(axis)) {
            let part = high.min((slice + 1) as f64) - low.max(slice as f64);
            if part <= 0.0 {
                continue;
            }
            for &(row, column, fraction) in &plane.cells {
                let mut index = [0usize; 3];
                (index[u], index[v], index[axis]) = (column, row, slice);
                let n = grid.linear(index[2], index[1], index[0]);
                voxels.push((n as u32, fraction * part));
            }
        }
    }
    Ok((merged(voxels), Millilitre::new(ml)))
}

/// Adds up what several slabs give to one voxel.
fn merged(mut voxels: Vec<(u32, f64)>) -> Occupancy {
    voxels.sort_by_key(|v| v.0); // stable: the order of slabs stays
    let mut sums: Vec<(u32, f64)> = Vec::with_capacity(voxels.len());
    for (n, part) in voxels {
        match sums.last_mut() {
            Some(last) if last.0 == n => last.1 += part,
            _ => sums.push((n, part)),
        }
    }
    Occupancy::new(sums.into_iter().map(|(n, part)| (n, part as f32)).collect())
}

/// A slab's contours in the cells of two axes of the grid: cell (0, 0) from 0 to 1.
fn polygons(slab: &Slab<'_>, grid: &Grid, axes: [usize; 2]) -> Vec<Vec<[f64; 2]>> {
    let cell = |p: &[f64; 3]| {
        let voxel = grid.lps_to_voxel(*p);
        axes.map(|a| voxel[a] + 0.5)
    };
    slab.contours.iter().map(|c| c.points_lps_mm.iter().map(cell).collect()).collect()
}

/// Contours oblique to the grid: onto a grid along them, then over with the volume kept.
fn oblique(
    contours: &[&Contour],
    grid: &Grid,
    warnings: &mut Vec<Warning>,
) -> Result<(Occupancy, Millilitre), SegmentError> {
    let n = normal(contours)?;
    let along = grid_along(contours, grid, n)?;
    let thickness = grid.spacing_mm()[nearest_axis(grid, n)];
    let (own, volume) = aligned(contours, &along, 2, thickness, warnings)?;
    Ok((transfer(&own, &along, grid, &Transform::Identity), volume))
}

fn nearest_axis(grid: &Grid, n: [f64; 3]) -> usize {
    let cosine = |a: usize| (0..3).map(|c| grid.direction()[a][c] * n[c]).sum::<f64>().abs();
    [1, 2].into_iter().fold(0, |best, a| if cosine(a) > cosine(best) { a } else { best })
}

/// A grid whose slices are the contours' planes and which holds all of them, as fine as the
/// finest spacing of `grid`.
fn grid_along(contours: &[&Contour], grid: &Grid, n: [f64; 3]) -> Result<Grid, SegmentError> {
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    // The grid's axis that lies flattest in the planes gives the first direction.
    let flattest = grid
        .direction()
        .into_iter()
        .reduce(|a, b| if dot(b, n).abs() < dot(a, n).abs() { b } else { a })
        .unwrap_or([1.0, 0.0, 0.0]);
    let lean = dot(flattest, n);
    let raw: [f64; 3] = std::array::from_fn(|c| flattest[c] - lean * n[c]);
    let length = dot(raw, raw).sqrt();
    let u = raw.map(|x| x / length);
    let v = [n[1] * u[2] - n[2] * u[1], n[2] * u[0] - n[0] * u[2], n[0] * u[1] - n[1] * u[0]];
    let fine = grid.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
    let margin = grid.spacing_mm().into_iter().fold(0.0, f64::max).max(20.0);
    let mut low = [f64::INFINITY; 3];
    let mut high = [f64::NEG_INFINITY; 3];
    for p in contours.iter().flat_map(|c| &c.points_lps_mm) {
        for (a, axis) in [u, v, n].into_iter().enumerate() {
            low[a] = low[a].min(dot(*p, axis));
            high[a] = high[a].max(dot(*p, axis));
        }
    }
    let counts: [f64; 3] = std::array::from_fn(|a| {
        let beyond = if a == 2 { margin } else { fine };
        ((high[a] - low[a] + 2.0 * beyond) / fine).ceil() + 1.0
    });
    let shape = [2, 1, 0].map(|a| counts[a].min(1e9) as usize);
    if counts.iter().any(|c| *c > OBLIQUE_EXTENT_MAX) {
        return Err(SegmentError::TooLarge(shape));
    }
    let start: [f64; 3] = std::array::from_fn(|a| low[a] - if a == 2 { margin } else { fine });
    let origin = std::array::from_fn(|c| start[0] * u[c] + start[1] * v[c] + start[2] * n[c]);
    Grid::new(shape, [fine; 3], origin, u, v).map_err(|_| SegmentError::TooLarge(shape))
}
