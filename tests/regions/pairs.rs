//! Pairs of CTs with a known map between them, by a seed.

use crate::peer::{python_with, script};
use grayd::volume::resample::interpolate;
use grayd::volume::transform::{Affine, Transform};
use grayd::volume::{Grid, Volume};
use ndarray::Array3;
use std::path::Path;

/// Air, HU.
pub const AIR: f32 = -1000.0;
/// Standard deviation of the noise, HU.
pub const NOISE_HU: f64 = 20.0;

pub struct Scan {
    pub name: String,
    pub hu: Volume<f32>,
    /// Organ of each voxel (TotalSegmentator's numbers), of the real trunk.
    pub labels: Option<Vec<u8>>,
}

/// The real trunk and the reference male's; none, with a line, where they are not at hand.
pub fn scans() -> Option<Vec<Scan>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !data.is_dir() {
        println!("passed over: ../shared/data is not at hand");
        return None;
    }
    let python = python_with("SimpleITK, numpy")?;
    let folder = tempfile::tempdir().unwrap();
    let described = script(&python, "volumes.py", &[&data, folder.path()]);
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let scan = |of: &serde_json::Value| {
        let name = of["name"].as_str().unwrap().to_owned();
        let bytes = std::fs::read(folder.path().join(format!("{name}.raw"))).unwrap();
        let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let three = |key: &str| <[f64; 3]>::try_from(numbers(&of[key])).unwrap();
        let shape = three("shape").map(|n| n as usize);
        let grid = Grid::axial(shape, three("spacing"), three("origin")).unwrap();
        // As the pipeline has it: nothing below air, metal no brighter than bone.
        let values = values.map(|v| v.clamp(-1000.0, 1500.0)).collect();
        let values = Array3::from_shape_vec(grid.dim(), values).unwrap();
        let labels = std::fs::read(folder.path().join(format!("{name}.labels"))).ok();
        Scan { name, hu: Volume::new(grid, values), labels }
    };
    Some(described.as_array().unwrap().iter().map(scan).collect())
}

/// Numbers between -1 and 1 (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Of standard deviation 1: twelve uniform ones.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() / 2.0
    }
}

/// The middle of a grid, LPS mm.
pub fn middle(grid: &Grid) -> [f64; 3] {
    let [k, j, i] = grid.shape();
    grid.voxel_to_lps([i, j, k].map(|n| (n as f64 - 1.0) / 2.0))
}

/// Turns by `degrees` about each axis through `pivot` (z last), then shifts.
pub fn rigid(degrees: [f64; 3], shift: [f64; 3], pivot: [f64; 3]) -> Affine {
    let about = |axis: usize| {
        let (s, c) = degrees[axis].to_radians().sin_cos();
        let (a, b) = ((axis + 1) % 3, (axis + 2) % 3);
        let mut m = [[0.0; 4]; 4];
        (0..4).for_each(|n| m[n][n] = 1.0);
        (m[a][a], m[a][b], m[b][a], m[b][b]) = (c, -s, s, c);
        Affine::rigid(m).unwrap()
    };
    let forth = Affine::translation(pivot.map(|p| -p));
    let back = Affine::translation(std::array::from_fn(|a| pivot[a] + shift[a]));
    forth.then(&about(0)).then(&about(1)).then(&about(2)).then(&back)
}

/// The image as if the patient had lain elsewhere: the grid is moved, no value changes.
pub fn moved(image: &Volume<f32>, by: &Affine) -> Volume<f32> {
    let (grid, values) = image.clone().into_parts();
    let origin = by.map(grid.origin_lps_mm());
    let turned = |axis: usize| {
        let m = by.matrix();
        std::array::from_fn(|r| (0..3).map(|c| m[r][c] * grid.direction()[axis][c]).sum())
    };
    let there = Grid::new(grid.shape(), grid.spacing_mm(), origin, turned(0), turned(1)).unwrap();
    Volume::new(there, values)
}

/// The scan as another scanner saw it whose points `fixed_to_moving` gives, with noise. Slices that the
/// scan does not reach are left out: the body does not end there.
pub fn seen(fixed: &Volume<f32>, fixed_to_moving: &Affine, noise: &mut Random) -> Volume<f32> {
    let back = fixed_to_moving.inverse();
    let grid = fixed.grid();
    let [slices, rows, columns] = grid.shape();
    let reached = |k: usize| {
        (0..9).all(|n| {
            // The middle half of the slice: the body.
            let part = |m: usize, count: usize| (0.25 + 0.25 * m as f64) * count as f64;
            let at = grid.voxel_to_lps([part(n % 3, columns), part(n / 3, rows), k as f64]);
            (0.0..=(slices - 1) as f64).contains(&grid.lps_to_voxel(back.map(at))[2])
        })
    };
    let kept: Vec<usize> = (0..slices).filter(|k| reached(*k)).collect();
    let (first, last) = (kept[0], kept[kept.len() - 1]);
    let [i, j, _] = grid.direction();
    let origin = grid.voxel_to_lps([0.0, 0.0, first as f64]);
    let shape = [last - first + 1, rows, columns];
    let grid = Grid::new(shape, grid.spacing_mm(), origin, i, j).unwrap();
    let (grid, mut values) = interpolate(fixed, &grid, &Transform::Affine(back), AIR).into_parts();
    values.mapv_inplace(|v| v + (NOISE_HU * noise.normal()) as f32);
    Volume::new(grid, values)
}

