//! Deformable registration of two images of one modality: demons, from coarse to fine.
//!
//! Demons rather than splines: both images are CT, whose values mean the same, so every voxel says where it
//! belongs without a metric of its own; the field is one vector a voxel, which is what a Deformable
//! Spatial Registration holds; and every sum has a fixed order. Small smooth steps are composed, so that the map
//! stays one that can be undone; the Jacobian of what comes out is checked all the same.

mod field;
mod force;
mod smooth;

use super::RegisterError;
use super::pyramid::coarsen;
use crate::volume::transform::{Affine, Deformation};
use crate::volume::{Grid, Volume};
use field::Field;
use force::Pair;

/// What is asked of one deformable registration. Lengths in voxel edges are those of each level.
#[derive(Debug, Clone, PartialEq)]
pub struct DeformableSettings {
    /// Voxel edges of the levels, mm, coarse to fine.
    pub levels_mm: Vec<f64>,
    /// Standard deviation of the window in which voxels pull together, voxel edges.
    pub window: f64,
    /// Standard deviation of the smoothing of the whole field after each round, voxel edges.
    pub smoothing: f64,
    /// Rounds at one level at most.
    pub rounds_max: usize,
    /// A level ends when a round changes the field by less (root mean square), voxel edges.
    pub settled: f64,
    /// Least correlation afterwards.
    pub score_min: f64,
    /// Least and largest Jacobian determinant.
    pub jacobian: [f64; 2],
}

/// A deformable registration that passed its gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Deformed {
    /// Maps a point of the fixed image's space to the same point in the moving image's space.
    pub fixed_to_moving: Deformation,
    /// Correlation at the finest level under the map alone that it started from, and under the field.
    pub score: [f64; 2],
    /// Least and largest determinant of the map's Jacobian.
    pub jacobian: [f64; 2],
}

/// Finds the field that, before the rigid or affine `start`, makes the images agree best.
///
/// # Errors
/// [`RegisterError`] where the images hold no structure, agree poorly or worse than before, or where the
/// field folds or stretches beyond its bounds.
pub fn deform(
    fixed: &Volume<f32>,
    moving: &Volume<f32>,
    start: &Affine,
    settings: &DeformableSettings,
) -> Result<Deformed, RegisterError> {
    if fixed.as_slice().iter().chain(moving.as_slice()).any(|v| !v.is_finite()) {
        return Err(RegisterError::NotFinite);
    }
    let mut found: Option<(Field, [f64; 2])> = None;
    for &level_mm in &settings.levels_mm {
        let (fixed, moving) = (coarsen(fixed, level_mm), coarsen(moving, level_mm));
        let pair = Pair::new(&fixed, &moving, start);
        let none = Field::none(fixed.grid());
        let before = correlation(fixed.as_slice(), &pair.seen(&none));
        let field = match found {
            Some((coarser, _)) => coarser.on(fixed.grid()),
            None => none,
        };
        let field = settle(&pair, field, settings);
        let after = correlation(fixed.as_slice(), &pair.seen(&field));
        let (Some(before), Some(after)) = (before, after) else {
            return Err(RegisterError::NoOverlap);
        };
        found = Some((field, [before, after]));
    }
    let Some((field, score)) = found else { return Err(RegisterError::NoLevel) };
    if score[1] < settings.score_min || score[1] < score[0] {
        return Err(RegisterError::PoorField {
            score: score[1],
            before: score[0],
            score_min: settings.score_min,
        });
    }
    let fixed_to_moving = deformation(&field, start);
    let jacobian = fixed_to_moving.jacobian_range();
    let [least, most] = settings.jacobian;
    if jacobian[0] < least || jacobian[1] > most || jacobian[0] <= 0.0 {
        return Err(RegisterError::Folded { jacobian, bounds: settings.jacobian });
    }
    Ok(Deformed { fixed_to_moving, score, jacobian })
}

/// Rounds of steps at one level.
fn settle(pair: &Pair<'_>, mut field: Field, settings: &DeformableSettings) -> Field {
    let edge = field.grid.spacing_mm().into_iter().fold(0.0, f64::max);
    for _ in 0..settings.rounds_max {
        let step = pair.step(&field, settings.window * edge, edge);
        let mut next = field.after(&step);
        next.smooth(settings.smoothing * edge);
        let change = next.apart(&field);
        field = next;
        if change < settings.settled * edge {
            break;
        }
    }
    field
}

/// Pearson's, of the voxels that both images have; none where there are too few or one image is flat.
fn correlation(fixed: &[f32], seen: &[f32]) -> Option<f64> {
    let mut sums = [0.0f64; 6];
    for (&f, &m) in fixed.iter().zip(seen).filter(|(_, m)| !m.is_nan()) {
        let (f, m) = (f64::from(f), f64::from(m));
        for (sum, value) in sums.iter_mut().zip([1.0, f, m, f * f, m * m, f * m]) {
            *sum += value;
        }
    }
    let [n, f, m, ff, mm, fm] = sums;
    let (vf, vm) = (ff - f * f / n, mm - m * m / n);
    let flat = vf <= 1e-12 * ff || vm <= 1e-12 * mm;
    (n >= 64.0 && !flat).then(|| (fm - f * m / n) / (vf * vm).sqrt())
}

/// Nodes beyond the field's grid, before and after it: the levels leave out incomplete blocks at the
/// end, and an image reaches half a voxel beyond the centres of its border.
const MARGIN: [usize; 2] = [1, 2];

/// The field with its start as one map, a little beyond the grid as at its border.
fn deformation(field: &Field, start: &Affine) -> Deformation {
    let grid = &field.grid;
    let shape = grid.shape().map(|n| n + MARGIN[0] + MARGIN[1]);
    let origin = grid.voxel_to_lps([-(MARGIN[0] as f64); 3]);
    let [axis_i, axis_j, _] = grid.direction();
    let nodes = Grid::new(shape, grid.spacing_mm(), origin, axis_i, axis_j)
        .expect("a valid grid and three nodes more");
    let axes = grid.direction();
    let vectors = (0..nodes.len())
        .map(|n| {
            let at = nodes.place(n).map(|x| x as f64 - MARGIN[0] as f64);
            let along = field.at(at);
            std::array::from_fn(|c| {
                (0..3).map(|a| axes[a][c] * f64::from(along[a])).sum::<f64>() as f32
            })
        })
        .collect();
    Deformation::new(Affine::IDENTITY, *start, nodes, vectors).expect("one vector a node")
}

#[cfg(test)]
mod tests;
