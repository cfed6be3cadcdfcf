//! Maps from one grid to another: integral kept (activity) or value interpolated (HU).
//!
//! Which of the two is right is a matter of the quantity, never of taste: a concentration or an
//! occupancy must keep its integral over space, a value at a point (HU, density of a material,
//! dose) is looked up. Both take the map from the TARGET's frame to the SOURCE's frame (see
//! [`super::transform`]) and give the same bits for any number of threads.

mod index_map;

use super::transform::Transform;
use super::{Grid, Volume};
use index_map::IndexMap;
use ndarray::Array3;
use rayon::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// Sample points per target voxel and axis on oblique grids.
const SUBSAMPLES_MIN: usize = 2;
const SUBSAMPLES_MAX: usize = 16;

/// Extent along axis i, j or k.
fn extent(grid: &Grid, axis: usize) -> usize {
    grid.shape()[2 - axis]
}

/// Distance in a slice-major array between neighbours along axis i, j or k.
fn stride(grid: &Grid, axis: usize) -> usize {
    [1, grid.shape()[2], grid.shape()[1] * grid.shape()[2]][axis]
}

/// Value at each target voxel's centre, trilinear between source voxel centres.
///
/// Up to the outer faces of the source's border voxels the border value holds; beyond them, and
/// where a deformation is undefined, the result is `outside`.
pub fn interpolate(
    source: &Volume<f32>,
    target: &Grid,
    target_to_source: &Transform,
    outside: f32,
) -> Volume<f32> {
    let map = IndexMap::new(source.grid(), target, target_to_source);
    let mut values = Array3::<f32>::zeros(target.dim());
    let [_, rows, columns] = target.shape();
    let slabs = values.as_slice_mut().expect("zeros are in standard layout");
    slabs.par_chunks_mut(rows * columns).enumerate().for_each(|(k, slab)| {
        for (n, value) in slab.iter_mut().enumerate() {
            let ijk = [(n % columns) as f64, (n / columns) as f64, k as f64];
            *value = map.source_index(ijk).and_then(|x| trilinear(source, x)).unwrap_or(outside);
        }
    });
    Volume::new(target.clone(), values)
}

fn trilinear(source: &Volume<f32>, x: [f64; 3]) -> Option<f32> {
    let (grid, data) = (source.grid(), source.as_slice());
    let mut cell = [(0usize, 0usize, 0.0f64); 3];
    for axis in 0..3 {
        let last = extent(grid, axis) - 1;
        // Rounding must not push a point on the outer face outside.
        if !(-0.5 - 1e-9..=last as f64 + 0.5 + 1e-9).contains(&x[axis]) {
            return None;
        }
        let inside = x[axis].clamp(0.0, last as f64);
        let low = inside.floor() as usize;
        cell[axis] = (low, (low + 1).min(last), inside - low as f64);
    }
    let [(i0, i1, fi), (j0, j1, fj), (k0, k1, fk)] = cell;
    let at = |k, j, i| f64::from(data[grid.linear(k, j, i)]);
    let row = |k, j| at(k, j, i0) * (1.0 - fi) + at(k, j, i1) * fi;
    let plane = |k| row(k, j0) * (1.0 - fj) + row(k, j1) * fj;
    Some((plane(k0) * (1.0 - fk) + plane(k1) * fk) as f32)
}

/// Mean over each target voxel of a map whose integral over space must be kept (Bq/ml, fraction).
///
/// Voxels are boxes of constant value. Parallel axes: exact overlap volumes. Oblique axes and
/// deformations: points inside the target voxels, then one factor (for positive and for negative
/// values each) that restores the integral of what lies inside the target. What lies outside the
/// target is lost, target voxels outside the source get nothing. An affine or deformable map moves the CONTENT of
/// voxels: activity is kept, concentration changes with volume.
pub fn conserve(source: &Volume<f32>, target: &Grid, target_to_source: &Transform) -> Volume<f32> {
    let data = source.as_slice();
    let (values, _) = conserve_with(source.grid(), target, target_to_source, &|n| data[n].into());
    Volume::new(target.clone(), values.mapv(|v| v as f32))
}

