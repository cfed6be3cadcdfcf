//! Normalised mutual information of two images under a map: what images of two modalities share,
//! whatever the values of one mean in the other (Studholme et al., Pattern Recognit 32 (1999) 71).
//!
//! Values are sorted into classes of equal numbers of voxels, so that neither a window nor a hot
//! voxel decides. Counts are whole numbers: their sums do not depend on the order of threads.

use super::motion::Motion;
use super::{Pair, pyramid};
use crate::volume::Volume;
use crate::volume::transform::Affine;
use rayon::prelude::*;

/// Classes of each image; with 50,000 common voxels some 50 a cell of the joint histogram.
const CLASSES: usize = 32;
/// One voxel is shared by two classes of the moving image in parts of this.
const PARTS: u64 = 256;
/// Fewer common samples than this say nothing.
const SAMPLES_MIN: u64 = 512;
const CHUNK: usize = 4096;
/// Shortest step of the search, in voxel edges of the level.
const STEP_MIN: f64 = 1.0 / 64.0;
/// Rounds over all parameters at most; a search that still gains a little then has arrived.
const CLIMBS_MAX: usize = 200;
/// First step, in voxel edges of the level.
const STEP_MAX: f64 = 0.5;

/// Borders of an image's classes, ascending.
struct Classes(Vec<f32>);

impl Classes {
    fn of(volume: &Volume<f32>) -> Self {
        let mut values = volume.as_slice().to_vec();
        values.sort_unstable_by(f32::total_cmp);
        let mut borders: Vec<f32> =
            (0..=CLASSES).map(|n| values[n * (values.len() - 1) / CLASSES]).collect();
        borders.dedup();
        Self(borders)
    }

    fn count(&self) -> usize {
        self.0.len().max(1)
    }

    /// Place on the scale of classes: a whole number at each border, linear between them.
    fn place(&self, value: f32) -> f64 {
        let above = self.0.partition_point(|border| *border <= value);
        if above == 0 || self.0.len() < 2 {
            return 0.0;
        }
        if above == self.0.len() {
            return (above - 1) as f64;
        }
        let (low, high) = (self.0[above - 1], self.0[above]);
        (above - 1) as f64 + f64::from((value - low) / (high - low))
    }
}

/// Both images of one level, in classes.
pub(super) struct Mutual<'a> {
    pair: &'a Pair<'a>,
    /// Class of each fixed voxel.
    fixed: Vec<u8>,
    moving: Classes,
    rows: usize,
}

/// A map with its score, 1 (nothing shared) to 2 (each says all of the other), and its common voxels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared {
    pub score: f64,
    pub samples: usize,
}

impl<'a> Mutual<'a> {
    pub fn new(pair: &'a Pair<'a>) -> Self {
        let classes = Classes::of(&pair.fixed);
        let fixed = pair.fixed.as_slice().iter().map(|v| classes.place(*v).round() as u8).collect();
        Self { pair, fixed, moving: Classes::of(&pair.moving), rows: classes.count() }
    }

    /// None where the images share too little.
    pub fn judge(&self, map: &Affine) -> Option<Shared> {
        let (rows, columns) = (self.rows, self.moving.count());
        let (fixed, moving) = (self.pair.fixed.grid(), self.pair.moving.grid());
        let [_, height, width] = fixed.shape();
        // Index to index, so that one voxel costs one product.
        let at = |ijk: [f64; 3]| moving.lps_to_voxel(map.map(fixed.voxel_to_lps(ijk)));
        let origin = at([0.0; 3]);
        let axes: [[f64; 3]; 3] = std::array::from_fn(|axis| {
            let mut unit = [0.0; 3];
            unit[axis] = 1.0;
            let end = at(unit);
            std::array::from_fn(|c| end[c] - origin[c])
        });
        let joint: Vec<u64> = self
            .fixed
            .par_chunks(CHUNK)
            .enumerate()
            .map(|(chunk, classes)| {
                let mut counts = vec![0u64; rows * columns];
                for (m, &class) in classes.iter().enumerate() {
                    let n = chunk * CHUNK + m;
                    let ijk = [n % width, n / width % height, n / width / height].map(|x| x as f64);
                    let place = std::array::from_fn(|c| {
                        origin[c] + (0..3).map(|a| axes[a][c] * ijk[a]).sum::<f64>()
                    });
                    let Some(value) = super::correlation::value(&self.pair.moving, place) else {
                        continue;
                    };
                    let place = self.moving.place(value as f32);
                    let low = (place as usize).min(columns - 1);
                    let upper = ((place - low as f64) * PARTS as f64) as u64;
                    counts[usize::from(class) * columns + low] += PARTS - upper;
                    if upper > 0 {
                        counts[usize::from(class) * columns + low + 1] += upper;
                    }
                }
                counts
            })
            .reduce(
                || vec![0; rows * columns],
                |mut sum, part| {
                    sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
                    sum
                },
            );
        let total: u64 = joint.iter().sum();
        let samples = (total / PARTS) as usize;
        if total < SAMPLES_MIN * PARTS
            || self.pair.covered(samples) < self.pair.settings.overlap_min
        {
            return None;
        }
        let entropy = |counts: &mut dyn Iterator<Item = u64>| {
            counts.filter(|c| *c > 0).fold(0.0, |sum, c| {
                let p = c as f64 / total as f64;
                sum - p * p.ln()
            })
        };
        let of_fixed = entropy(&mut joint.chunks(columns).map(|row| row.iter().sum()));
        let of_moving =
            entropy(&mut (0..columns).map(|c| joint.iter().skip(c).step_by(columns).sum()));
        let both = entropy(&mut joint.iter().copied());
        // A flat image says nothing of the other.
        (of_fixed > 1e-9 && of_moving > 1e-9)
            .then(|| Shared { score: (of_fixed + of_moving) / both, samples })
    }

    /// Climbs from `map` by steps along one parameter at a time, ever shorter.
    pub fn refine(&self, mut map: Affine, motion: Motion) -> Option<(Affine, Shared)> {
        let mut best = self.judge(&map)?;
        let edge = self.pair.fixed.grid().spacing_mm().into_iter().fold(0.0, f64::max);
        let mut step = STEP_MAX * edge;
        for _ in 0..CLIMBS_MAX {
            if step < STEP_MIN * edge {
                break;
            }
            let mut climbed = false;
            for parameter in 0..motion.parameters() {
                for sign in [1.0, -1.0] {
                    let mut change = vec![0.0; motion.parameters()];
                    change[parameter] = sign * step;
                    let pivot = map.map(pyramid::middle(&self.pair.fixed));
                    let next = map.then(&motion.about(&change, pivot));
                    if let Some(better) = self.judge(&next).filter(|s| s.score > best.score) {
                        (map, best, climbed) = (next, better, true);
                        break;
                    }
                }
            }
            if !climbed {
                step /= 2.0;
            }
        }
        Some((map, best))
    }
}
