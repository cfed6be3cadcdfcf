//! Segmentation and Label Map Segmentation (PS3.3 A.51, C.8.20): frames in any order, empty ones
//! left out, placed by their geometry and never by their index.

use super::attribute::{
    Code, Object, code, first_item, items, missing, number, required_unsigned, text, uid, unsigned,
    whole_text,
};
use super::error::ReadError;
use super::frame::{self, FrameView};
use super::instance::Instance;
use super::pixels::{self, Pixels};
use super::stack::{self, Plane, Stack};
use crate::dicom::{PatientIdentity, Uid};
use crate::report::{InputInstance, StudyIdentity};
use crate::volume::{Grid, Occupancy};
use dicom_dictionary_std::{tags, uids};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A voxel belongs to a PROBABILITY segment from this probability upward.
const PROBABILITY_THRESHOLD: f64 = 0.5;

/// How far a frame may be from its place on the grid, in parts of the slice spacing.
const PLACE_TOLERANCE: f64 = 0.05;

/// Most slices that a segmentation may span.
const SLICE_LIMIT: f64 = 65_535.0;

/// Frames closer than this along the normal share a slice, mm.
const SAME_SLICE_MM: f64 = 1e-2;

/// One segment, on the segmentation's grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Segment Number (0062,0004).
    pub number: u16,
    /// Segment Label (0062,0005).
    pub label: String,
    /// Segmented Property Category Code Sequence (0062,0003).
    pub category: Option<Code>,
    /// Segmented Property Type Code Sequence (0062,000F), else Anatomic Region (0008,2218).
    pub anatomy: Option<Code>,
    /// Side, from the modifier of the property type or the region: `Right`, `Left`.
    pub laterality: Option<Code>,
    /// Tracking UID (0062,0021): the same lesion over time points.
    pub tracking: Option<Uid>,
    pub occupancy: Occupancy,
}

/// A segmentation instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmentation {
    pub sop_instance: Uid,
    pub identity: PatientIdentity,
    pub study: StudyIdentity,
    pub source: InputInstance,
    pub frame_of_reference: Option<Uid>,
    /// Series that was segmented.
    pub referenced_series: Vec<Uid>,
    /// Spans all frames; slices without a frame are empty.
    pub grid: Grid,
    /// In ascending order of Segment Number.
    pub segments: Vec<Segment>,
}

/// How pixel values say what belongs to a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Coding {
    Binary,
    Occupancy { maximum: f64 },
    Probability { maximum: f64 },
    LabelMap,
}

/// Reads a segmentation.
///
/// # Errors
/// Another SOP class; frames that share no grid; a segment twice in one place.
pub fn segmentation(path: &Path) -> Result<Segmentation, ReadError> {
    let instance = Instance::open(path)?;
    let root = instance.data_set();
    let coding = coding(&instance)?;
    let pixels = pixels::decode(&instance.object)?;
    let format = pixels.format();
    let views = frame::frames(root, format.frames)?;
    let planes = views
        .iter()
        .map(|view| view.plane(format.rows, format.columns))
        .collect::<Result<Vec<Plane>, _>>()?;
    let (grid, slices) = place(&views, &planes)?;
    let mut segments = declared(root, coding)?;
    let filled = match coding {
        Coding::LabelMap => from_labels(&pixels, &slices, &grid)?,
        _ => from_frames(&views, &pixels, &slices, &grid, coding)?,
    };
    for (number, voxels) in filled {
        let segment = segments.get_mut(&number).ok_or_else(|| undescribed(number))?;
        segment.occupancy = Occupancy::new(voxels);
    }
    Ok(Segmentation {
        sop_instance: instance.source.sop_instance.clone(),
        identity: instance.identity(),
        study: instance.study(),
        frame_of_reference: instance.frame_of_reference()?,
        referenced_series: referenced_series(root)?,
        grid,
        segments: segments.into_values().collect(),
        source: instance.source,
    })
}

pub(super) fn coding(instance: &Instance) -> Result<Coding, ReadError> {
    let root = instance.data_set();
    let label_map = match instance.sop_class.as_str() {
        uids::SEGMENTATION_STORAGE => false,
        uids::LABEL_MAP_SEGMENTATION_STORAGE => true,
        other => {
            return Err(ReadError::WrongKind {
                found: format!("an instance of SOP class {other}"),
                wanted: "a Segmentation or Label Map Segmentation is wanted",
            });
        }
    };
    let maximum = || -> Result<f64, ReadError> {
        number(root, tags::MAXIMUM_FRACTIONAL_VALUE)?
            .filter(|m| *m >= 1.0)
            .ok_or_else(|| missing(tags::MAXIMUM_FRACTIONAL_VALUE, "fractions cannot be told"))
    };
    match (text(root, tags::SEGMENTATION_TYPE).as_deref(), label_map) {
        (Some("LABELMAP"), true) => Ok(Coding::LabelMap),
        (Some("BINARY"), false) => Ok(Coding::Binary),
        (Some("FRACTIONAL"), false) => {
            match text(root, tags::SEGMENTATION_FRACTIONAL_TYPE).as_deref() {
                Some("OCCUPANCY") => Ok(Coding::Occupancy { maximum: maximum()? }),
                Some("PROBABILITY") => Ok(Coding::Probability { maximum: maximum()? }),
                _ => Err(missing(
                    tags::SEGMENTATION_FRACTIONAL_TYPE,
                    "fractions could be volumes or probabilities",
                )),
            }
        }
        _ => Err(super::attribute::malformed(
            tags::SEGMENTATION_TYPE,
            "BINARY or FRACTIONAL is wanted, or LABELMAP in a Label Map Segmentation",
        )),
    }
}

