//! RT Structure Set: regions as contours in patient space (PS3.3 A.19, C.8.8.5, C.8.8.6, C.8.8.8).

use super::attribute::{
    Code, Object, code, first_item, items, missing, numbers, text, uid, unsigned, whole_text,
};
use super::error::ReadError;
use super::instance::Instance;
use crate::dicom::{PatientIdentity, Uid};
use crate::report::{InputInstance, StudyIdentity};
use crate::segment::{Contour, ContourKind};
use dicom_dictionary_std::{tags, uids};
use std::collections::BTreeMap;
use std::path::Path;

/// One region.
#[derive(Debug, Clone, PartialEq)]
pub struct Roi {
    /// ROI Number (3006,0022), unique in its structure set; names need not be.
    pub number: u32,
    pub name: String,
    /// RT ROI Interpreted Type (3006,00A4): `ORGAN`, `GTV`, `EXTERNAL` ...
    pub interpreted_type: Option<String>,
    /// RT ROI Identification Code Sequence (3006,0086).
    pub anatomy: Option<Code>,
    pub frame_of_reference: Option<Uid>,
    pub contours: Vec<Contour>,
    /// SOP instances that the contours were drawn on.
    pub images: Vec<Uid>,
    /// Why the region must not be used as it stands; empty for a sound one.
    pub rejected: Vec<String>,
}

/// An RT Structure Set instance.
#[derive(Debug, Clone, PartialEq)]
pub struct StructureSet {
    pub sop_instance: Uid,
    pub label: String,
    pub identity: PatientIdentity,
    pub study: StudyIdentity,
    pub source: InputInstance,
    /// Series that the regions were drawn on.
    pub referenced_series: Vec<Uid>,
    /// In ascending order of ROI Number.
    pub rois: Vec<Roi>,
}

/// Reads an RT Structure Set. A region with a fault is listed with the reason, so that a person
/// sees it; only what concerns the whole object is an error.
///
/// # Errors
/// Another SOP class; two regions of one number; a region without number.
pub fn structure_set(path: &Path) -> Result<StructureSet, ReadError> {
    let instance = Instance::open(path)?;
    if instance.sop_class.as_str() != uids::RT_STRUCTURE_SET_STORAGE {
        return Err(ReadError::WrongKind {
            found: format!("an instance of SOP class {}", instance.sop_class),
            wanted: "an RT Structure Set is wanted",
        });
    }
    let root = instance.data_set();
    let mut rois = BTreeMap::new();
    for item in items(root, tags::STRUCTURE_SET_ROI_SEQUENCE) {
        let roi = declared(item)?;
        let number = roi.number;
        if rois.insert(number, roi).is_some() {
            return Err(ReadError::Contradiction(format!("two regions have ROI Number {number}")));
        }
    }
    for item in items(root, tags::ROI_CONTOUR_SEQUENCE) {
        let number = referenced_number(item)?;
        if let Some(roi) = rois.get_mut(&number) {
            add_contours(item, roi)?;
        }
    }
    for item in items(root, tags::RTROI_OBSERVATIONS_SEQUENCE) {
        let number = referenced_number(item)?;
        if let Some(roi) = rois.get_mut(&number) {
            roi.interpreted_type = text(item, tags::RTROI_INTERPRETED_TYPE);
            roi.anatomy = code(item, tags::RTROI_IDENTIFICATION_CODE_SEQUENCE);
        }
    }
    rois.values_mut().for_each(judge);
    Ok(StructureSet {
        sop_instance: instance.source.sop_instance.clone(),
        label: whole_text(root, tags::STRUCTURE_SET_LABEL),
        identity: instance.identity(),
        study: instance.study(),
        referenced_series: referenced_series(root)?,
        source: instance.source,
        rois: rois.into_values().collect(),
    })
}

fn declared(item: &Object) -> Result<Roi, ReadError> {
    let number = unsigned(item, tags::ROI_NUMBER)?
        .ok_or_else(|| missing(tags::ROI_NUMBER, "the region cannot be told from others"))?;
    Ok(Roi {
        number,
        name: whole_text(item, tags::ROI_NAME),
        interpreted_type: None,
        anatomy: None,
        frame_of_reference: uid(item, tags::REFERENCED_FRAME_OF_REFERENCE_UID)?,
        contours: Vec::new(),
        images: Vec::new(),
        rejected: Vec::new(),
    })
}

