//! Which objects share a space, and what maps one space into another: frames of reference and
//! spatial registrations.

use super::PipelineError;
use super::alignment::Alignment;
use super::inputs::Inputs;
use crate::dicom::Uid;
use crate::dicom::read::{Ct, MatrixKind, Registration, Scan};
use crate::quantity::Warning;
use crate::register;
use crate::volume::Grid;
use crate::volume::transform::{Affine, Deformation, Transform};
use std::sync::Arc;

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
    pub fn of<I>(scan: &Scan<I>) -> Self {
        Self {
            frame: scan.frame_of_reference.clone(),
            series: vec![scan.series.clone()],
            images: scan.sources.iter().map(|s| s.sop_instance.clone()).collect(),
        }
    }

    pub fn of_ct(ct: &Ct) -> Self {
        Self {
            frame: ct.frame_of_reference.clone(),
            series: vec![ct.series.clone()],
            images: ct.sources.iter().map(|s| s.sop_instance.clone()).collect(),
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
    Ok(aligned(inputs, to).zip(aligned(inputs, from)).map(|(m_to, m_from)| {
        // x_registered = M_to · x_to = M_from · x_from
        m_to.then(m_from.inverse())
    }))
}

/// What takes a space's points to the frame that all computed registrations have in common.
fn aligned(inputs: &Inputs, space: &Space) -> Option<Transform> {
    let registered = Space {
        frame: Some(inputs.alignments.first()?.registered_frame.clone()),
        ..Space::default()
    };
    if space.is(&registered) {
        return Some(Transform::Identity);
    }
    let found = inputs.alignments.iter().find(|alignment| space.is(&alignment.moving));
    found.map(Alignment::moving_to_registered)
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
    Ok(Transform::Deformable(Arc::new(Deformation::new(pre, post, nodes, offsets)?)))
}

/// Received deformations must not fold; what stretches more than tissue does is said.
///
/// # Errors
/// Two points of the registered frame that become one in the source.
pub fn check_deformations(inputs: &Inputs) -> Result<Vec<Warning>, PipelineError> {
    let mut warnings = Vec::new();
    for registration in &inputs.registrations {
        for deformation in &registration.deformations {
            let Transform::Deformable(field) = deform(deformation)? else { continue };
            let [least, most] = field.jacobian_range();
            let bounds = &register::constants().jacobian_bounds.value;
            let named = format!(
                "the Jacobian determinant of deformable registration {} runs from {least:.3} to {most:.3}",
                registration.sop_instance
            );
            if least <= 0.0 {
                return Err(PipelineError::Parked(format!(
                    "{named}: it folds where the determinant is not positive; correct it, or send a rigid \
                     Spatial Registration"
                )));
            }
            if least < bounds[0] || most > bounds[1] {
                let text = format!("{named}, beyond {} to {}: look at it", bounds[0], bounds[1]);
                warnings.push(Warning::new("deformation-beyond-bounds", text));
            }
        }
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::PatientIdentity;
    use crate::dicom::read::{Deformation as ReadDeformation, MatrixTransform};
    use crate::report::InputInstance;

    const SHIFT_MM: f64 = 10.0;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    fn shift(x: f64) -> [[f64; 4]; 4] {
        [[1.0, 0.0, 0.0, x], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    }

    fn frame(text: &str) -> Space {
        Space { frame: Some(uid(text)), ..Space::default() }
    }

    /// Registered frame 1.1; what else it says is the test's.
    fn inputs(matrices: Vec<MatrixTransform>, deformations: Vec<ReadDeformation>) -> Inputs {
        let source = InputInstance {
            sop_class: uid("1.2.840.10008.5.1.4.1.1.66.1"),
            sop_instance: uid("1.9"),
            series: uid("1.8"),
            study: uid("1.7"),
            modality: "REG".into(),
            sha256: String::new(),
        };
        let registration = Registration {
            sop_instance: uid("1.9"),
            identity: PatientIdentity::default(),
            source,
            registered_frame_of_reference: uid("1.1"),
            matrices,
            deformations,
        };
        Inputs {
            emissions: Vec::new(),
            planar: Vec::new(),
            planar_points: Vec::new(),
            transmissions: Vec::new(),
            cts: Vec::new(),
            structure_sets: Vec::new(),
            segmentations: Vec::new(),
            view_outlines: Vec::new(),
            registrations: vec![registration],
            alignments: Vec::new(),
            administrations: Vec::new(),
            value_maps: Vec::new(),
        }
    }

    fn matrix(source: &str, x: f64) -> MatrixTransform {
        MatrixTransform {
            source_frame_of_reference: Some(uid(source)),
            source_images: Vec::new(),
            kind: MatrixKind::Rigid,
            matrix: shift(x),
        }
    }

    fn x_of_origin(inputs: &Inputs, to: &str, from: &str) -> Option<f64> {
        let map = map(inputs, &frame(to), &frame(from)).unwrap()?;
        Some(map.map([0.0; 3]).unwrap()[0])
    }

    #[test]
    fn a_matrix_takes_source_points_to_the_registered_frame() {
        // x_registered = M · x_source (PS3.3 C.20.2.1.1): a source point at 0 lies at 10 there, so the
        // registered grid's point 0 is found at −10 of the source.
        let inputs = inputs(vec![matrix("1.2", SHIFT_MM)], Vec::new());
        assert_eq!(x_of_origin(&inputs, "1.1", "1.2"), Some(-SHIFT_MM));
        assert_eq!(x_of_origin(&inputs, "1.2", "1.1"), Some(SHIFT_MM));
    }

    #[test]
    fn two_sources_of_one_registration_are_joined_through_it() {
        let both = vec![matrix("1.2", SHIFT_MM), matrix("1.3", 3.0)];
        assert_eq!(x_of_origin(&inputs(both, Vec::new()), "1.2", "1.3"), Some(SHIFT_MM - 3.0));
    }

    #[test]
    fn a_deformation_takes_registered_points_to_the_source() {
        // The opposite direction of a matrix (PS3.3 C.20.3.1.1).
        let deformation = ReadDeformation {
            source_frame_of_reference: Some(uid("1.2")),
            source_images: Vec::new(),
            pre: shift(SHIFT_MM),
            grid: None,
            post: shift(0.0),
        };
        let inputs = inputs(Vec::new(), vec![deformation]);
        assert_eq!(x_of_origin(&inputs, "1.1", "1.2"), Some(SHIFT_MM));
        assert_eq!(x_of_origin(&inputs, "1.2", "1.1"), Some(-SHIFT_MM));
    }

    #[test]
    fn frames_that_nothing_joins_have_no_map() {
        let inputs = inputs(vec![matrix("1.2", SHIFT_MM)], Vec::new());
        assert_eq!(x_of_origin(&inputs, "1.1", "1.4"), None);
        let nowhere = Space::default();
        assert_eq!(map(&inputs, &nowhere, &nowhere).unwrap(), None);
    }
}
