//! RT Structure Set (PS3.3 A.19, C.8.8.5, C.8.8.6, C.8.8.8).

use super::{Code, DataSet, InstanceReference};
use crate::dicom::Uid;
use dicom_core::VR;
use dicom_dictionary_std::tags;
use jiff::ZonedDateTime;

/// Detached Study Management, which planning systems want as the class of the referenced study.
const DETACHED_STUDY: &str = "1.2.840.10008.3.1.2.3.1";

/// A closed planar contour in patient coordinates.
#[derive(Debug, Clone)]
pub struct Contour {
    /// At least three points, mm; the last is not the first again.
    pub points_lps_mm: Vec<[f64; 3]>,
    /// The image whose plane the contour lies in.
    pub image: Option<InstanceReference>,
}

/// One region of interest.
#[derive(Debug, Clone)]
pub struct Roi {
    pub number: i32,
    pub name: String,
    /// RT ROI Interpreted Type: `ORGAN`, `GTV`, ...
    pub interpreted_type: &'static str,
    /// `AUTOMATIC`, `SEMIAUTOMATIC` or `MANUAL`.
    pub algorithm: &'static str,
    /// How it was made, where that is to be said.
    pub description: Option<String>,
    pub colour: [u8; 3],
    pub identification: Option<Code>,
    /// cm³.
    pub volume_ml: f64,
    pub contours: Vec<Contour>,
}

/// Regions in one frame of reference.
#[derive(Debug, Clone)]
pub struct StructureSet<'a> {
    pub label: &'a str,
    pub at: &'a ZonedDateTime,
    pub frame_of_reference: &'a Uid,
    /// Images of ONE series that the contours were drawn on.
    pub images: &'a [InstanceReference],
    pub rois: &'a [Roi],
}

impl StructureSet<'_> {
    /// Structure Set, ROI Contour, RT ROI Observations and Approval modules.
    pub fn modules(&self) -> DataSet {
        DataSet::new()
            .text(tags::MODALITY, VR::CS, "RTSTRUCT")
            .empty(tags::OPERATORS_NAME, VR::PN)
            .uid(tags::FRAME_OF_REFERENCE_UID, self.frame_of_reference)
            .empty(tags::POSITION_REFERENCE_INDICATOR, VR::LO)
            .text(tags::STRUCTURE_SET_LABEL, VR::SH, self.label)
            .text(tags::STRUCTURE_SET_DATE, VR::DA, &self.at.strftime("%Y%m%d").to_string())
            .text(tags::STRUCTURE_SET_TIME, VR::TM, &self.at.strftime("%H%M%S").to_string())
            .sequence(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, vec![self.reference()])
            .sequence(
                tags::STRUCTURE_SET_ROI_SEQUENCE,
                self.rois.iter().map(|roi| self.roi_item(roi)).collect(),
            )
            .sequence(tags::ROI_CONTOUR_SEQUENCE, self.rois.iter().map(contour_item).collect())
            .sequence(
                tags::RTROI_OBSERVATIONS_SEQUENCE,
                self.rois.iter().map(observation_item).collect(),
            )
            .text(tags::APPROVAL_STATUS, VR::CS, "UNAPPROVED")
    }

    fn reference(&self) -> DataSet {
        let item = DataSet::new().uid(tags::FRAME_OF_REFERENCE_UID, self.frame_of_reference);
        let Some(first) = self.images.first() else { return item };
        let series = DataSet::new().uid(tags::SERIES_INSTANCE_UID, &first.series).sequence(
            tags::CONTOUR_IMAGE_SEQUENCE,
            self.images.iter().map(InstanceReference::item).collect(),
        );
        let study = DataSet::new()
            .uid_text(tags::REFERENCED_SOP_CLASS_UID, DETACHED_STUDY)
            .uid(tags::REFERENCED_SOP_INSTANCE_UID, &first.study)
            .sequence(tags::RT_REFERENCED_SERIES_SEQUENCE, vec![series]);
        item.sequence(tags::RT_REFERENCED_STUDY_SEQUENCE, vec![study])
    }

    fn roi_item(&self, roi: &Roi) -> DataSet {
        DataSet::new()
            .integer(tags::ROI_NUMBER, roi.number.into())
            .uid(tags::REFERENCED_FRAME_OF_REFERENCE_UID, self.frame_of_reference)
            .text(tags::ROI_NAME, VR::LO, &roi.name)
            .decimals(tags::ROI_VOLUME, &[roi.volume_ml])
            .text(tags::ROI_GENERATION_ALGORITHM, VR::CS, roi.algorithm)
            .with_some(roi.description.as_ref(), |item, text| {
                item.text(tags::ROI_DESCRIPTION, VR::ST, text)
            })
    }
}

fn contour_item(roi: &Roi) -> DataSet {
    let contour = |contour: &Contour| {
        let coordinates = contour.points_lps_mm.iter().flatten();
        DataSet::new()
            .with_some(contour.image.as_ref(), |item, image| {
                item.sequence(tags::CONTOUR_IMAGE_SEQUENCE, vec![image.item()])
            })
            .text(tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, "CLOSED_PLANAR")
            .integer(tags::NUMBER_OF_CONTOUR_POINTS, contour.points_lps_mm.len() as i64)
            .decimal_texts(tags::CONTOUR_DATA, coordinates.map(millimetres).collect())
    };
    let colour = roi.colour.map(|part| part.to_string());
    let item = DataSet::new().integer(tags::REFERENCED_ROI_NUMBER, roi.number.into()).texts(
        tags::ROI_DISPLAY_COLOR,
        VR::IS,
        &colour.each_ref().map(String::as_str),
    );
    // An ROI without contours is legal: the sequence is then absent (type 3).
    if roi.contours.is_empty() {
        return item;
    }
    item.sequence(tags::CONTOUR_SEQUENCE, roi.contours.iter().map(contour).collect())
}

fn observation_item(roi: &Roi) -> DataSet {
    DataSet::new()
        .integer(tags::OBSERVATION_NUMBER, roi.number.into())
        .integer(tags::REFERENCED_ROI_NUMBER, roi.number.into())
        .text(tags::RTROI_INTERPRETED_TYPE, VR::CS, roi.interpreted_type)
        .empty(tags::ROI_INTERPRETER, VR::PN)
        .with_some(roi.identification.as_ref(), |item, code| {
            item.code(tags::RTROI_IDENTIFICATION_CODE_SEQUENCE, code)
        })
}

/// A thousandth of a millimetre is finer than any contour, and keeps ContourData short.
fn millimetres(value: &f64) -> String {
    let text = format!("{value:.3}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" || short.is_empty() { "0".into() } else { short.to_owned() }
}
