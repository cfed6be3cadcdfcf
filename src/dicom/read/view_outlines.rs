//! Regions outlined on planar views: a Segmentation (PS3.3 A.51) each of whose frames names the frames that it
//! was drawn on, by Derivation Image Sequence (0008,9124).
//!
//! Views often have no position and no frame of reference: nothing here is placed by geometry. The pixels are
//! those of the view as it is stored; [`outlines_on`] brings them to a scan's raster.

mod place;

pub use place::{OutlinedRegion, outlines_on};

use super::attribute::{Code, items, malformed, missing, numbers, required_uid, text, uid};
use super::error::ReadError;
use super::frame::{self, FrameView};
use super::instance::Instance;
use super::pixels;
use super::segmentation::{self, Coding, Segment};
use crate::dicom::{PatientIdentity, Uid};
use crate::report::{InputInstance, StudyIdentity};
use dicom_dictionary_std::{tags, uids};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A pixel belongs to a region from this part or probability upward: outlines on views have no parts.
const BELONGS_FROM: f64 = 0.5;

/// Most segments of an object: nobody outlines as many regions on views, and each becomes two masks.
const SEGMENT_LIMIT: usize = 256;

/// A segmentation instance that was drawn on planar views.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewOutlines {
    pub sop_instance: Uid,
    pub identity: PatientIdentity,
    pub study: StudyIdentity,
    pub source: InputInstance,
    /// Series that was segmented.
    pub referenced_series: Vec<Uid>,
    /// Rows and columns of every frame.
    pub size: (usize, usize),
    /// In ascending order of Segment Number.
    pub segments: Vec<OutlinedSegment>,
}

/// One segment; its attributes are those of a volume's [`Segment`].
#[derive(Debug, Clone, PartialEq)]
pub struct OutlinedSegment {
    pub number: u16,
    pub label: String,
    pub category: Option<Code>,
    pub anatomy: Option<Code>,
    pub laterality: Option<Code>,
    pub tracking: Option<Uid>,
    /// Frames in which it has a pixel.
    pub frames: Vec<OutlinedFrame>,
}

/// A segment's pixels in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlinedFrame {
    pub drawn_on: Vec<SourceFrame>,
    /// Places of its pixels in the frame as stored, row by row, ascending.
    pub pixels: Vec<u32>,
}

/// A frame that was drawn on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFrame {
    pub instance: Uid,
    /// From 1; without a Referenced Frame Number the reference is to all frames of the instance (PS3.3
    /// table 10-3).
    pub frame: Option<u32>,
}

/// Reads a segmentation whose frames were drawn on planar views.
///
/// # Errors
/// Another SOP class; a frame that names no NM image or whose pixels are not the view's; two segments under
/// one label.
pub fn view_outlines(path: &Path) -> Result<ViewOutlines, ReadError> {
    let instance = Instance::open(path)?;
    let root = instance.data_set();
    let coding = segmentation::coding(&instance)?;
    let pixels = pixels::decode(&instance.object)?;
    let format = pixels.format();
    let views = frame::frames(root, format.frames)?;
    let described = segmentation::declared(root, coding)?;
    check_labels(described.values())?;
    let mut segments: BTreeMap<u16, OutlinedSegment> =
        described.into_iter().map(|(number, segment)| (number, outlined(segment))).collect();
    for (n, view) in views.iter().enumerate() {
        let drawn_on = drawn_on(view, n + 1)?;
        let mut filled: BTreeMap<u16, Vec<u32>> = BTreeMap::new();
        if coding == Coding::LabelMap {
            segmentation::for_each_label(&pixels, n, |at, number| {
                filled.entry(number).or_default().push(at as u32);
            });
        } else {
            let own = filled.entry(segmentation::segment_of(view)?).or_default();
            segmentation::for_each_fraction(&pixels, n, coding, |at, fraction| {
                if fraction >= BELONGS_FROM {
                    own.push(at as u32);
                }
            })?;
        }
        for (number, pixels) in filled {
            let segment =
                segments.get_mut(&number).ok_or_else(|| segmentation::undescribed(number))?;
            // Some writers store a frame for every view, outlined or not.
            if !pixels.is_empty() {
                segment.frames.push(OutlinedFrame { drawn_on: drawn_on.clone(), pixels });
            }
        }
    }
    Ok(ViewOutlines {
        sop_instance: instance.source.sop_instance.clone(),
        identity: instance.identity(),
        study: instance.study(),
        referenced_series: segmentation::referenced_series(root)?,
        size: (format.rows as usize, format.columns as usize),
        segments: segments.into_values().collect(),
        source: instance.source,
    })
}