/// As [`conserve`] for any value of the source's voxels (linear index in); with it the fraction of
/// each target voxel that the source covers.
pub(crate) fn conserve_with(
    source: &Grid,
    target: &Grid,
    target_to_source: &Transform,
    value: &(dyn Fn(usize) -> f64 + Sync),
) -> (Array3<f64>, Array3<f64>) {
    let map = IndexMap::new(source, target, target_to_source);
    match map.separable() {
        Some(axes) => conserve_parallel(source, target, axes, value),
        None => conserve_oblique(source, target, target_to_source, &map, value),
    }
}

/// Mean of the source's values over each target voxel, as far as the source covers it, times the part
/// covered; with it that part. For values that need no exact integral: on oblique grids the mean is
/// over points, two or more to a source voxel along every axis, in one pass.
pub(crate) fn average_with(
    source: &Grid,
    target: &Grid,
    target_to_source: &Transform,
    value: &(dyn Fn(usize) -> f64 + Sync),
) -> (Array3<f64>, Array3<f64>) {
    let map = IndexMap::new(source, target, target_to_source);
    match map.separable() {
        Some(axes) => conserve_parallel(source, target, axes, value),
        None => average_oblique(source, target, &map, value),
    }
}

fn average_oblique(
    source: &Grid,
    target: &Grid,
    map: &IndexMap<'_>,
    value: &(dyn Fn(usize) -> f64 + Sync),
) -> (Array3<f64>, Array3<f64>) {
    let points = points_along(source, target, map);
    let [_, rows, columns] = target.shape();
    let ratio = source.voxel_volume() / target.voxel_volume();
    let mut values = Array3::<f64>::zeros(target.dim());
    let mut covered = Array3::<f64>::zeros(target.dim());
    let slabs = values.as_slice_mut().expect("standard").par_chunks_mut(rows * columns);
    let covers = covered.as_slice_mut().expect("standard").par_chunks_mut(rows * columns);
    slabs.zip(covers).enumerate().for_each(|(k, (slab, cover))| {
        for (n, (out, part)) in slab.iter_mut().zip(cover).enumerate() {
            let at = [(n % columns) as f64, (n / columns) as f64, k as f64];
            let (mut sum, mut met) = (0.0, 0usize);
            for point in &points {
                let place = std::array::from_fn(|a| at[a] + point[a]);
                if let Some(s) = map.source_index(place).and_then(|x| holder(source, x)) {
                    sum += value(s);
                    met += 1;
                }
            }
            *part = met as f64 / points.len() as f64;
            if met > 0 {
                *out = sum / points.len() as f64 * map.source_voxels(at) * ratio;
            }
        }
    });
    (values, covered)
}

/// Points inside one target voxel, as offsets of its index: along each axis two to a source voxel
/// that the axis passes.
fn points_along(source: &Grid, target: &Grid, map: &IndexMap<'_>) -> Vec<[f64; 3]> {
    let passed = |axis: usize| match map {
        IndexMap::Linear { matrix, .. } => {
            (0..3).map(|r| matrix[r][axis].abs()).fold(0.0, f64::max)
        }
        IndexMap::Curved(_) => {
            let finest = source.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
            target.spacing_mm()[axis] / finest
        }
    };
    grid_of_points(std::array::from_fn(|axis| 2.0 * passed(axis)))
}

/// Evenly spread offsets, at least `wanted` along each axis within the limits.
fn grid_of_points(wanted: [f64; 3]) -> Vec<[f64; 3]> {
    let counts = wanted.map(|n| (n.ceil() as usize).clamp(SUBSAMPLES_MIN, SUBSAMPLES_MAX));
    let offset = |n: usize, count: usize| (n as f64 + 0.5) / count as f64 - 0.5;
    let mut points = Vec::with_capacity(counts.iter().product());
    for c in 0..counts[2] {
        for b in 0..counts[1] {
            for a in 0..counts[0] {
                points.push([offset(a, counts[0]), offset(b, counts[1]), offset(c, counts[2])]);
            }
        }
    }
    points
}

/// One target voxel along one axis: first source index, overlap lengths in source voxels, and the
/// part of the target voxel that the source covers.
struct Overlap {
    first: usize,
    lengths: Vec<f64>,
    covered: f64,
}

