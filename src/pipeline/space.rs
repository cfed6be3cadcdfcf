//! Which objects share a space, and what maps one space into another: frames of reference and
//! spatial registrations.

use super::PipelineError;
use super::inputs::Inputs;
use crate::dicom::Uid;
use crate::dicom::read::{Emission, MatrixKind, Registration};
use crate::volume::Grid;
use crate::volume::transform::{Affine, Deformation, Transform};

/// The patient space that an object lies in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Space {
    /// Frame of Reference UID; `None` shares its space with nothing but itself.
    pub frame: Option<Uid>,
    /// Series whose images span the space, or that a region was drawn on.
    pub series: Vec<Uid>,
    /// SOP instances likewise.
    pub images: Vec<Uid>,
}

impl Space {
    pub fn of(emission: &Emission) -> Self {
        Self {
            frame: emission.frame_of_reference.clone(),
            series: vec![emission.series.clone()],
            images: emission.sources.iter().map(|s| s.sop_instance.clone()).collect(),
        }
    }

    /// Same coordinates: one frame of reference, or drawn on these very images (tools that invent a
    /// frame of reference still name the images).
    fn is(&self, other: &Self) -> bool {
        let frame = self.frame.is_some() && self.frame == other.frame;
        let any = |a: &[Uid], b: &[Uid]| a.iter().any(|uid| b.contains(uid));
        frame || any(&self.series, &other.series) || any(&self.images, &other.images)
    }
}

/// What maps points of `to` into `from`; `None` where nothing says how they lie.
pub fn map(inputs: &Inputs, to: &Space, from: &Space) -> Result<Option<Transform>, PipelineError> {
    if to.is(from) {
        return Ok(Some(Transform::Identity));
    }
    for registration in &inputs.registrations {
        if let Some(found) = through(registration, to, from)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn through(
    registration: &Registration,
    to: &Space,
    from: &Space,
) -> Result<Option<Transform>, PipelineError> {
    let registered = Space {
        frame: Some(registration.registered_frame_of_reference.clone()),
        ..Space::default()
    };
    for deformation in &registration.deformations {
        let source = Space {
            frame: deformation.source_frame_of_reference.clone(),
            images: deformation.source_images.clone(),
            ..Space::default()
        };
        // The object maps registered points to source points.
        if to.is(&registered) && from.is(&source) {
            return Ok(Some(deform(deformation)?));
        }
        if to.is(&source) && from.is(&registered) {
            return Ok(Some(deform(deformation)?.inverse()));
        }
    }
    let matrix = |space: &Space| -> Result<Option<Affine>, PipelineError> {
        if space.is(&registered) {
            return Ok(Some(Affine::IDENTITY));
        }
        for item in &registration.matrices {
            let source = Space {
                frame: item.source_frame_of_reference.clone(),
                images: item.source_images.clone(),
                ..Space::default()
            };
            if space.is(&source) {
                return Ok(Some(match item.kind {
                    MatrixKind::Rigid => Affine::rigid(item.matrix)?,
                    MatrixKind::RigidScale | MatrixKind::Affine => Affine::new(item.matrix)?,
                }));
            }
        }
        Ok(None)
    };
    Ok(match (matrix(to)?, matrix(from)?) {
        // x_registered = M_to · x_to = M_from · x_from
        (Some(m_to), Some(m_from)) => Some(Transform::Affine(m_to.then(&m_from.inverse()))),
        _ => None,
    })
}

fn deform(deformation: &crate::dicom::read::Deformation) -> Result<Transform, PipelineError> {
    let (pre, post) = (Affine::new(deformation.pre)?, Affine::new(deformation.post)?);
    let Some(grid) = &deformation.grid else {
        return Ok(Transform::Affine(pre.then(&post)));
    };
    let [columns, rows, slices] = grid.dimensions;
    let nodes = Grid::new(
        [slices, rows, columns],
        grid.resolution_mm,
        grid.origin_lps_mm,
        grid.axis_i,
        grid.axis_j,
    )
    .map_err(|error| super::error::parked("deformation grid (0064,0005)", error))?;
    let offsets = grid.offsets_mm.clone();
    Ok(Transform::Deformable(Box::new(Deformation::new(pre, post, nodes, offsets)?)))
}
