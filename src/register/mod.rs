//! How one image lies in another: rigid and affine registration by their correlation.
//!
//! In: two volumes of one modality (CT and CT, or emission and emission) in patient space, LPS mm.
//! Out: the map of fixed points to moving points with its quality. Pure, and the same bits for any
//! number of threads. See `docs/methods/registration.md`.

mod constants;
mod correlation;
mod error;
mod motion;
mod pyramid;

pub use constants::{Constants, constants};
pub use error::RegisterError;
pub use motion::Motion;

use crate::volume::Volume;
use crate::volume::transform::Affine;
use correlation::{Normal, normal_equations};
use pyramid::coarsen;

/// What is asked of one registration.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub motion: Motion,
    /// Voxel edges of the levels, mm, coarse to fine.
    pub levels_mm: Vec<f64>,
    /// Least normalised correlation, 0 to 1.
    pub correlation_min: f64,
    /// Least part of the smaller volume that the other one must cover, 0 to 1.
    pub overlap_min: f64,
}

/// A registration that passed its gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// Maps a point of the fixed image's space to the same point in the moving image's space.
    pub fixed_to_moving: Affine,
    /// Normalised (Pearson) correlation of the two images where both are, at the finest level.
    pub correlation: f64,
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

/// Finds the map from `fixed` to `moving` that maximises their correlation.
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
    let mut maps: Vec<Affine> = Vec::new();
    let mut last = None;
    for &level_mm in &settings.levels_mm {
        let pair = Pair::new(coarsen(fixed, level_mm), coarsen(moving, level_mm), settings);
        if maps.is_empty() {
            // A whole turn of the body is no day-to-day motion: rotation starts at none.
            maps = pair.starts();
        }
        let found = maps.iter().filter_map(|&map| pair.refine(map));
        // The first of equals: the order of starts is fixed.
        let best = found.reduce(|a, b| if b.1.correlation > a.1.correlation { b } else { a });
        let Some((map, normal)) = best else { return Err(RegisterError::NoOverlap) };
        maps = vec![map];
        let overlap = pair.overlap(&normal);
        last = Some((map, normal, overlap));
    }
    let Some((fixed_to_moving, normal, overlap)) = last else { return Err(RegisterError::NoLevel) };
    let correlation = normal.correlation;
    if correlation < settings.correlation_min || overlap < settings.overlap_min {
        let (correlation_min, overlap_min) = (settings.correlation_min, settings.overlap_min);
        return Err(RegisterError::Poor { correlation, correlation_min, overlap, overlap_min });
    }
    Ok(Registered { fixed_to_moving, correlation, overlap })
}

/// Correlation of two images under a map that something else says, on voxels of about `level_mm`;
/// none where they share nothing or one is flat.
pub fn correlation(
    fixed: &Volume<f32>,
    moving: &Volume<f32>,
    fixed_to_moving: &Affine,
    level_mm: f64,
) -> Option<f64> {
    let (fixed, moving) = (coarsen(fixed, level_mm), coarsen(moving, level_mm));
    normal_equations(&fixed, &moving, fixed_to_moving, Motion::Rigid).map(|n| n.correlation)
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

    fn overlap(&self, normal: &Normal) -> f64 {
        let volume = |v: &Volume<f32>| v.grid().voxel_volume().value() * v.grid().len() as f64;
        let common = normal.samples as f64 * self.fixed.grid().voxel_volume().value();
        // Sampled between voxel centres, a volume can cover itself by little less or more than all.
        (common / volume(&self.fixed).min(volume(&self.moving))).min(1.0)
    }

    fn judge(&self, map: &Affine) -> Option<Normal> {
        let normal = normal_equations(&self.fixed, &self.moving, map, self.settings.motion)?;
        (self.overlap(&normal) >= self.settings.overlap_min).then_some(normal)
    }

    /// Shifts that bring frames, middles or centres of mass together, and those around them: the best few.
    fn starts(&self) -> Vec<Affine> {
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
                if let Some(normal) = self.judge(&map) {
                    tried.push((normal.correlation, map));
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