fn referenced_number(item: &Object) -> Result<u32, ReadError> {
    unsigned(item, tags::REFERENCED_ROI_NUMBER)?
        .ok_or_else(|| missing(tags::REFERENCED_ROI_NUMBER, "contours belong to no region"))
}

fn add_contours(item: &Object, roi: &mut Roi) -> Result<(), ReadError> {
    for (n, contour) in items(item, tags::CONTOUR_SEQUENCE).iter().enumerate() {
        match one_contour(contour) {
            Ok(contour) => roi.contours.push(contour),
            Err(reason) => roi.rejected.push(format!("contour {}: {reason}", n + 1)),
        }
        for image in items(contour, tags::CONTOUR_IMAGE_SEQUENCE) {
            if let Some(image) = uid(image, tags::REFERENCED_SOP_INSTANCE_UID)?
                && !roi.images.contains(&image)
            {
                roi.images.push(image);
            }
        }
    }
    Ok(())
}

fn one_contour(item: &Object) -> Result<Contour, String> {
    let kind = match text(item, tags::CONTOUR_GEOMETRIC_TYPE).as_deref() {
        Some("CLOSED_PLANAR") => ContourKind::ClosedPlanar,
        Some("CLOSEDPLANAR_XOR") => ContourKind::ClosedPlanarXor,
        Some("POINT") => ContourKind::Point,
        Some("OPEN_PLANAR") => ContourKind::OpenPlanar,
        Some("OPEN_NONPLANAR") => ContourKind::OpenNonplanar,
        other => {
            return Err(format!(
                "Contour Geometric Type (3006,0042) {}",
                other.unwrap_or("absent")
            ));
        }
    };
    let data = numbers(item, tags::CONTOUR_DATA).map_err(|error| error.to_string())?;
    let (points, rest) = data.as_chunks::<3>();
    let declared = unsigned(item, tags::NUMBER_OF_CONTOUR_POINTS).map_err(|e| e.to_string())?;
    if !rest.is_empty() || points.is_empty() {
        return Err(format!(
            "Contour Data (3006,0050) of {} values is no list of points",
            data.len()
        ));
    }
    if declared.is_some_and(|n| n as usize != points.len()) {
        return Err("Number of Contour Points (3006,0046) is not the number of points".into());
    }
    let mut points = points.to_vec();
    let closed = matches!(kind, ContourKind::ClosedPlanar | ContourKind::ClosedPlanarXor);
    if closed && points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    if closed && points.len() < 3 {
        return Err(format!("a closed contour of {} points encloses nothing", points.len()));
    }
    Ok(Contour { kind, points_lps_mm: points })
}

/// Faults of a region as a whole.
fn judge(roi: &mut Roi) {
    let has = |kind| roi.contours.iter().any(|c| c.kind == kind);
    let mixed = has(ContourKind::ClosedPlanar) && has(ContourKind::ClosedPlanarXor);
    if mixed {
        roi.rejected.push("CLOSED_PLANAR and CLOSEDPLANAR_XOR contours are mixed".into());
    }
    if roi.contours.is_empty() && roi.rejected.is_empty() {
        roi.rejected.push("it has no contours".into());
    }
    if roi.frame_of_reference.is_none() {
        roi.rejected.push("Referenced Frame of Reference UID (3006,0024) is absent".into());
    }
}

fn referenced_series(root: &Object) -> Result<Vec<Uid>, ReadError> {
    let mut found = Vec::new();
    for frame in items(root, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE) {
        for study in items(frame, tags::RT_REFERENCED_STUDY_SEQUENCE) {
            for series in items(study, tags::RT_REFERENCED_SERIES_SEQUENCE) {
                found.extend(uid(series, tags::SERIES_INSTANCE_UID)?);
            }
        }
    }
    if let Some(series) = first_item(root, tags::REFERENCED_SERIES_SEQUENCE) {
        found.extend(uid(series, tags::SERIES_INSTANCE_UID)?);
    }
    found.dedup();
    Ok(found)
}