/// Overlaps of `targets` unit intervals with `sources` unit intervals under x = scale·t + shift.
fn overlaps(targets: usize, sources: usize, scale: f64, shift: f64) -> Vec<Overlap> {
    (0..targets)
        .map(|t| {
            let ends = [-0.5, 0.5].map(|half| scale * (t as f64 + half) + shift + 0.5);
            let low = ends[0].min(ends[1]).clamp(0.0, sources as f64);
            let high = ends[0].max(ends[1]).clamp(0.0, sources as f64);
            let first = (low.floor() as usize).min(sources - 1);
            let end = (high.ceil() as usize).max(first);
            let lengths: Vec<f64> = (first..end)
                .map(|s| (high.min((s + 1) as f64) - low.max(s as f64)).max(0.0))
                .collect();
            Overlap { first, covered: ((high - low) / scale.abs()).min(1.0), lengths }
        })
        .collect()
}

fn conserve_parallel(
    source: &Grid,
    target: &Grid,
    axes: [(usize, f64, f64); 3],
    value: &(dyn Fn(usize) -> f64 + Sync),
) -> (Array3<f64>, Array3<f64>) {
    let along: [Vec<Overlap>; 3] = std::array::from_fn(|axis| {
        let (source_axis, scale, shift) = axes[axis];
        overlaps(extent(target, axis), extent(source, source_axis), scale, shift)
    });
    let strides = axes.map(|(source_axis, ..)| stride(source, source_axis));
    let ratio = source.voxel_volume() / target.voxel_volume();
    let mut values = Array3::<f64>::zeros(target.dim());
    let mut covered = Array3::<f64>::zeros(target.dim());
    let [_, rows, columns] = target.shape();
    let slabs = values.as_slice_mut().expect("standard").par_chunks_mut(rows * columns);
    let covers = covered.as_slice_mut().expect("standard").par_chunks_mut(rows * columns);
    slabs.zip(covers).enumerate().for_each(|(k, (slab, cover))| {
        let in_k = &along[2][k];
        for (n, (out, part)) in slab.iter_mut().zip(cover).enumerate() {
            let (in_i, in_j) = (&along[0][n % columns], &along[1][n / columns]);
            *part = in_i.covered * in_j.covered * in_k.covered;
            let mut sum = 0.0;
            for (c, wk) in in_k.lengths.iter().enumerate() {
                for (b, wj) in in_j.lengths.iter().enumerate() {
                    let start = (in_k.first + c) * strides[2] + (in_j.first + b) * strides[1];
                    for (a, wi) in in_i.lengths.iter().enumerate() {
                        sum += wk * wj * wi * value(start + (in_i.first + a) * strides[0]);
                    }
                }
            }
            *out = sum * ratio;
        }
    });
    (values, covered)
}

/// Points inside one target voxel, as offsets of its index.
fn subsamples(source: &Grid, target: &Grid, map: &Transform) -> Vec<[f64; 3]> {
    let finest = source.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
    let stretch = map.as_affine().map_or(1.0, |a| a.determinant().cbrt());
    grid_of_points(target.spacing_mm().map(|s| 2.0 * s * stretch / finest))
}

/// The voxel that holds a fractional index.
fn holder(grid: &Grid, x: [f64; 3]) -> Option<usize> {
    let mut index = [0usize; 3];
    for axis in 0..3 {
        let nearest = (x[axis] + 0.5).floor();
        if !(nearest >= 0.0 && nearest < extent(grid, axis) as f64) {
            return None;
        }
        index[axis] = nearest as usize;
    }
    Some(grid.linear(index[2], index[1], index[0]))
}