/// Case `n`: shifts up to 25 mm and turns up to 6 degrees about each axis.
pub fn case(fixed: &Volume<f32>, n: u64) -> (Affine, Volume<f32>) {
    let mut random = Random::new(n);
    let degrees = std::array::from_fn(|_| 6.0 * random.next());
    let shift = std::array::from_fn(|_| 25.0 * random.next());
    let truth = rigid(degrees, shift, middle(fixed.grid()));
    let moving = seen(fixed, &truth, &mut random);
    (truth, moving)
}

/// Where a fixed image has what a moving image shows at a point, in closed form: smooth swellings.
pub struct Bent(Vec<([f64; 3], f64, [f64; 3])>);

impl Bent {
    pub fn map(&self, moving: [f64; 3]) -> [f64; 3] {
        let mut p = moving;
        for (centre, width, shift) in &self.0 {
            let r2: f64 = (0..3).map(|a| (moving[a] - centre[a]).powi(2)).sum();
            let part = (-0.5 * r2 / (width * width)).exp();
            (0..3).for_each(|a| p[a] += part * shift[a]);
        }
        p
    }
}

/// Case `n`: six swellings of up to 12 mm along each axis, 33 to 57 mm wide, and the image that they make, with noise.
pub fn bent(fixed: &Volume<f32>, n: u64) -> (Bent, Volume<f32>) {
    let mut random = Random::new(n);
    let grid = fixed.grid();
    let [slices, rows, columns] = grid.shape();
    let swellings = (0..6)
        .map(|_| {
            let part = [columns, rows, slices].map(|n| (0.5 + 0.3 * random.next()) * n as f64);
            let width = 45.0 + 12.0 * random.next();
            (grid.voxel_to_lps(part), width, std::array::from_fn(|_| 12.0 * random.next()))
        })
        .collect();
    let bent = Bent(swellings);
    let (values, last) = (fixed.values(), [columns, rows, slices].map(|n| n - 1));
    // Beyond the border as at the border: the image's edge is no edge of the body.
    let look = |place: [f64; 3]| {
        let inside: [f64; 3] = std::array::from_fn(|a| place[a].clamp(0.0, last[a] as f64));
        let low: [usize; 3] = std::array::from_fn(|a| (inside[a] as usize).min(last[a] - 1));
        (0..8usize).fold(0.0, |sum, corner| {
            let upper: [usize; 3] = std::array::from_fn(|a| corner >> a & 1);
            let weight = (0..3).fold(1.0, |w, a| {
                let part = inside[a] - low[a] as f64;
                w * if upper[a] == 1 { part } else { 1.0 - part }
            });
            let at = [low[2] + upper[2], low[1] + upper[1], low[0] + upper[0]];
            sum + weight * f64::from(values[at])
        })
    };
    let mut seen = Array3::<f32>::zeros(grid.dim());
    for ((k, j, i), value) in seen.indexed_iter_mut() {
        let from = bent.map(grid.voxel_to_lps([i, j, k].map(|x| x as f64)));
        *value = (look(grid.lps_to_voxel(from)) + NOISE_HU * random.normal()) as f32;
    }
    (bent, Volume::new(grid.clone(), seen))
}

/// Distances (mm) between where a map takes points of the body and where they are, ascending. Only points
/// that both images hold.
pub fn target_errors(
    bent: &Bent,
    fixed_to_moving: impl Fn([f64; 3]) -> Option<[f64; 3]>,
    moving: &Volume<f32>,
) -> Vec<f64> {
    let grid = moving.grid();
    let last = grid.shape().map(|n| (n - 1) as f64);
    let mut found = Vec::new();
    for ((k, j, i), &value) in moving.values().indexed_iter() {
        if value < -300.0 || (k + j + i) % 3 > 0 {
            continue;
        }
        let place = grid.voxel_to_lps([i, j, k].map(|x| x as f64));
        let from = bent.map(place);
        let at = grid.lps_to_voxel(from);
        if (0..3).all(|a| (0.0..=last[2 - a]).contains(&at[a]))
            && let Some(there) = fixed_to_moving(from)
        {
            found.push((0..3).map(|a| (there[a] - place[a]).powi(2)).sum::<f64>().sqrt());
        }
    }
    found.sort_by(f64::total_cmp);
    found
}

/// Mean and 95 % of ascending numbers.
pub fn mean_and_95(values: &[f64]) -> [f64; 2] {
    [values.iter().sum::<f64>() / values.len() as f64, values[values.len() * 95 / 100]]
}

/// Distance at the middle of the grid (mm) and angle (degrees) between two rigid maps.
pub fn error(found: &Affine, truth: &Affine, grid: &Grid) -> (f64, f64) {
    let at = middle(grid);
    let (p, q) = (found.map(at), truth.map(at));
    let apart = (0..3).map(|a| (p[a] - q[a]).powi(2)).sum::<f64>().sqrt();
    let (f, t) = (found.matrix(), truth.matrix());
    let trace: f64 = (0..3).map(|r| (0..3).map(|c| f[r][c] * t[r][c]).sum::<f64>()).sum();
    (apart, ((trace - 1.0) / 2.0).clamp(-1.0, 1.0).acos().to_degrees())
}