/// Instances that the frames of a segmentation were drawn on, of whatever kind: what tells outlines on views
/// from volumes.
///
/// # Errors
/// A file that is no instance; a reference that is no UID.
pub fn segmented_instances(path: &Path) -> Result<BTreeSet<Uid>, ReadError> {
    let instance = Instance::open(path)?;
    let root = instance.data_set();
    let mut found = BTreeSet::new();
    let levels =
        [tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE];
    let groups = levels.into_iter().flat_map(|level| items(root, level));
    let derivations = groups.flat_map(|group| items(group, tags::DERIVATION_IMAGE_SEQUENCE));
    for source in derivations.flat_map(|item| items(item, tags::SOURCE_IMAGE_SEQUENCE)) {
        found.extend(uid(source, tags::REFERENCED_SOP_INSTANCE_UID)?);
    }
    Ok(found)
}

/// Regions are known by their labels, of which no two may be alike.
fn check_labels<'a>(segments: impl ExactSizeIterator<Item = &'a Segment>) -> Result<(), ReadError> {
    if segments.len() > SEGMENT_LIMIT {
        let fault = format!("it has {} items, more than {SEGMENT_LIMIT}", segments.len());
        return Err(malformed(tags::SEGMENT_SEQUENCE, fault));
    }
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for segment in segments {
        if segment.label.is_empty() {
            return Err(missing(tags::SEGMENT_LABEL, "a region has no name"));
        }
        if !seen.insert(&segment.label) {
            return Err(ReadError::Contradiction(format!(
                "two segments are labelled {}; rename one, or outline both views in one segment",
                segment.label
            )));
        }
    }
    Ok(())
}

fn outlined(segment: Segment) -> OutlinedSegment {
    let Segment { number, label, category, anatomy, laterality, tracking, occupancy: _ } = segment;
    OutlinedSegment { number, label, category, anatomy, laterality, tracking, frames: Vec::new() }
}

/// The NM frames that a frame (counted from 1) was drawn on.
fn drawn_on(view: &FrameView, number_of_frame: usize) -> Result<Vec<SourceFrame>, ReadError> {
    let mut found = Vec::new();
    let derivations = view.groups(tags::DERIVATION_IMAGE_SEQUENCE).iter();
    for source in derivations.flat_map(|item| items(item, tags::SOURCE_IMAGE_SEQUENCE)) {
        let class = uid(source, tags::REFERENCED_SOP_CLASS_UID)?;
        if class.is_none_or(|class| class.as_str() != uids::NUCLEAR_MEDICINE_IMAGE_STORAGE) {
            continue;
        }
        if let Some(other) =
            text(source, tags::SPATIAL_LOCATIONS_PRESERVED).filter(|term| term != "YES")
        {
            return Err(malformed(
                tags::SPATIAL_LOCATIONS_PRESERVED,
                format!(
                    "it is {other} in frame {number_of_frame}, whose pixels are not the view's; draw \
                     on the view as it is stored"
                ),
            ));
        }
        let instance = required_uid(source, tags::REFERENCED_SOP_INSTANCE_UID)?;
        let tag = tags::REFERENCED_FRAME_NUMBER;
        let frames = numbers(source, tag)?;
        if frames.is_empty() {
            found.push(SourceFrame { instance, frame: None });
            continue;
        }
        for frame in frames {
            if frame.fract() != 0.0 || !(1.0..=f64::from(u32::MAX)).contains(&frame) {
                return Err(malformed(tag, "frames are numbered from 1"));
            }
            found.push(SourceFrame { instance: instance.clone(), frame: Some(frame as u32) });
        }
    }
    if found.is_empty() {
        return Err(malformed(
            tags::DERIVATION_IMAGE_SEQUENCE,
            format!(
                "frame {number_of_frame} does not name the view (Nuclear Medicine Image and Referenced \
                 Frame Number) that it was drawn on; export the segmentation with its source images"
            ),
        ));
    }
    Ok(found)
}