/// The grid that all frames lie on, and each frame's slice of it.
fn place(views: &[FrameView], planes: &[Plane]) -> Result<(Grid, Vec<usize>), ReadError> {
    let normal = planes.first().ok_or(ReadError::EmptyPixels)?.normal();
    let height = |p: &Plane| (0..3).map(|c| p.position[c] * normal[c]).sum::<f64>();
    // One representative a slice; `arrange` then checks them against each other.
    let mut by_height: Vec<usize> = (0..planes.len()).collect();
    by_height.sort_by(|&a, &b| height(&planes[a]).total_cmp(&height(&planes[b])));
    let mut levels: Vec<Plane> = Vec::new();
    for &n in &by_height {
        match levels.last() {
            Some(last) if height(&planes[n]) - height(last) < SAME_SLICE_MM => {}
            _ => levels.push(planes[n]),
        }
    }
    let stack = stack::arrange(&levels)?;
    let spacing = spacing(views, &stack)?;
    let place_of = |offset: f64| -> Result<usize, ReadError> {
        let place = (offset / spacing).round();
        if !(0.0..=SLICE_LIMIT).contains(&place) {
            return Err(ReadError::Geometry(format!(
                "a frame lies {offset:.3} mm above the first, too far for a slice spacing of \
                 {spacing} mm"
            )));
        }
        if (offset / spacing - place).abs() > PLACE_TOLERANCE {
            return Err(ReadError::Geometry(format!(
                "a frame lies {offset:.3} mm above the first, which is no multiple of the slice \
                 spacing of {spacing:.3} mm"
            )));
        }
        Ok(place as usize)
    };
    let slices = planes
        .iter()
        .map(|plane| place_of(height(plane) - height(&stack.first)))
        .collect::<Result<Vec<usize>, _>>()?;
    let last = slices.iter().copied().max().unwrap_or(0);
    // Frames of one slice must also agree within it.
    for (plane, &k) in planes.iter().zip(&slices) {
        let expected: [f64; 3] =
            std::array::from_fn(|c| stack.first.position[c] + normal[c] * spacing * k as f64);
        let off = (0..3).map(|c| (plane.position[c] - expected[c]).powi(2)).sum::<f64>().sqrt();
        if off > PLACE_TOLERANCE * spacing + SAME_SLICE_MM {
            return Err(ReadError::Geometry("frames are shifted against each other".into()));
        }
    }
    Ok((stack.grid(last + 1, spacing)?, slices))
}

/// Distance of slices: where frames are left out, the closest two may still be far apart, so a
/// stated spacing goes first.
fn spacing(views: &[FrameView], stack: &Stack) -> Result<f64, ReadError> {
    let closest = stack.offsets_mm.windows(2).map(|w| w[1] - w[0]).fold(f64::INFINITY, f64::min);
    let stated = match views[0].group(tags::PIXEL_MEASURES_SEQUENCE) {
        Some(item) => number(item, tags::SPACING_BETWEEN_SLICES)?.filter(|s| *s > 0.0),
        None => None,
    };
    match (stated, closest.is_finite()) {
        (Some(stated), _) => Ok(stated),
        (None, true) => Ok(closest),
        (None, false) => views[0].thickness()?.filter(|t| *t > 0.0).ok_or_else(|| {
            missing(tags::SPACING_BETWEEN_SLICES, "the segmentation has no third extent")
        }),
    }
}