fn conserve_oblique(
    source: &Grid,
    target: &Grid,
    target_to_source: &Transform,
    map: &IndexMap<'_>,
    value: &(dyn Fn(usize) -> f64 + Sync),
) -> (Array3<f64>, Array3<f64>) {
    let points = subsamples(source, target, target_to_source);
    let visit = |n: usize, point: &[f64; 3]| {
        let [i, j, k] = target.place(n);
        let at = [i as f64 + point[0], j as f64 + point[1], k as f64 + point[2]];
        map.source_index(at).and_then(|x| holder(source, x))
    };
    // How many points meet each source voxel. Integer sums: the order of threads cannot matter.
    let hits: Vec<AtomicU32> = (0..source.len()).map(|_| AtomicU32::new(0)).collect();
    (0..target.len()).into_par_iter().for_each(|n| {
        for point in &points {
            if let Some(s) = visit(n, point) {
                hits[s].fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let hits: Vec<u32> = hits.into_iter().map(AtomicU32::into_inner).collect();
    let inverse = target_to_source.inverse();
    let back = IndexMap::new(target, source, &inverse);
    let ratio = source.voxel_volume() / target.voxel_volume();
    let mut signed = Array3::<[f64; 2]>::from_elem(target.dim(), [0.0; 2]);
    let mut covered = Array3::<f64>::zeros(target.dim());
    let out = signed.as_slice_mut().expect("standard").par_iter_mut();
    out.zip(covered.as_slice_mut().expect("standard")).enumerate().for_each(|(n, (v, c))| {
        let mut met = 0usize;
        for point in &points {
            if let Some(s) = visit(n, point) {
                met += 1;
                let x = value(s);
                v[usize::from(x < 0.0)] += x;
            }
        }
        *c = met as f64 / points.len() as f64;
        let weight = map.source_voxels(index_of(target, n)) * ratio / points.len() as f64;
        *v = v.map(|x| x * weight);
    });
    let parts: Vec<f64> = (0..source.len())
        .into_par_iter()
        .map(|s| part_inside(source, s, hits[s] > 0, target, &back))
        .collect();
    let mut wanted = [0.0f64; 2];
    let cells = signed.as_slice_mut().expect("standard");
    for (s, (&met, &part)) in hits.iter().zip(&parts).enumerate() {
        let x = value(s);
        if x == 0.0 || part == 0.0 {
            continue;
        }
        wanted[usize::from(x < 0.0)] += x * part * ratio;
        // A deformation may squeeze a voxel until no point meets it: it goes where its centre goes.
        if met == 0 {
            let centre = back.source_index(index_of(source, s)).and_then(|x| holder(target, x));
            if let Some(n) = centre {
                cells[n][usize::from(x < 0.0)] += x * ratio;
            }
        }
    }
    let found = cells.iter().fold([0.0f64; 2], |sum, v| [sum[0] + v[0], sum[1] + v[1]]);
    let scale: [f64; 2] =
        std::array::from_fn(|n| if found[n] == 0.0 { 1.0 } else { wanted[n] / found[n] });
    (signed.mapv(|v| v[0] * scale[0] + v[1] * scale[1]), covered)
}

fn index_of(grid: &Grid, n: usize) -> [f64; 3] {
    grid.place(n).map(|x| x as f64)
}

/// Fraction of a source voxel that lies inside the target: 1 where all corners do, by points for
/// those on the target's surface.
fn part_inside(source: &Grid, s: usize, met: bool, target: &Grid, back: &IndexMap<'_>) -> f64 {
    const POINTS: usize = 256;
    let centre = index_of(source, s);
    let inside = |offset: [f64; 3]| {
        let at = std::array::from_fn(|a| centre[a] + offset[a]);
        back.source_index(at).is_some_and(|x| holder(target, x).is_some())
    };
    let corner = |n: usize| std::array::from_fn(|a| (n >> a & 1) as f64 - 0.5);
    match (0..8).filter(|&n| inside(corner(n))).count() {
        8 => return 1.0,
        0 if !met => return 0.0,
        _ => {}
    }
    // Additive recurrence with powers of the plastic number's 3-D kin: no two points share a
    // coordinate, so that a surface parallel to an axis is met without bias.
    let step = [0.819_172_513_396_164_4, 0.671_043_606_703_789_2, 0.549_700_477_901_970_3];
    let offset = |n: usize| step.map(|s| (0.5 + n as f64 * s).fract() - 0.5);
    (0..POINTS).filter(|&n| inside(offset(n))).count() as f64 / POINTS as f64
}

#[cfg(test)]
mod tests;
