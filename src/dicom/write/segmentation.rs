//! Segmentation, BINARY (PS3.3 A.51, C.8.20): what both the results and the digital patient write.

mod views;

pub use views::{SegmentedView, ViewSegmentation};

use super::{Code, DataSet, InstanceReference, geometry};
use crate::dicom::Uid;
use crate::volume::Grid;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use std::collections::BTreeSet;

/// One segment; its number is its place in the list, 1-based.
#[derive(Debug, Clone)]
pub struct Segment {
    pub label: String,
    pub description: Option<String>,
    pub category: Code,
    pub property: Code,
    /// Laterality.
    pub modifier: Option<Code>,
    /// What lets the same region be followed over time points and cycles.
    pub tracking_id: String,
    pub tracking_uid: Uid,
    /// `AUTOMATIC`, `SEMIAUTOMATIC` or `MANUAL`.
    pub algorithm_type: &'static str,
    pub algorithm_name: String,
    /// Linear indices of the voxels that belong, i fastest; of views `[view, row, column]`.
    pub voxels: Vec<usize>,
}

/// Segments on one grid.
#[derive(Debug, Clone)]
pub struct Segmentation<'a> {
    pub grid: &'a Grid,
    pub frame_of_reference: &'a Uid,
    pub segments: &'a [Segment],
    /// Images that were segmented.
    pub sources: &'a [InstanceReference],
    pub dimension_organization: Uid,
    /// Content Label: upper case, digits, underscore.
    pub label: &'a str,
    pub description: &'a str,
}

/// Why no segmentation can be made of it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SegmentationError {
    #[error(
        "no segment holds a voxel of the grid; check that regions and grid share a frame of reference"
    )]
    Empty,
    #[error("an image has at most 65535 rows, columns, segments; the grid is {0:?} (k, j, i)")]
    TooLarge([usize; 3]),
    #[error("segment {segment} names voxel {voxel}, beyond the grid")]
    BeyondGrid { segment: usize, voxel: usize },
}

/// One frame: segment number, slice, and the in-plane indices of its voxels.
struct Frame {
    segment: u16,
    slice: usize,
    pixels: Vec<usize>,
}

impl Segmentation<'_> {
    /// All modules from Frame of Reference to Pixel Data; SOP Common, patient, study, series and
    /// equipment are the caller's.
    pub fn modules(&self) -> Result<DataSet, SegmentationError> {
        let frames = frames(self.segments, self.grid.shape())?;
        let size = geometry::rows_and_columns(self.grid)
            .ok_or(SegmentationError::TooLarge(self.grid.shape()))?;
        let segments = self.segments.iter().zip(1..).map(|(s, number)| segment_item(s, number));
        let set = DataSet::new()
            .with(size)
            .uid(tags::FRAME_OF_REFERENCE_UID, self.frame_of_reference)
            .empty(tags::POSITION_REFERENCE_INDICATOR, VR::LO)
            .with(image_attributes(self.label, self.description))
            .integer(tags::NUMBER_OF_FRAMES, frames.len() as i64)
            .sequence(tags::SEGMENT_SEQUENCE, segments.collect())
            .with(self.dimensions())
            .sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![self.shared_groups()])
            .sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, self.frame_groups(&frames))
            .bytes(tags::PIXEL_DATA, VR::OB, packed(&frames, self.grid.shape()));
        Ok(set)
    }

    /// Segment number, then position.
    fn dimensions(&self) -> DataSet {
        let organization = &self.dimension_organization;
        let position = dimension(
            organization,
            tags::IMAGE_POSITION_PATIENT,
            tags::PLANE_POSITION_SEQUENCE,
            "Image Position Patient",
        );
        dimensions(organization, vec![segment_dimension(organization), position])
    }

    /// The sources stand once, for all frames: which source frame made which of ours is not known.
    fn shared_groups(&self) -> DataSet {
        let measures = geometry::pixel_measures(self.grid)
            .decimals(tags::SPACING_BETWEEN_SLICES, &[self.grid.spacing_mm()[2]]);
        let orientation = geometry::image_orientation(self.grid);
        let groups = DataSet::new()
            .sequence(tags::PIXEL_MEASURES_SEQUENCE, vec![measures])
            .sequence(tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation]);
        if self.sources.is_empty() {
            return groups;
        }
        let derivation = derivation(self.sources.iter().map(InstanceReference::item));
        groups.sequence(tags::DERIVATION_IMAGE_SEQUENCE, vec![derivation])
    }

    fn frame_groups(&self, frames: &[Frame]) -> Vec<DataSet> {
        let slices: BTreeSet<usize> = frames.iter().map(|f| f.slice).collect();
        let ordinals: std::collections::BTreeMap<usize, u32> =
            slices.into_iter().zip(1..).collect();
        let item = |frame: &Frame| {
            let index = [u32::from(frame.segment), ordinals[&frame.slice]];
            let content = DataSet::new().unsigned_long(tags::DIMENSION_INDEX_VALUES, &index);
            let segment =
                DataSet::new().unsigned(tags::REFERENCED_SEGMENT_NUMBER, &[frame.segment]);
            let position = geometry::image_position(self.grid, frame.slice);
            DataSet::new()
                .sequence(tags::FRAME_CONTENT_SEQUENCE, vec![content])
                .sequence(tags::PLANE_POSITION_SEQUENCE, vec![position])
                .sequence(tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![segment])
        };
        frames.iter().map(item).collect()
    }
}

