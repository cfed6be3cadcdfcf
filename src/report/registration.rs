//! Spatial Registration (PS3.3 A.39.1, C.20.2) of the spaces that were registered for a result.

use super::modules;
use super::{
    CycleResult, Identity, Kind, RegisteredMotion, RegisteredSpace, ReportError, ReportOptions,
};
use crate::dicom::Uid;
use crate::dicom::write::{Code, DataSet, DicomFile};
use dicom_core::VR;
use dicom_dictionary_std::tags;

/// How the matrices were found (CID 7100).
pub(super) static BY_CONTENT: Code = Code::new("125024", "DCM", "Image Content-based Alignment");

const IDENTITY: [[f64; 4]; 4] =
    [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];

/// The REG object of a result; none where nothing was registered. All spaces have one registered frame.
pub fn write(
    result: &CycleResult,
    options: &ReportOptions,
) -> Result<Option<DicomFile>, ReportError> {
    let is_matrix =
        |space: &&RegisteredSpace| !matches!(space.motion, RegisteredMotion::Deformable { .. });
    let mut spaces = result.registrations.iter().filter(is_matrix).peekable();
    let Some(first) = spaces.peek().copied() else { return Ok(None) };
    let identity = Identity::of(result, options);
    // The first item says by identity which space is the fixed one, as most readers expect.
    let fixed = item(Some(&first.registered_frame), Vec::new(), &IDENTITY, "RIGID", None);
    let moving = spaces.map(|space| {
        let kind = if space.motion == RegisteredMotion::Rigid { "RIGID" } else { "AFFINE" };
        let (frame, matrix) = (space.moving_frame.as_ref(), &space.moving_to_registered);
        item(frame, images(result, space), matrix, kind, Some(comment(space)))
    });
    let set = content(result, options, &identity, Kind::Registration, first)
        .sequence(tags::REGISTRATION_SEQUENCE, std::iter::once(fixed).chain(moving).collect());
    Ok(Some(set.into_file()?))
}

/// The images of a space, as references.
pub(super) fn images(result: &CycleResult, space: &RegisteredSpace) -> Vec<DataSet> {
    modules::images(result)
        .into_iter()
        .filter(|input| space.moving_images.contains(&input.sop_instance))
        .map(|input| modules::reference(input).item())
        .collect()
}

/// What stands around the items of both kinds of registration.
pub(super) fn content(
    result: &CycleResult,
    options: &ReportOptions,
    identity: &Identity,
    kind: Kind,
    first: &RegisteredSpace,
) -> DataSet {
    modules::shared(result, options, identity, kind)
        .with(modules::input_references(result, identity, &[]))
        .text(tags::MODALITY, VR::CS, "REG")
        // The body is no paired part; General Series asks for the attribute all the same (2C).
        .empty(tags::LATERALITY, VR::CS)
        .uid(tags::FRAME_OF_REFERENCE_UID, &first.registered_frame)
        .empty(tags::POSITION_REFERENCE_INDICATOR, VR::LO)
        .text(tags::CONTENT_LABEL, VR::CS, "REGISTRATION")
        .text(tags::CONTENT_DESCRIPTION, VR::LO, "Registration of the time points")
        .empty(tags::CONTENT_CREATOR_NAME, VR::PN)
}

/// Has to fit into the 64 characters of an LO.
pub(super) fn comment(space: &RegisteredSpace) -> String {
    let RegisteredSpace { images, metric, score, overlap, motion, .. } = space;
    format!("{images}: {metric} {score:.3}, overlap {overlap:.2}{}", motion.jacobian())
}

fn item(
    frame: Option<&Uid>,
    images: Vec<DataSet>,
    matrix: &[[f64; 4]; 4],
    kind: &str,
    comment: Option<String>,
) -> DataSet {
    // Type 2: how an identity was found needs no code.
    let registration = match comment {
        None => DataSet::new().sequence(tags::REGISTRATION_TYPE_CODE_SEQUENCE, Vec::new()),
        Some(comment) => DataSet::new()
            .code(tags::REGISTRATION_TYPE_CODE_SEQUENCE, &BY_CONTENT)
            .text(tags::FRAME_OF_REFERENCE_TRANSFORMATION_COMMENT, VR::LO, &comment),
    };
    let registration = registration.sequence(tags::MATRIX_SEQUENCE, vec![typed(matrix, kind)]);
    let item = DataSet::new()
        .with_some(frame, |set, frame| set.uid(tags::FRAME_OF_REFERENCE_UID, frame))
        .sequence(tags::MATRIX_REGISTRATION_SEQUENCE, vec![registration]);
    if images.is_empty() { item } else { item.sequence(tags::REFERENCED_IMAGE_SEQUENCE, images) }
}

/// A matrix with its type.
pub(super) fn typed(matrix: &[[f64; 4]; 4], kind: &str) -> DataSet {
    let values: Vec<f64> = matrix.iter().flatten().copied().collect();
    DataSet::new().decimals(tags::FRAME_OF_REFERENCE_TRANSFORMATION_MATRIX, &values).text(
        tags::FRAME_OF_REFERENCE_TRANSFORMATION_MATRIX_TYPE,
        VR::CS,
        kind,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register::Metric;

    #[test]
    fn a_comment_fits_into_its_attribute_with_every_figure() {
        for (images, metric) in [
            ("CT to CT", Metric::Correlation),
            ("emission to emission", Metric::Correlation),
            ("emission to CT", Metric::MutualInformation),
            ("CT to emission", Metric::MutualInformation),
        ] {
            let comment = comment(&RegisteredSpace {
                registered_frame: Uid::parse("1.2.3").unwrap(),
                moving_frame: None,
                moving_images: Vec::new(),
                moving_to_registered: [[0.0; 4]; 4],
                motion: RegisteredMotion::Rigid,
                images,
                metric: metric.name(),
                score: 1.0,
                overlap: 1.0,
            });
            assert!(comment.len() <= 64 && comment.ends_with("1.000, overlap 1.00"), "{comment}");
        }
    }
}
