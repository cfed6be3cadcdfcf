//! How one image lies in another: rigid and affine registration.
//!
//! In: two volumes in patient space, LPS mm; of one modality (CT and CT, or emission and emission) by
//! their correlation, of two by their mutual information. Out: the map of fixed points to moving points with its quality. Pure, and the same bits for any
//! number of threads. See `docs/methods/registration.md`.

mod constants;
mod correlation;
mod deformable;
mod error;
mod motion;
mod mutual;
mod pyramid;

pub use constants::{Constants, constants};
pub use deformable::{DeformableSettings, Deformed, deform};
pub use error::RegisterError;
pub use motion::Motion;

use crate::volume::Volume;
use crate::volume::transform::Affine;
use correlation::{Normal, normal_equations};
use mutual::Mutual;
use pyramid::coarsen;

/// How two images are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metric {
    /// Normalised (Pearson) correlation, -1 to 1.
    #[default]
    Correlation,
    /// Normalised mutual information, 1 to 2.
    MutualInformation,
}

impl Metric {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Correlation => "correlation",
            Self::MutualInformation => "mutual information",
        }
    }
}

/// What is asked of one registration.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub motion: Motion,
    pub metric: Metric,
    /// Voxel edges of the levels, mm, coarse to fine.
    pub levels_mm: Vec<f64>,
    /// Least score by the metric.
    pub score_min: f64,
    /// Least part of the smaller volume that the other one must cover, 0 to 1.
    pub overlap_min: f64,
    /// Least and largest principal stretch of an affine motion.
    pub stretch: [f64; 2],
}

/// A registration that passed its gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// Maps a point of the fixed image's space to the same point in the moving image's space.
    pub fixed_to_moving: Affine,
    /// By the metric, of the two images where both are, at the finest level.
    pub score: f64,
    /// Part of the smaller volume that the other one covers.
    pub overlap: f64,
}

/// Steps of the damped Gauss-Newton search at one level; it settles in about ten.
const STEPS_MAX: usize = 60;
/// A step that moves no point of the image by more than this ends a level, mm.
const SETTLED_MM: f64 = 2e-3;
/// Starts that are followed at the coarsest level.
const STARTS: usize = 4;
/// Distance of the starts around each guess, mm.
const START_SPREAD_MM: f64 = 30.0;

/// Finds the map from `fixed` to `moving` under which they agree best.
///
/// # Errors
/// [`RegisterError`] where the images hold no structure, do not overlap, or stay below the gate.
pub fn register(
    fixed: &Volume<f32>,
    moving: &Volume<f32>,
    settings: &Settings,
) -> Result<Registered, RegisterError> {
    if fixed.as_slice().iter().chain(moving.as_slice()).any(|v| !v.is_finite()) {
        return Err(RegisterError::NotFinite);
    }
    let mut found: Option<Registered> = None;
    for &level_mm in &settings.levels_mm {
        let pair = Pair::new(coarsen(fixed, level_mm), coarsen(moving, level_mm), settings);
        let start = found.map(|found| found.fixed_to_moving);
        let best = match settings.metric {
            Metric::Correlation => pair.by_correlation(start),
            Metric::MutualInformation => pair.by_mutual_information(start),
        };
        found = Some(best.ok_or(RegisterError::NoOverlap)?);
    }
    let Some(found) = found else { return Err(RegisterError::NoLevel) };
    if found.score < settings.score_min || found.overlap < settings.overlap_min {
        return Err(RegisterError::Poor {
            metric: settings.metric.name(),
            score: found.score,
            score_min: settings.score_min,
            overlap: found.overlap,
            overlap_min: settings.overlap_min,
        });
    }
    let stretch = found.fixed_to_moving.stretch();
    if stretch[0] < settings.stretch[0] || stretch[1] > settings.stretch[1] {
        return Err(RegisterError::Stretched { stretch, bounds: settings.stretch });
    }
    Ok(found)
}

/// How well two images agree under a map that something else says, on voxels of about `level_mm`; none where
/// they share nothing or one is flat.
pub fn score(
    fixed: &Volume<f32>,
    moving: &Volume<f32>,
    fixed_to_moving: &Affine,
    metric: Metric,
    level_mm: f64,
) -> Option<f64> {
    // A score alone is asked for: any overlap will do.
    let settings = Settings {
        motion: Motion::Rigid,
        metric,
        levels_mm: vec![level_mm],
        score_min: -1.0,
        overlap_min: 0.0,
        stretch: [0.0, f64::INFINITY],
    };
    let pair = Pair::new(coarsen(fixed, level_mm), coarsen(moving, level_mm), &settings);
    match metric {
        Metric::Correlation => pair.judge(fixed_to_moving).map(|normal| normal.correlation),
        Metric::MutualInformation => {
            Mutual::new(&pair).judge(fixed_to_moving).map(|shared| shared.score)
        }
    }
}