/// Frames that hold anything, by segment, then slice.
fn frames(segments: &[Segment], shape: [usize; 3]) -> Result<Vec<Frame>, SegmentationError> {
    let [slices, rows, columns] = shape;
    let per_slice = rows * columns;
    let mut frames: Vec<Frame> = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let number = u16::try_from(index + 1).map_err(|_| SegmentationError::TooLarge(shape))?;
        let voxels: BTreeSet<usize> = segment.voxels.iter().copied().collect();
        for voxel in voxels {
            if voxel >= slices * per_slice {
                return Err(SegmentationError::BeyondGrid { segment: index + 1, voxel });
            }
            let (slice, pixel) = (voxel / per_slice, voxel % per_slice);
            match frames.last_mut() {
                Some(f) if f.segment == number && f.slice == slice => f.pixels.push(pixel),
                _ => frames.push(Frame { segment: number, slice, pixels: vec![pixel] }),
            }
        }
    }
    if frames.is_empty() { Err(SegmentationError::Empty) } else { Ok(frames) }
}

fn image_attributes(label: &str, description: &str) -> DataSet {
    DataSet::new()
        .text(tags::MODALITY, VR::CS, "SEG")
        .texts(tags::IMAGE_TYPE, VR::CS, &["DERIVED", "PRIMARY"])
        .text(tags::SEGMENTATION_TYPE, VR::CS, "BINARY")
        .text(tags::CONTENT_LABEL, VR::CS, label)
        .text(tags::CONTENT_DESCRIPTION, VR::LO, description)
        .empty(tags::CONTENT_CREATOR_NAME, VR::PN)
        .text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00")
        .unsigned(tags::SAMPLES_PER_PIXEL, &[1])
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
        .unsigned(tags::BITS_ALLOCATED, &[1])
        .unsigned(tags::BITS_STORED, &[1])
        .unsigned(tags::HIGH_BIT, &[0])
        .unsigned(tags::PIXEL_REPRESENTATION, &[0])
}

/// One index of the Multi-frame Dimension module.
fn dimension(organization: &Uid, pointer: Tag, group: Tag, label: &str) -> DataSet {
    DataSet::new()
        .uid(tags::DIMENSION_ORGANIZATION_UID, organization)
        .pointers(tags::DIMENSION_INDEX_POINTER, &[pointer])
        .pointers(tags::FUNCTIONAL_GROUP_POINTER, &[group])
        .text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, label)
}

fn segment_dimension(organization: &Uid) -> DataSet {
    dimension(
        organization,
        tags::REFERENCED_SEGMENT_NUMBER,
        tags::SEGMENT_IDENTIFICATION_SEQUENCE,
        "Segment Number",
    )
}

/// Multi-frame Dimension module.
fn dimensions(organization: &Uid, indices: Vec<DataSet>) -> DataSet {
    let own = DataSet::new().uid(tags::DIMENSION_ORGANIZATION_UID, organization);
    DataSet::new()
        .sequence(tags::DIMENSION_ORGANIZATION_SEQUENCE, vec![own])
        .sequence(tags::DIMENSION_INDEX_SEQUENCE, indices)
}

/// Images that were segmented, as an item of the Derivation Image Sequence.
fn derivation(sources: impl Iterator<Item = DataSet>) -> DataSet {
    static PURPOSE: Code =
        Code::new("121322", "DCM", "Source image for image processing operation");
    static DERIVATION: Code = Code::new("113076", "DCM", "Segmentation");
    let sources =
        sources.map(|source| source.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, &PURPOSE));
    DataSet::new()
        .sequence(tags::SOURCE_IMAGE_SEQUENCE, sources.collect())
        .code(tags::DERIVATION_CODE_SEQUENCE, &DERIVATION)
}

/// One bit a pixel, least significant first, frames following without alignment (PS3.5 8.2).
fn packed(frames: &[Frame], [_, rows, columns]: [usize; 3]) -> Vec<u8> {
    let per_frame = rows * columns;
    let mut bits = vec![0u8; (frames.len() * per_frame).div_ceil(8)];
    for (n, frame) in frames.iter().enumerate() {
        for pixel in &frame.pixels {
            let bit = n * per_frame + pixel;
            bits[bit / 8] |= 1 << (bit % 8);
        }
    }
    bits
}

fn segment_item(segment: &Segment, number: u16) -> DataSet {
    let property = segment.property.item().with_some(segment.modifier.as_ref(), |item, code| {
        item.code(tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE, code)
    });
    DataSet::new()
        .unsigned(tags::SEGMENT_NUMBER, &[number])
        .text(tags::SEGMENT_LABEL, VR::LO, &segment.label)
        .with_some(segment.description.as_deref(), |item, text| {
            item.text(tags::SEGMENT_DESCRIPTION, VR::ST, text)
        })
        .text(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, segment.algorithm_type)
        .text(tags::SEGMENT_ALGORITHM_NAME, VR::LO, &segment.algorithm_name)
        .code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, &segment.category)
        .sequence(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, vec![property])
        .text(tags::TRACKING_ID, VR::UT, &segment.tracking_id)
        .uid(tags::TRACKING_UID, &segment.tracking_uid)
        .unsigned(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &display_colour(number))
}

/// Colours that stay apart: hue turns by the golden angle, lightness 70 %, chroma 50, in the
/// 16-bit encoding of PS3.3 C.10.7.1.1.
fn display_colour(number: u16) -> [u16; 3] {
    const GOLDEN_ANGLE: f64 = 2.399_963_229_728_653;
    let hue = f64::from(number) * GOLDEN_ANGLE;
    let encode = |value: f64| ((value + 128.0) / 255.0 * 65_535.0) as u16;
    [(0.7 * 65_535.0) as u16, encode(50.0 * hue.cos()), encode(50.0 * hue.sin())]
}
