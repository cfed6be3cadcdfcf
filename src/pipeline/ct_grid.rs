//! The dose grid in the CT's frame, where protocol or plan ask for `grid: ct`.

use super::error::parked;
use super::inputs::Inputs;
use super::{PipelineError, Request};
use crate::config::DoseGrid;
use crate::quantity::Warning;
use crate::volume::resample::conserve;
use crate::volume::{Grid, Transform, Volume};

/// More voxels than a result needs or a worker's memory holds.
const MOST_VOXELS: f64 = 33_554_432.0;
/// Activity that may get lost between the grids before a warning says so.
const LOST_FRACTION: f64 = 1e-3;

/// A dose grid of its own, in the space of a CT.
#[derive(Debug, Clone)]
pub struct CtGrid {
    pub grid: Grid,
    /// Maps points of the dose grid into the space of the reference image.
    pub to_reference: Transform,
    /// Index of the CT.
    pub ct: usize,
}

/// The grid that protocol or plan ask for: along the CT's axes, cubic voxels of `spacing_mm`, around
/// the whole reference image, so that no activity is lost. `None` where the dose is on the reference
/// image's own grid.
pub fn of(
    inputs: &Inputs,
    request: &Request,
    ct: Option<&(usize, Transform)>,
    reference: &Grid,
) -> Result<Option<CtGrid>, PipelineError> {
    let dose = &request.plan.parameters.dose;
    if dose.grid != DoseGrid::Ct {
        return Ok(None);
    }
    let (Some((index, to_ct)), Some(spacing)) = (ct, &dose.spacing_mm) else {
        return Err(PipelineError::Parked(
            "the plan's or protocol's `dose: grid: ct` wants `spacing_mm` and a CT in the space of the \
             reference image; send the CT or its registration, or write `grid: emission`"
                .into(),
        ));
    };
    let own = inputs.cts[*index].hu.grid();
    let Some([low, high]) = bounds(reference, to_ct, own) else {
        return Err(PipelineError::Parked(
            "the registration of CT and reference image does not reach the image's corners, so the \
             dose cannot be put on the CT's grid; write `dose: grid: emission`"
                .into(),
        ));
    };
    let spacing = spacing.value;
    let counts: [f64; 3] = std::array::from_fn(|a| ((high[a] - low[a]) / spacing).ceil().max(1.0));
    let voxels: f64 = counts.iter().product();
    if voxels > MOST_VOXELS {
        return Err(PipelineError::Parked(format!(
            "`dose: spacing_mm: {spacing}` makes a dose grid of {voxels:.0} voxels, more than \
             {MOST_VOXELS:.0}; write a larger spacing_mm"
        )));
    }
    // Centred, so that what the count rounds up is shared by both ends.
    let first = std::array::from_fn(|a| {
        let start = 0.5 * (low[a] + high[a] - counts[a] * spacing + spacing);
        start / own.spacing_mm()[a]
    });
    let [i, j, k] = counts.map(|n| n as usize);
    let [axis_i, axis_j, _] = own.direction();
    let origin = own.voxel_to_lps(first);
    let grid = Grid::new([k, j, i], [spacing; 3], origin, axis_i, axis_j)
        .map_err(|error| parked("dose grid in the CT's frame", error))?;
    Ok(Some(CtGrid { grid, to_reference: to_ct.inverse(), ct: *index }))
}

/// What the image spans along the CT's axes, mm from the CT's first voxel.
fn bounds(image: &Grid, to_ct: &Transform, ct: &Grid) -> Option<[[f64; 3]; 2]> {
    let mut ends = [[f64::INFINITY; 3], [f64::NEG_INFINITY; 3]];
    for corner in 0..8 {
        let ijk = std::array::from_fn(|a| {
            let last = image.shape()[2 - a] as f64 - 0.5;
            if corner >> a & 1 == 1 { last } else { -0.5 }
        });
        let place = ct.lps_to_voxel(to_ct.map(image.voxel_to_lps(ijk))?);
        for (a, spacing) in ct.spacing_mm().into_iter().enumerate() {
            ends[0][a] = ends[0][a].min(place[a] * spacing);
            ends[1][a] = ends[1][a].max(place[a] * spacing);
        }
    }
    Some(ends)
}

impl CtGrid {
    /// Decays per voxel of the reference grid to those of this one; their sum is kept.
    pub fn carry(&self, bq_s: &Volume<f64>) -> (Volume<f64>, Option<Warning>) {
        let (from_ml, to_ml) =
            (bq_s.grid().voxel_volume().value(), self.grid.voxel_volume().value());
        let per_ml = bq_s.values().mapv(|value| (value / from_ml) as f32);
        let per_ml = Volume::new(bq_s.grid().clone(), per_ml);
        let carried = conserve(&per_ml, &self.grid, &self.to_reference);
        let carried = carried.values().mapv(|value| f64::from(value).max(0.0) * to_ml);
        let (before, after) = (bq_s.values().sum(), carried.sum());
        let lost = 1.0 - after / before;
        let warning = (lost.abs() > LOST_FRACTION).then(|| {
            let text = format!(
                "{:.2} % of the decays were lost between the image's grid and the dose grid in the \
                 CT's frame",
                100.0 * lost
            );
            Warning::new("activity-lost-between-grids", text)
        });
        (Volume::new(self.grid.clone(), carried), warning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::transform::Affine;
    use ndarray::Array3;

    #[test]
    fn decays_are_kept_on_a_finer_grid_that_is_shifted_and_turned() {
        let image = Grid::axial([12, 14, 16], [4.8; 3], [-30.0, -20.0, 10.0]).unwrap();
        let (sin, cos) = 0.1f64.sin_cos();
        let turn = [
            [cos, -sin, 0.0, 3.0],
            [sin, cos, 0.0, -2.0],
            [0.0, 0.0, 1.0, 1.0],
            [0.0, 0.0, 0.0, 1.0],
        ];
        let to_ct = Transform::Affine(Affine::rigid(turn).unwrap());
        let ct = Grid::axial([40, 64, 64], [1.0, 1.0, 2.5], [-60.0, -60.0, 0.0]).unwrap();
        let [low, high] = bounds(&image, &to_ct, &ct).unwrap();
        let counts: [usize; 3] =
            std::array::from_fn(|a| ((high[a] - low[a]) / 4.0).ceil() as usize);
        let first = std::array::from_fn(|a| (low[a] + 2.0) / ct.spacing_mm()[a]);
        let [i, j, k] = counts;
        let grid = Grid::axial([k, j, i], [4.0; 3], ct.voxel_to_lps(first)).unwrap();
        let own = CtGrid { grid, to_reference: to_ct.inverse(), ct: 0 };
        let decays = Array3::from_shape_fn(image.dim(), |(k, j, i)| (1 + i * j + k) as f64 * 1e6);
        let before = decays.sum();
        let (carried, warning) = own.carry(&Volume::new(image, decays));
        assert!((carried.values().sum() / before - 1.0).abs() < 1e-5);
        assert_eq!(warning, None);
    }
}
