//! Coarser and coarser grids for the parts of a kernel that reach farther and farther.
//!
//! Far from its source a kernel is smooth, and a coarse grid serves it. The kernel is parted by
//! distance with smooth windows that sum to 1; each part is convolved on the grid whose voxels are
//! small against that distance, and its dose is brought back to the fine grid.

use rayon::prelude::*;

/// A level's part of the kernel begins here and is whole there, in sides of its voxels.
const BEGINS: f64 = 2.0;
const WHOLE: f64 = 8.0;
/// A grid of at most this many voxels along each axis is not coarsened further.
const SMALL: usize = 28;
/// Axes whose voxels are longer than this share of the longest are not coarsened with the others.
const LONG: f64 = 0.75;

/// Coarse voxels around a coarsened axis, on each side.
const RIM: usize = 1;

/// One grid of the ladder.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Level {
    /// Voxels along i, j, k.
    pub shape: [usize; 3],
    pub side_mm: [f64; 3],
    /// Voxels of the next finer level in one of this, along each axis (1 or 2).
    pub factor: [usize; 3],
}

/// The ladder from the fine grid up.
pub(super) fn ladder(shape: [usize; 3], side_mm: [f64; 3]) -> Vec<Level> {
    let mut levels = vec![Level { shape, side_mm, factor: [1; 3] }];
    loop {
        let last = &levels[levels.len() - 1];
        if last.shape.iter().all(|&n| n <= SMALL) {
            return levels;
        }
        let longest = last.side_mm.iter().copied().fold(0.0, f64::max);
        let even = last.side_mm.iter().all(|&s| s > LONG * longest);
        let factor = std::array::from_fn(|a| {
            let coarsen = even || last.side_mm[a] <= LONG * longest;
            if coarsen && last.shape[a] > 1 { 2 } else { 1 }
        });
        if factor == [1; 3] {
            return levels;
        }
        let next = Level {
            shape: std::array::from_fn(|a| match factor[a] {
                1 => last.shape[a],
                f => last.shape[a].div_ceil(f) + 2 * RIM,
            }),
            side_mm: std::array::from_fn(|a| last.side_mm[a] * factor[a] as f64),
            factor,
        };
        levels.push(next);
    }
}

impl Level {
    /// Longest side, mm.
    fn scale_mm(&self) -> f64 {
        self.side_mm.iter().copied().fold(0.0, f64::max)
    }

    /// How much of the kernel at distance `r_mm` belongs to this level or a coarser one.
    fn share(&self, r_mm: f64) -> f64 {
        let t = ((r_mm / self.scale_mm() - BEGINS) / (WHOLE - BEGINS)).clamp(0.0, 1.0);
        t * t * t * (t * (6.0 * t - 15.0) + 10.0)
    }
}

/// The share of the kernel at `r_mm` that level `n` convolves. All levels' shares sum to 1.
pub(super) fn window(levels: &[Level], n: usize, r_mm: f64) -> f64 {
    let from_here = if n == 0 { 1.0 } else { levels[n].share(r_mm) };
    let from_next = levels.get(n + 1).map_or(0.0, |next| next.share(r_mm));
    from_here - from_next
}

/// Distance at which level `n` has handed all over to coarser ones; `None` for the last.
pub(super) fn reach_mm(levels: &[Level], n: usize) -> Option<f64> {
    levels.get(n + 1).map(|next| next.scale_mm() * WHOLE)
}

/// How a fine voxel and the coarse ones around it exchange: its own with weight 1 and the slope of
/// the two beside it, so that a parabola's voxel means are kept. The rim of the coarse grid holds
/// the neighbours of the outermost.
type Share = [(usize, f32); 3];

fn shares(fine: usize, factor: usize) -> Vec<Share> {
    let share = |n: usize| {
        if factor == 1 {
            return [(n, 1.0), (n, 0.0), (n, 0.0)];
        }
        let here = n / factor + RIM;
        let slope = if n % 2 == 1 { 0.125 } else { -0.125 };
        [(here, 1.0), (here + 1, slope), (here - 1, -slope)]
    };
    (0..fine).map(share).collect()
}

