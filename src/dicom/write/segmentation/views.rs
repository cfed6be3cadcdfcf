//! Segmentation drawn on planar views, which lie nowhere in space: every frame names the view's frame that it was
//! drawn on in place of a position (PS3.3 A.51: Derivation Image without Plane Position).

use super::{
    Frame, Segment, SegmentationError, derivation, dimension, dimensions, frames, image_attributes,
    packed, segment_dimension, segment_item,
};
use crate::dicom::Uid;
use crate::dicom::write::{DataSet, InstanceReference};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use std::collections::BTreeSet;

/// One view that segments lie on.
#[derive(Debug, Clone)]
pub struct SegmentedView {
    pub instance: InstanceReference,
    /// Referenced Frame Number, 1-based.
    pub frame: i64,
    /// Frame Label: `ANTERIOR`.
    pub label: &'static str,
}

/// Segments on views of one size. A segment's voxels are `[view, row, column]`, as the views are stored.
#[derive(Debug, Clone)]
pub struct ViewSegmentation<'a> {
    pub rows: usize,
    pub columns: usize,
    pub views: &'a [SegmentedView],
    pub segments: &'a [Segment],
    pub dimension_organization: Uid,
    /// Content Label: upper case, digits, underscore.
    pub label: &'a str,
    pub description: &'a str,
}

impl ViewSegmentation<'_> {
    /// All modules from Image Pixel to Pixel Data; SOP Common, patient, study, series, equipment and
    /// references are the caller's.
    pub fn modules(&self) -> Result<DataSet, SegmentationError> {
        let shape = [self.views.len(), self.rows, self.columns];
        let frames = frames(self.segments, shape)?;
        let edge = |n: usize| u16::try_from(n).map_err(|_| SegmentationError::TooLarge(shape));
        let organization = &self.dimension_organization;
        let view =
            dimension(organization, tags::FRAME_LABEL, tags::FRAME_CONTENT_SEQUENCE, "Frame Label");
        let segments = self.segments.iter().zip(1..).map(|(s, number)| segment_item(s, number));
        Ok(DataSet::new()
            .unsigned(tags::ROWS, &[edge(self.rows)?])
            .unsigned(tags::COLUMNS, &[edge(self.columns)?])
            // Neither positions nor, of views of both sides, one orientation.
            .empty(tags::PATIENT_ORIENTATION, VR::CS)
            .with(image_attributes(self.label, self.description))
            .integer(tags::NUMBER_OF_FRAMES, frames.len() as i64)
            .sequence(tags::SEGMENT_SEQUENCE, segments.collect())
            .with(dimensions(organization, vec![segment_dimension(organization), view]))
            .sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![DataSet::new()])
            .sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, self.frame_groups(&frames))
            .bytes(tags::PIXEL_DATA, VR::OB, packed(&frames, shape)))
    }

    fn frame_groups(&self, frames: &[Frame]) -> Vec<DataSet> {
        // A text's index is its place in the order of the texts.
        let labels: BTreeSet<&str> = self.views.iter().map(|view| view.label).collect();
        let item = |frame: &Frame| {
            let view = &self.views[frame.slice];
            let place = labels.iter().zip(1u32..).find(|(label, _)| **label == view.label);
            let index = [u32::from(frame.segment), place.map_or(1, |(_, n)| n)];
            let content = DataSet::new()
                .text(tags::FRAME_LABEL, VR::LO, view.label)
                .unsigned_long(tags::DIMENSION_INDEX_VALUES, &index);
            let segment =
                DataSet::new().unsigned(tags::REFERENCED_SEGMENT_NUMBER, &[frame.segment]);
            let source = view
                .instance
                .item()
                .integer(tags::REFERENCED_FRAME_NUMBER, view.frame)
                .text(tags::SPATIAL_LOCATIONS_PRESERVED, VR::CS, "YES");
            DataSet::new()
                .sequence(
                    tags::DERIVATION_IMAGE_SEQUENCE,
                    vec![derivation(std::iter::once(source))],
                )
                .sequence(tags::FRAME_CONTENT_SEQUENCE, vec![content])
                .sequence(tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![segment])
        };
        frames.iter().map(item).collect()
    }
}