/// The segments that Segment Sequence (0062,0002) describes, without their pixels.
pub(super) fn declared(root: &Object, coding: Coding) -> Result<BTreeMap<u16, Segment>, ReadError> {
    let mut segments = BTreeMap::new();
    for item in items(root, tags::SEGMENT_SEQUENCE) {
        let number =
            required_unsigned(item, tags::SEGMENT_NUMBER, "segments cannot be told apart")?;
        let number = u16::try_from(number)
            .map_err(|_| super::attribute::malformed(tags::SEGMENT_NUMBER, "it is above 65535"))?;
        if number == 0 && coding == Coding::LabelMap {
            continue;
        }
        let kind = first_item(item, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE);
        let region = first_item(item, tags::ANATOMIC_REGION_SEQUENCE);
        let laterality = kind
            .and_then(|i| code(i, tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE))
            .or_else(|| region.and_then(|i| code(i, tags::ANATOMIC_REGION_MODIFIER_SEQUENCE)));
        let segment = Segment {
            number,
            label: whole_text(item, tags::SEGMENT_LABEL),
            category: code(item, tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE),
            anatomy: code(item, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE)
                .or_else(|| code(item, tags::ANATOMIC_REGION_SEQUENCE)),
            laterality,
            tracking: uid(item, tags::TRACKING_UID)?,
            occupancy: Occupancy::default(),
        };
        if segments.insert(number, segment).is_some() {
            let fault = format!("two segments have Segment Number {number}");
            return Err(ReadError::Contradiction(fault));
        }
    }
    Ok(segments)
}

pub(super) fn undescribed(number: u16) -> ReadError {
    ReadError::Contradiction(format!(
        "frames belong to segment {number}, which Segment Sequence does not describe"
    ))
}

/// Series that a segmentation says it was drawn on.
pub(super) fn referenced_series(root: &Object) -> Result<Vec<Uid>, ReadError> {
    let mut found = Vec::new();
    for series in items(root, tags::REFERENCED_SERIES_SEQUENCE) {
        found.extend(uid(series, tags::SERIES_INSTANCE_UID)?);
    }
    Ok(found)
}

/// Linear index and fraction of the voxels of each segment.
type Voxels = BTreeMap<u16, Vec<(u32, f32)>>;

fn linear(grid: &Grid, k: usize, n: usize) -> u32 {
    let [_, rows, columns] = grid.shape();
    // A grid holds at most 2^31 voxels.
    (k * rows * columns + n) as u32
}

fn from_frames(
    views: &[FrameView],
    pixels: &Pixels,
    slices: &[usize],
    grid: &Grid,
    coding: Coding,
) -> Result<Voxels, ReadError> {
    let mut filled = Voxels::new();
    let mut seen = BTreeSet::new();
    for (frame, (view, &k)) in views.iter().zip(slices).enumerate() {
        let number = segment_of(view)?;
        if !seen.insert((number, k)) {
            return Err(ReadError::Contradiction(format!(
                "segment {number} has two frames in one place"
            )));
        }
        let voxels = filled.entry(number).or_default();
        for_each_fraction(pixels, frame, coding, |n, fraction| {
            voxels.push((linear(grid, k, n), fraction as f32));
        })?;
    }
    Ok(filled)
}

/// Segment that a frame belongs to.
pub(super) fn segment_of(view: &FrameView) -> Result<u16, ReadError> {
    let tag = tags::REFERENCED_SEGMENT_NUMBER;
    let number = match view.group(tags::SEGMENT_IDENTIFICATION_SEQUENCE) {
        Some(item) => unsigned(item, tag)?,
        None => None,
    };
    number
        .and_then(|n| u16::try_from(n).ok())
        .ok_or_else(|| missing(tag, "a frame belongs to no segment"))
}

/// Hands place and fraction of every pixel of a frame that belongs to its segment to `take`.
pub(super) fn for_each_fraction(
    pixels: &Pixels,
    frame: usize,
    coding: Coding,
    mut take: impl FnMut(usize, f64),
) -> Result<(), ReadError> {
    let mut above_maximum = false;
    pixels.for_each(frame, |n, value| {
        let fraction = match coding {
            Coding::Binary | Coding::LabelMap => value as f64,
            Coding::Occupancy { maximum } => value as f64 / maximum,
            Coding::Probability { maximum } => {
                f64::from(value as f64 / maximum >= PROBABILITY_THRESHOLD)
            }
        };
        above_maximum |= fraction > 1.0;
        if fraction > 0.0 {
            take(n, fraction);
        }
    });
    if above_maximum {
        let tag = tags::MAXIMUM_FRACTIONAL_VALUE;
        return Err(super::attribute::malformed(tag, "pixel values lie above it"));
    }
    Ok(())
}

fn from_labels(pixels: &Pixels, slices: &[usize], grid: &Grid) -> Result<Voxels, ReadError> {
    let mut filled = Voxels::new();
    let mut seen = BTreeSet::new();
    for (frame, &k) in slices.iter().enumerate() {
        if !seen.insert(k) {
            return Err(ReadError::Contradiction("two label frames lie in one place".into()));
        }
        for_each_label(pixels, frame, |n, number| {
            filled.entry(number).or_default().push((linear(grid, k, n), 1.0));
        });
    }
    Ok(filled)
}

/// Hands place and segment of every pixel of a label frame to `take`.
pub(super) fn for_each_label(pixels: &Pixels, frame: usize, mut take: impl FnMut(usize, u16)) {
    pixels.for_each(frame, |n, label| {
        // 8 and 16 bits unsigned; 0 is the background.
        if let Ok(number @ 1..) = u16::try_from(label) {
            take(n, number);
        }
    });
}
