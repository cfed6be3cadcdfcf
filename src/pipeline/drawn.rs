//! Regions as they were drawn: in structure sets and segmentations, each in its space.

use super::PipelineError;
use super::inputs::Inputs;
use super::space::Space;
use crate::dicom::read::Code;
use crate::quantity::Warning;
use crate::segment::Contour;
use crate::volume::{Grid, Occupancy};

/// A region as it was given.
pub(super) struct Given<'a> {
    pub name: &'a str,
    pub anatomy: Option<&'a Code>,
    pub space: Space,
    pub shape: Shape<'a>,
    /// (structure set, ROI number).
    pub roi: Option<(usize, u32)>,
}

pub(super) enum Shape<'a> {
    Contours(&'a [Contour]),
    Voxels(&'a Grid, &'a Occupancy),
}

/// Everything drawn, as given. An ROI without contours is left out with a warning; a name drawn in
/// both kinds of object for one space is taken from the structure set.
pub(super) fn given<'a>(
    inputs: &'a Inputs,
    may_be_empty: bool,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Given<'a>>, PipelineError> {
    let mut all: Vec<Given> = Vec::new();
    for (index, set) in inputs.structure_sets.iter().enumerate() {
        for roi in &set.rois {
            if !roi.rejected.is_empty() {
                warnings.push(Warning::new(
                    "unusable-region",
                    format!(
                        "ROI {} ({}) was left out: {}",
                        roi.number,
                        roi.name,
                        roi.rejected.join("; ")
                    ),
                ));
                continue;
            }
            if roi.contours.is_empty() {
                warnings.push(Warning::new(
                    "empty-region",
                    format!("ROI {} ({}) has no contour and was left out", roi.number, roi.name),
                ));
                continue;
            }
            all.push(Given {
                name: &roi.name,
                anatomy: roi.anatomy.as_ref(),
                space: Space {
                    frame: roi.frame_of_reference.clone(),
                    series: set.referenced_series.clone(),
                    images: roi.images.clone(),
                },
                shape: Shape::Contours(&roi.contours),
                roi: Some((index, roi.number)),
            });
        }
    }
    for seg in &inputs.segmentations {
        let mut drawn_too = Vec::new();
        for segment in &seg.segments {
            let space = Space {
                frame: seg.frame_of_reference.clone(),
                series: seg.referenced_series.clone(),
                images: Vec::new(),
            };
            let drawn = all.iter().any(|g| g.roi.is_some() && g.name == segment.label);
            if drawn {
                drawn_too.push(segment.label.as_str());
                continue;
            }
            if segment.occupancy.is_empty() {
                let text = format!("segment {} ({}) is empty", segment.number, segment.label);
                warnings.push(Warning::new("empty-region", format!("{text} and was left out")));
                continue;
            }
            all.push(Given {
                name: &segment.label,
                anatomy: segment.anatomy.as_ref(),
                space,
                shape: Shape::Voxels(&seg.grid, &segment.occupancy),
                roi: None,
            });
        }
        if !drawn_too.is_empty() {
            warnings.push(Warning::new(
                "region-given-twice",
                format!(
                    "drawn in a structure set and in segmentation {}: {}; the structure set was used",
                    seg.sop_instance,
                    drawn_too.join(", ")
                ),
            ));
        }
    }
    if all.is_empty() && !may_be_empty {
        return Err(PipelineError::Parked(
            "no region is drawn in any structure set or segmentation; send an RTSTRUCT or SEG"
                .into(),
        ));
    }
    check_drawn_once(&all)?;
    Ok(all)
}

/// Two drawings of one region in one space leave open which one is meant.
fn check_drawn_once(all: &[Given]) -> Result<(), PipelineError> {
    for (n, one) in all.iter().enumerate() {
        let twice = all[..n].iter().any(|other| {
            other.name == one.name
                && other.space.frame == one.space.frame
                && other.space.series == one.space.series
        });
        if twice {
            return Err(PipelineError::Parked(format!(
                "region {} is drawn twice in one frame of reference; delete or rename one, or send \
                 only the structure set that is meant",
                one.name
            )));
        }
    }
    Ok(())
}

/// Each name once: those that the protocol puts in order, then as they are numbered.
pub(super) fn names_in_order<'a>(given: &[Given<'a>], order: &[String]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    let first = order.iter().filter_map(|name| given.iter().find(|g| g.name == *name));
    for one in first.chain(given) {
        if !names.contains(&one.name) {
            names.push(one.name);
        }
    }
    names
}