/// Brings fine values to the coarse grid, keeping their sum and their centre of gravity.
pub(super) fn gather(fine: &[f32], from: &Level, to: &Level) -> Vec<f32> {
    let [ni, nj, nk] = from.shape;
    let [ci, cj, ck] = to.shape;
    let columns = shares(ni, to.factor[0]);
    let rows = shares(nj, to.factor[1]);
    let mut depths = vec![Vec::new(); ck];
    for (k, share) in shares(nk, to.factor[2]).into_iter().enumerate() {
        for (coarse, weight) in share.into_iter().filter(|s| s.1 != 0.0) {
            depths[coarse].push((k, weight));
        }
    }
    // First along i and j within each plane, then along k.
    let planes: Vec<Vec<f32>> = fine
        .par_chunks(ni * nj)
        .map(|plane| {
            let mut out = vec![0.0f32; ci * cj];
            let mut line = vec![0.0f32; ci];
            for (row, share) in plane.chunks(ni).zip(&rows) {
                line.fill(0.0);
                for (value, [a, b, c]) in row.iter().zip(&columns) {
                    line[a.0] += a.1 * value;
                    line[b.0] += b.1 * value;
                    line[c.0] += c.1 * value;
                }
                for (j, weight) in share.iter().filter(|s| s.1 != 0.0) {
                    let to = &mut out[j * ci..][..ci];
                    to.iter_mut().zip(&line).for_each(|(o, l)| *o += weight * l);
                }
            }
            out
        })
        .collect();
    let mut out = vec![0.0f32; ci * cj * ck];
    out.par_chunks_mut(ci * cj).zip(&depths).for_each(|(plane, from)| {
        for (k, weight) in from {
            plane.iter_mut().zip(&planes[*k]).for_each(|(o, v)| *o += weight * v);
        }
    });
    out
}

/// Adds a coarse dose to a fine one.
pub(super) fn spread(coarse: &[f32], from: &Level, fine: &mut [f32], to: &Level) {
    let [ni, nj, nk] = to.shape;
    let [ci, cj, _] = from.shape;
    let columns = shares(ni, from.factor[0]);
    let rows = shares(nj, from.factor[1]);
    let depths = shares(nk, from.factor[2]);
    fine.par_chunks_mut(ni * nj).zip(&depths).for_each(|(plane, along_k)| {
        let mut here = vec![0.0f32; ci * cj];
        for (kk, weight) in along_k.iter().filter(|s| s.1 != 0.0) {
            let values = &coarse[kk * ci * cj..][..ci * cj];
            here.iter_mut().zip(values).for_each(|(h, v)| *h += weight * v);
        }
        let mut line = vec![0.0f32; ci];
        for (row, along_j) in plane.chunks_mut(ni).zip(&rows) {
            line.fill(0.0);
            for (jj, weight) in along_j.iter().filter(|s| s.1 != 0.0) {
                let values = &here[jj * ci..][..ci];
                line.iter_mut().zip(values).for_each(|(l, v)| *l += weight * v);
            }
            for (value, [a, b, c]) in row.iter_mut().zip(&columns) {
                *value += a.1 * line[a.0] + b.1 * line[b.0] + c.1 * line[c.0];
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_sum_to_one_and_long_voxels_wait_for_the_others() {
        let levels = ladder([128, 128, 40], [2.0, 2.0, 8.0]);
        assert_eq!(levels[1].side_mm, [4.0, 4.0, 8.0]);
        assert_eq!(levels[2].side_mm, [8.0, 8.0, 8.0]);
        for r in [0.0, 1.0, 7.0, 20.0, 31.0, 50.0, 64.0, 100.0, 500.0] {
            let shares: Vec<f64> = (0..levels.len()).map(|n| window(&levels, n, r)).collect();
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{r}: {shares:?}");
            assert!(shares.iter().all(|s| *s > -1e-12), "{r}: {shares:?}");
        }
    }

    #[test]
    fn gathering_keeps_the_sum_and_a_plane_stays_a_plane() {
        let levels = ladder([27, 26, 30], [3.0; 3]);
        let values = |level: &Level, rim: f64| -> Vec<f32> {
            let [ni, nj, nk] = level.shape;
            let at = |x: usize, a: usize| (x as f64 + 0.5 - rim) * level.side_mm[a];
            (0..ni * nj * nk)
                .map(|n| (at(n % ni, 0) + 2.0 * at(n / ni % nj, 1) - at(n / ni / nj, 2)) as f32)
                .collect()
        };
        let fine = vec![1.0f32; 27 * 26 * 30];
        let sum: f32 = gather(&fine, &levels[0], &levels[1]).iter().sum();
        assert!((sum - 21060.0).abs() < 0.01, "{sum}");
        let coarse = values(&levels[1], RIM as f64);
        let mut back = vec![0.0; fine.len()];
        spread(&coarse, &levels[1], &mut back, &levels[0]);
        for (found, expected) in back.iter().zip(values(&levels[0], 0.0)) {
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
    }
}
