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
/// Fine voxels before the first that the first coarse voxel reaches for.
const EDGE: usize = 2 * RIM + 2;
/// Part of its neighbours' difference by which the second of two voxels exceeds their mean.
const SLOPE: f32 = 0.125;

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

/// Brings fine values to the coarse grid, keeping their sum, their centre of gravity and voxel
/// means of parabolas: of two fine voxels the coarse one gets the sum, and the two beside it the
/// slope. The rim of the coarse grid holds the neighbours of the outermost.
pub(super) fn gather(fine: &[f32], from: &Level, to: &Level) -> Vec<f32> {
    let [ni, nj, nk] = from.shape;
    let [ci, cj, ck] = to.shape;
    let nothing = vec![0.0f32; ni.max(ci * cj)];
    // First along j and i within each plane, then along k.
    let mut planes = vec![0.0f32; ci * cj * nk];
    planes.par_chunks_mut(ci * cj).zip(fine.par_chunks(ni * nj)).for_each_init(
        // One more zero, so that an odd row has a neighbour for its last voxel.
        || vec![0.0f32; ni + 2 * EDGE + 1],
        |along_j, (out, plane)| {
            for (j, row) in out.chunks_mut(ci).enumerate() {
                let inner = &mut along_j[EDGE..][..ni];
                gather_line(plane, &nothing[..ni], j, to.factor[1], inner);
                gather_row(along_j, to.factor[0], row);
            }
        },
    );
    let mut out = vec![0.0f32; ci * cj * ck];
    out.par_chunks_mut(ci * cj)
        .enumerate()
        .for_each(|(k, plane)| gather_line(&planes, &nothing[..ci * cj], k, to.factor[2], plane));
    out
}

/// Coarse line (row of a plane, plane of a volume) `n` from the fine lines around it.
fn gather_line(fine: &[f32], nothing: &[f32], n: usize, factor: usize, coarse: &mut [f32]) {
    let length = coarse.len();
    if factor == 1 {
        return coarse.copy_from_slice(&fine[n * length..][..length]);
    }
    // The pair before, its own and the next: lines 2 n - EDGE and on.
    let lines: [&[f32]; 6] = std::array::from_fn(|l| {
        let line = (2 * n + l).checked_sub(EDGE);
        let values = line.and_then(|line| fine.get(line * length..(line + 1) * length));
        &values.unwrap_or(nothing)[..length]
    });
    let [a, b, c, d, e, f] = lines;
    for (x, value) in coarse.iter_mut().enumerate() {
        *value = c[x] + d[x] + SLOPE * ((b[x] - a[x]) - (f[x] - e[x]));
    }
}

/// [`gather_line`] along i; the fine row has [`EDGE`] zeros on each side, and one more at its end.
fn gather_row(fine: &[f32], factor: usize, coarse: &mut [f32]) {
    if factor == 1 {
        return coarse.copy_from_slice(&fine[EDGE..][..coarse.len()]);
    }
    for (value, w) in coarse.iter_mut().zip(fine.windows(6).step_by(2)) {
        *value = w[2] + w[3] + SLOPE * ((w[1] - w[0]) - (w[5] - w[4]));
    }
}

/// Adds a coarse dose to a fine one.
pub(super) fn spread(coarse: &[f32], from: &Level, fine: &mut [f32], to: &Level) {
    let [ni, nj, _] = to.shape;
    let [ci, cj, _] = from.shape;
    fine.par_chunks_mut(ni * nj).enumerate().for_each_init(
        || (vec![0.0f32; ci * cj], vec![0.0f32; ci]),
        |(here, line), (k, plane)| {
            spread_line(coarse, k, from.factor[2], here);
            for (j, row) in plane.chunks_mut(ni).enumerate() {
                spread_line(here, j, from.factor[1], line);
                spread_row(line, from.factor[0], row);
            }
        },
    );
}

/// Fine line `n`, of coarse length, from the coarse lines around it.
fn spread_line(coarse: &[f32], n: usize, factor: usize, fine: &mut [f32]) {
    let length = fine.len();
    let line = |l: usize| &coarse[l * length..][..length];
    if factor == 1 {
        return fine.copy_from_slice(line(n));
    }
    let here = n / 2 + RIM;
    let slope = if n % 2 == 1 { SLOPE } else { -SLOPE };
    let (before, own, next) = (line(here - 1), line(here), line(here + 1));
    for (x, value) in fine.iter_mut().enumerate() {
        *value = own[x] + slope * (next[x] - before[x]);
    }
}

/// [`spread_line`] along i, added.
fn spread_row(coarse: &[f32], factor: usize, fine: &mut [f32]) {
    if factor == 1 {
        return fine.iter_mut().zip(coarse).for_each(|(f, c)| *f += c);
    }
    for (pair, near) in fine.chunks_mut(2).zip(coarse.windows(2 + RIM)) {
        let slope = SLOPE * (near[2] - near[0]);
        pair[0] += near[1] - slope;
        if let Some(second) = pair.get_mut(1) {
            *second += near[1] + slope;
        }
    }
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
