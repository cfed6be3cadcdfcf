//! Regions on one grid of somebody else's: planar views, phantoms.

use super::super::PipelineError;
use super::super::inputs::Inputs;
use super::super::space::Space;
use super::{Given, REMAINDER, best_ct, given, names_in_order, place_one};
use crate::dicom::Uid;
use crate::segment;
use crate::volume::transform::Transform;
use crate::volume::{Grid, Occupancy};

/// A region on some grid: all of it, and what no earlier region takes of it.
#[derive(Debug, Clone)]
pub struct Share {
    pub name: String,
    pub occupancy: Occupancy,
    pub own: Occupancy,
}

/// Every drawn region on a grid in some space, those of `order` first, and the rest of the grid last.
pub fn shares_on(
    inputs: &Inputs,
    order: &[String],
    space: &Space,
    grid: &Grid,
) -> Result<Vec<Share>, PipelineError> {
    let given = given(inputs, false, &mut Vec::new())?;
    let mut drawn = Vec::new();
    for name in names_in_order(&given, order) {
        let same_name: Vec<&Given> = given.iter().filter(|g| g.name == name).collect();
        let placed = place_one(inputs, &same_name, std::slice::from_ref(space), &[grid])?;
        drawn.extend(placed.occupancy.into_iter().map(|occupancy| (name.to_owned(), occupancy)));
    }
    let assignment = segment::assign(grid, &drawn.iter().map(|d| &d.1).collect::<Vec<_>>());
    let rest = (REMAINDER.to_owned(), assignment.remainder.clone());
    let own = assignment.shares.into_iter().chain([assignment.remainder]);
    let share = |((name, occupancy), own)| Share { name, occupancy, own };
    Ok(drawn.into_iter().chain([rest]).zip(own).map(share).collect())
}

/// The CT in some space, of a study before another's and else the largest, with what maps points of the
/// space into the CT's.
pub fn ct_in(
    inputs: &Inputs,
    study: &Option<Uid>,
    space: &Space,
) -> Result<Option<(usize, Transform)>, PipelineError> {
    best_ct(inputs, study, space, |hu, _| hu.grid().voxel_volume().value() * hu.grid().len() as f64)
}
