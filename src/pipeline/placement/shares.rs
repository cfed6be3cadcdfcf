//! Regions on one grid of somebody else's: planar views, phantoms.

use super::super::PipelineError;
use super::super::inputs::Inputs;
use super::super::space::{self, Space};
use super::{Given, REMAINDER, best_ct, given, names_in_order, place_one};
use crate::dicom::Uid;
use crate::quantity::{Becquerel, Measured};
use crate::segment;
use crate::volume::transform::Transform;
use crate::volume::{Grid, Occupancy};
use std::collections::BTreeMap;

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

/// Can every drawn region be carried to a space?
pub fn reached(inputs: &Inputs, space: &Space) -> Result<bool, PipelineError> {
    let given = given(inputs, false, &mut Vec::new())?;
    for name in names_in_order(&given, &[]) {
        let mut reached = false;
        for one in given.iter().filter(|one| one.name == name) {
            reached |= space::map(inputs, space, &one.space)?.is_some();
        }
        if !reached {
            return Ok(false);
        }
    }
    Ok(true)
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

/// Activity of each whole region: its own, and that of earlier regions where they lie within it.
pub fn whole_activities(
    grid: &Grid,
    regions: &[Share],
    own: &[Measured<Becquerel>],
) -> BTreeMap<String, Measured<Becquerel>> {
    // Of each voxel, what earlier regions took.
    let mut taken = vec![0.0f64; grid.len()];
    let mut all = BTreeMap::new();
    for (n, region) in regions.iter().enumerate() {
        let mut parts = vec![own[n]];
        if region.own != region.occupancy {
            // The part of that which lies within this region.
            let mut within = vec![0.0f64; grid.len()];
            region.occupancy.iter().for_each(|(voxel, f)| within[voxel] = f64::from(f));
            region.own.iter().for_each(|(voxel, f)| within[voxel] -= f64::from(f));
            for (part, taken) in within.iter_mut().zip(&taken) {
                *part = if *taken > 0.0 { (*part / taken).clamp(0.0, 1.0) } else { 0.0 };
            }
            parts.extend(regions[..n].iter().zip(own).map(|(earlier, activity)| {
                let shared: f64 =
                    earlier.own.iter().map(|(voxel, f)| f64::from(f) * within[voxel]).sum();
                let part = grid.voxel_volume() * shared / earlier.own.volume(grid);
                Measured { value: activity.value * part, ..*activity }
            }));
        }
        region.own.iter().for_each(|(voxel, f)| taken[voxel] += f64::from(f));
        all.insert(region.name.clone(), sum(&parts));
    }
    all
}

/// Of activities that were measured apart: their absolute uncertainties in quadrature.
fn sum(parts: &[Measured<Becquerel>]) -> Measured<Becquerel> {
    let value: Becquerel = parts.iter().map(|part| part.value).sum();
    let known = parts.iter().filter_map(|part| Some(part.value * part.relative_uncertainty?));
    let absolute = known.map(Becquerel::value).reduce(f64::hypot).filter(|_| value.value() > 0.0);
    Measured { value, relative_uncertainty: absolute.map(|u| u / value.value()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bq(value: f64, relative_uncertainty: Option<f64>) -> Measured<Becquerel> {
        Measured { value: Becquerel::new(value), relative_uncertainty }
    }

    #[test]
    fn a_whole_region_is_as_uncertain_as_its_own_part_and_what_lies_within_it() {
        // Four voxels of the liver, the first two of which a lesion of three takes.
        let grid = Grid::axial([1, 1, 5], [10.0; 3], [0.0; 3]).unwrap();
        let voxels = |all: &[u32]| Occupancy::new(all.iter().map(|&n| (n, 1.0)).collect());
        let share = |name: &str, occupancy: &[u32], own: &[u32]| Share {
            name: name.into(),
            occupancy: voxels(occupancy),
            own: voxels(own),
        };
        let regions =
            [share("Lesion", &[0, 1, 4], &[0, 1, 4]), share("Liver", &[0, 1, 2, 3], &[2, 3])];
        let unmixed = |liver: Measured<Becquerel>| [bq(300.0, Some(0.2)), liver];
        let found = whole_activities(&grid, &regions, &unmixed(bq(400.0, Some(0.1))));
        assert_eq!(found["Lesion"], bq(300.0, Some(0.2)));
        let liver = found["Liver"];
        assert!((liver.value.value() - 600.0).abs() < 1e-9, "{liver:?}");
        // 10 % of 400 and 20 % of 200 Bq: 40 and 40.
        let u = liver.relative_uncertainty.unwrap();
        assert!((u - 40.0 * 2f64.sqrt() / 600.0).abs() < 1e-9, "{u}");
        // Without activity of its own it is what the lesion has there.
        let liver = whole_activities(&grid, &regions, &unmixed(bq(0.0, None)))["Liver"];
        assert!((liver.relative_uncertainty.unwrap() - 0.2).abs() < 1e-9, "{liver:?}");
        assert_eq!(sum(&[bq(0.0, None), bq(0.0, Some(0.2))]).relative_uncertainty, None);
    }
}
