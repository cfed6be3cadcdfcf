//! Deformable Spatial Registration (PS3.3 A.39.2, C.20.3) of the spaces that were deformed for a result.
//!
//! The other way round than a Spatial Registration: it takes registered points to points of the source,
//! x_source = post · (x_registered + Δ(x_registered)), and so says where to look.

use super::registration::{BY_CONTENT, comment, content, images, typed};
use super::{
    CycleResult, Identity, Kind, RegisteredMotion, RegisteredSpace, ReportError, ReportOptions,
};
use crate::dicom::write::{DataSet, DicomFile};
use crate::volume::transform::{Affine, Deformation};
use dicom_core::VR;
use dicom_dictionary_std::tags;

/// The object of a result; none where nothing was deformed. All spaces have one registered frame.
pub fn write(
    result: &CycleResult,
    options: &ReportOptions,
) -> Result<Option<DicomFile>, ReportError> {
    let spaces: Vec<_> = result.registrations.iter().filter_map(deformed).collect();
    let Some((first, _)) = spaces.first() else { return Ok(None) };
    let identity = Identity::of(result, options);
    let items = spaces.iter().map(|(space, map)| item(result, space, map)).collect();
    let set = content(result, options, &identity, Kind::DeformableRegistration, first)
        .sequence(tags::DEFORMABLE_REGISTRATION_SEQUENCE, items);
    Ok(Some(set.into_file()?))
}

fn deformed(space: &RegisteredSpace) -> Option<(&RegisteredSpace, &Deformation)> {
    match &space.motion {
        RegisteredMotion::Deformable { map, .. } => Some((space, map)),
        RegisteredMotion::Rigid | RegisteredMotion::Affine => None,
    }
}

fn item(result: &CycleResult, space: &RegisteredSpace, map: &Deformation) -> DataSet {
    let matrix = |affine: &Affine| vec![typed(&affine.matrix(), kind(affine))];
    let moved = |affine: &Affine| *affine != Affine::IDENTITY;
    let images = images(result, space);
    DataSet::new()
        .with_some(space.moving_frame.as_ref(), |set, frame| {
            set.uid(tags::SOURCE_FRAME_OF_REFERENCE_UID, frame)
        })
        .with_some(Some(images).filter(|images| !images.is_empty()), |set, images| {
            set.sequence(tags::REFERENCED_IMAGE_SEQUENCE, images)
        })
        .with_some(Some(map.pre()).filter(|m| moved(m)), |set, pre| {
            set.sequence(tags::PRE_DEFORMATION_MATRIX_REGISTRATION_SEQUENCE, matrix(pre))
        })
        .with_some(Some(map.post()).filter(|m| moved(m)), |set, post| {
            set.sequence(tags::POST_DEFORMATION_MATRIX_REGISTRATION_SEQUENCE, matrix(post))
        })
        .sequence(tags::DEFORMABLE_REGISTRATION_GRID_SEQUENCE, vec![grid(map)])
        .code(tags::REGISTRATION_TYPE_CODE_SEQUENCE, &BY_CONTENT)
        .text(tags::FRAME_OF_REFERENCE_TRANSFORMATION_COMMENT, VR::LO, &comment(space))
}

fn kind(affine: &Affine) -> &'static str {
    if Affine::rigid(affine.matrix()).is_ok() { "RIGID" } else { "AFFINE" }
}

fn grid(map: &Deformation) -> DataSet {
    let nodes = map.nodes();
    let [slices, rows, columns] = nodes.shape().map(|n| n as u32);
    let [i, j, _] = nodes.direction();
    DataSet::new()
        .decimals(tags::IMAGE_POSITION_PATIENT, &nodes.origin_lps_mm())
        .decimals(tags::IMAGE_ORIENTATION_PATIENT, &[i, j].concat())
        .unsigned_long(tags::GRID_DIMENSIONS, &[columns, rows, slices])
        .double(tags::GRID_RESOLUTION, &nodes.spacing_mm())
        .floats(tags::VECTOR_GRID_DATA, map.displacement_mm().as_flattened().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::Uid;

    #[test]
    fn its_comment_fits_into_its_attribute_with_every_figure() {
        let nodes = crate::volume::Grid::axial([2; 3], [4.0; 3], [0.0; 3]).unwrap();
        let map = Deformation::new(Affine::IDENTITY, Affine::IDENTITY, nodes, vec![[0.0; 3]; 8]);
        let comment = comment(&RegisteredSpace {
            registered_frame: Uid::parse("1.2.3").unwrap(),
            moving_frame: None,
            moving_images: Vec::new(),
            moving_to_registered: Affine::IDENTITY.matrix(),
            motion: RegisteredMotion::Deformable {
                map: map.unwrap().into(),
                jacobian: [0.31, 3.19],
            },
            images: "CT to CT",
            metric: "correlation",
            score: 1.0,
            overlap: 1.0,
        });
        assert!(comment.len() <= 64 && comment.ends_with("Jacobian 0.31 to 3.19"), "{comment}");
    }
}