/// Both images at one level.
struct Pair<'a> {
    fixed: Volume<f32>,
    moving: Volume<f32>,
    settings: &'a Settings,
}

impl<'a> Pair<'a> {
    fn new(fixed: Volume<f32>, moving: Volume<f32>, settings: &'a Settings) -> Self {
        Self { fixed, moving, settings }
    }

    /// Part of the smaller volume that this many fixed voxels are.
    fn covered(&self, samples: usize) -> f64 {
        let volume = |v: &Volume<f32>| v.grid().voxel_volume().value() * v.grid().len() as f64;
        let common = samples as f64 * self.fixed.grid().voxel_volume().value();
        // Sampled between voxel centres, a volume can cover itself by little less or more than all.
        (common / volume(&self.fixed).min(volume(&self.moving))).min(1.0)
    }

    /// From `start`, or from the best of the usual ones.
    fn by_correlation(&self, start: Option<Affine>) -> Option<Registered> {
        let starts = start.map_or_else(
            || self.starts(|map| self.judge(map).map(|normal| normal.correlation)),
            |map| vec![map],
        );
        let found = starts.iter().filter_map(|&map| self.refine(map));
        // The first of equals: the order of starts is fixed.
        let best = found.reduce(|a, b| if b.1.correlation > a.1.correlation { b } else { a });
        best.map(|(fixed_to_moving, normal)| Registered {
            fixed_to_moving,
            score: normal.correlation,
            overlap: self.covered(normal.samples),
        })
    }

    fn by_mutual_information(&self, start: Option<Affine>) -> Option<Registered> {
        let mutual = Mutual::new(self);
        let starts = start.map_or_else(
            || self.starts(|map| mutual.judge(map).map(|shared| shared.score)),
            |map| vec![map],
        );
        let motion = self.settings.motion;
        let found = starts.iter().filter_map(|&map| mutual.refine(map, motion));
        let best = found.reduce(|a, b| if b.1.score > a.1.score { b } else { a });
        best.map(|(fixed_to_moving, shared)| Registered {
            fixed_to_moving,
            score: shared.score,
            overlap: self.covered(shared.samples),
        })
    }

    fn judge(&self, map: &Affine) -> Option<Normal> {
        let normal = normal_equations(&self.fixed, &self.moving, map, self.settings.motion)?;
        (self.covered(normal.samples) >= self.settings.overlap_min).then_some(normal)
    }

    /// Shifts that bring frames, middles or centres of mass together, and those around them: the best few.
    /// A whole turn of the body is no day-to-day motion: rotation starts at none.
    fn starts(&self, score: impl Fn(&Affine) -> Option<f64>) -> Vec<Affine> {
        let (middle, mass) = (
            [pyramid::middle(&self.fixed), pyramid::middle(&self.moving)],
            [pyramid::centre_of_mass(&self.fixed), pyramid::centre_of_mass(&self.moving)],
        );
        let mut tried: Vec<(f64, Affine)> = Vec::new();
        for base in [[[0.0; 3]; 2], middle, mass] {
            for n in 0..27usize {
                let step = [n % 3, n / 3 % 3, n / 9].map(|s| (s as f64 - 1.0) * START_SPREAD_MM);
                let shift = std::array::from_fn(|a| base[1][a] - base[0][a] + step[a]);
                let map = Affine::translation(shift);
                if let Some(score) = score(&map) {
                    tried.push((score, map));
                }
            }
        }
        tried.sort_by(|a, b| b.0.total_cmp(&a.0));
        tried.into_iter().take(STARTS).map(|(_, map)| map).collect()
    }

    /// Damped Gauss-Newton from `map` on; none where the images do not overlap enough there.
    fn refine(&self, mut map: Affine) -> Option<(Affine, Normal)> {
        let mut normal = self.judge(&map)?;
        let mut damping = 1e-3;
        for _ in 0..STEPS_MAX {
            let Some(step) = normal.step(damping) else { break };
            let next = map.then(&self.settings.motion.about(&step, normal.pivot));
            match self.judge(&next).filter(|n| n.correlation > normal.correlation) {
                Some(better) => {
                    (map, normal) = (next, better);
                    damping = (damping * 0.2).max(1e-9);
                }
                None => damping *= 10.0,
            }
            if step.iter().map(|s| s.abs()).fold(0.0, f64::max) < SETTLED_MM || damping > 1e6 {
                break;
            }
        }
        Some((map, normal))
    }
}

#[cfg(test)]
mod tests;
