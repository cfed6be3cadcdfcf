//! Planar scans: Nuclear Medicine Image, WHOLE BODY and STATIC (PS3.3 C.8.4).
//!
//! One series, both views, all energy windows, in one instance or several. A view is known by its code,
//! by the angle its detector stood at, or by its orientation; never by free text alone. Posterior views
//! are turned to the anterior's raster. Transmission scans of the same types have a reader of their own.

mod exposure;
mod transmission;
mod view;

use super::attribute::{Object, fixed, items, malformed, missing, numbers, text, texts};
use super::emission::{self, Scan};
use super::error::ReadError;
use super::instance::{Instance, open_series};
use super::pixels;
use super::radiopharmaceutical::{self, DoseUnit, Radiopharmaceutical};
use super::time;
use crate::dicom::Uid;
use crate::quantify::planar::{PlanarFrame, PlanarImage, Raster, View};
use crate::quantify::{EmissionKind, ImageUnit};
use crate::quantity::Warning;
use dicom_dictionary_std::{tags, uids};
use exposure::{exposure, oriented, windows};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ndarray::Array2;
use std::path::PathBuf;
use view::Placement;

pub use transmission::{Transmission, transmission};
pub use view::StoredView;

/// A planar scan.
pub type Planar = Scan<PlanarImage>;

/// Views that begin within this time began together: clocks are written to different digits.
const TOGETHER_S: f64 = 1.0;

/// Reads the instances of one planar series, given in any order.
///
/// # Errors
/// [`ReadError::WrongKind`] for anything else than emission views; views that cannot be told apart or
/// do not lie on one raster, or were taken one after the other; an exposure that is not stated.
pub fn planar(paths: &[PathBuf], zone: &TimeZone) -> Result<Planar, ReadError> {
    let instances = open_series(paths)?;
    let first = instances.first().ok_or(ReadError::NoInstances)?;
    let root = first.data_set();
    let mut warnings = Vec::new();
    let mut placed = Vec::new();
    for instance in &instances {
        check_kind(instance, EMISSION)?;
        if exposure(instance.data_set())? != exposure(root)?
            || windows(instance)? != windows(first)?
        {
            return Err(ReadError::Contradiction(
                "views of one series were acquired in different ways; send each scan as a series of \
                 its own"
                    .into(),
            ));
        }
        placed.extend(frames(instance, &mut warnings)?);
    }
    let anterior = placed.iter().find(|seen| seen.placement.view == View::Anterior);
    let raster = raster(root, anterior.or(placed.first()).ok_or(ReadError::NoInstances)?)?;
    let mut found: Vec<PlanarFrame> = Vec::new();
    let mut stored = Vec::new();
    for Seen { placement, instance, number, frame } in placed {
        if found.iter().any(|other| other.view == frame.view && other.window == frame.window) {
            return Err(ReadError::Contradiction(format!(
                "the {} view stands twice in one energy window; send one scan a series",
                frame.view.name()
            )));
        }
        let mirrored = placement.mirrored_on(&raster, frame.counts.dim())?;
        let view = StoredView { instance, frame: number, view: frame.view, mirrored };
        found.push(PlanarFrame { counts: view.on_raster(frame.counts), ..frame });
        stored.push(view);
    }
    let acquired = acquired(&instances, zone, &mut warnings)?;
    let (kind, unit) = (EmissionKind::SinglePhoton, DoseUnit::Megabecquerel);
    let radiopharmaceutical =
        radiopharmaceutical::read(root, unit, kind, acquired, zone, &mut warnings)?;
    warnings.dedup();
    let exposure = oriented(root, exposure(root)?, &raster);
    let image = PlanarImage {
        raster,
        windows: windows(first)?,
        frames: found,
        exposure,
        injection: radiopharmaceutical.injection,
        dead_time_corrected: emission::is_corrected(root, "DTIM"),
        warnings,
    };
    scan(&instances, image, acquired, radiopharmaceutical, stored)
}

/// An image with what its instances say beside it.
fn scan<I>(
    instances: &[Instance],
    image: I,
    acquired: Timestamp,
    radiopharmaceutical: Radiopharmaceutical,
    stored: Vec<StoredView>,
) -> Result<Scan<I>, ReadError> {
    let first = instances.first().ok_or(ReadError::NoInstances)?;
    let root = first.data_set();
    Ok(Scan {
        image,
        identity: first.identity(),
        study: first.study(),
        frame_of_reference: first.frame_of_reference()?,
        series: first.source.series.clone(),
        series_description: text(root, tags::SERIES_DESCRIPTION),
        modality: first.source.modality.clone(),
        device: emission::device(root),
        acquired,
        radiopharmaceutical,
        acquisition: emission::acquisition::acquisition(root),
        sources: emission::sources(instances),
        stored,
    })
}

/// Beginning of the scan: of all its instances, since rates are decayed to one instant.
fn acquired(
    instances: &[Instance],
    zone: &TimeZone,
    warnings: &mut Vec<Warning>,
) -> Result<Timestamp, ReadError> {
    let mut times = Vec::new();
    for instance in instances {
        let (at, source) = time::acquired(instance.data_set(), zone)?
            .ok_or_else(|| missing(tags::ACQUISITION_DATE, "the scan cannot be placed in time"))?;
        emission::warn_of_time_source(source, warnings);
        times.push(at);
    }
    times.sort();
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
        return Err(ReadError::NoInstances);
    };
    if last.duration_since(first).as_secs_f64() > TOGETHER_S {
        return Err(ReadError::Contradiction(format!(
            "views of one series began at {first} and at {last}; those of a camera with one detector \
             are not read, send views that were acquired together"
        )));
    }
    Ok(first)
}

/// Image Type value 4, absent in many emission images, and what to say of the other one.
type Wanted = (bool, &'static str);
const EMISSION: Wanted = (false, "a transmission scan is no activity: send the emission views");
const TRANSMISSION: Wanted =
    (true, "a transmission scan is wanted: Image Type (0008,0008) value 4 TRANSMISSION");

fn check_kind(instance: &Instance, (transmission, other): Wanted) -> Result<(), ReadError> {
    let values = texts(instance.data_set(), tags::IMAGE_TYPE);
    let value = |n: usize| values.get(n).map_or("", String::as_str);
    let planar = matches!(value(2), "WHOLE BODY" | "STATIC");
    let wanted = if instance.sop_class.as_str() != uids::NUCLEAR_MEDICINE_IMAGE_STORAGE || !planar {
        "a Nuclear Medicine Image of type WHOLE BODY or STATIC is wanted"
    } else if (value(3) == "TRANSMISSION") != transmission {
        other
    } else {
        return Ok(());
    };
    Err(ReadError::WrongKind { found: format!("an image {}", values.join("\\")), wanted })
}

/// A frame as it is stored.
struct Seen {
    placement: Placement,
    instance: Uid,
    /// From 1.
    number: u32,
    frame: PlanarFrame,
}

/// Every frame with its place, as it is stored.
fn frames(instance: &Instance, warnings: &mut Vec<Warning>) -> Result<Vec<Seen>, ReadError> {
    let root = instance.data_set();
    let decoded = pixels::decode(&instance.object)?;
    let format = *decoded.format();
    let rule = emission::value_rule(instance, &[], format.signed, warnings)?;
    if rule.unit != ImageUnit::Counts {
        return Err(ReadError::Units("a planar image of counts is wanted".into()));
    }
    let detectors = items(root, tags::DETECTOR_INFORMATION_SEQUENCE);
    let count = format.frames as usize;
    let windows = items(root, tags::ENERGY_WINDOW_INFORMATION_SEQUENCE).len();
    let of_detector = indices(root, tags::DETECTOR_VECTOR, count, detectors.len())?;
    let of_window = indices(root, tags::ENERGY_WINDOW_VECTOR, count, windows)?;
    let shape = (format.rows as usize, format.columns as usize);
    let mut found = Vec::new();
    for frame in 0..count {
        let placement = Placement::of(root, &detectors[of_detector[frame]])?;
        let mut counts = Array2::<f32>::zeros(shape);
        let out = counts.as_slice_mut().expect("a new array is in standard layout");
        let mut unmapped = None;
        decoded.for_each(frame, |n, stored| match rule.value(stored) {
            Some(value) if value.is_finite() && value >= 0.0 => out[n] = value as f32,
            _ => unmapped = Some(stored),
        });
        if let Some(stored) = unmapped {
            return Err(ReadError::Units(format!("stored value {stored} is no number of counts")));
        }
        let window = of_window[frame];
        found.push(Seen {
            placement,
            instance: instance.source.sop_instance.clone(),
            number: frame as u32 + 1,
            frame: PlanarFrame { view: placement.view, window, counts },
        });
    }
    Ok(found)
}

/// Index (from 0) of the item that each frame belongs to: by the vector. Without it there is one item:
/// which of several nests in which is not said by the order of the frames.
fn indices(
    root: &Object,
    tag: dicom_core::Tag,
    frames: usize,
    items: usize,
) -> Result<Vec<usize>, ReadError> {
    let vector = numbers(root, tag)?;
    if vector.is_empty() {
        return match items {
            1 => Ok(vec![0; frames]),
            _ => Err(missing(tag, "frames cannot be told apart")),
        };
    }
    if vector.len() != frames {
        return Err(malformed(tag, "it has not one value a frame"));
    }
    let index = |value: &f64| {
        let legal = *value >= 1.0 && *value <= items as f64;
        legal.then(|| *value as usize - 1).ok_or_else(|| malformed(tag, "it names no item"))
    };
    vector.iter().map(index).collect()
}

/// Raster of a frame.
fn raster(root: &Object, seen: &Seen) -> Result<Raster, ReadError> {
    let spacing = fixed::<2>(root, tags::PIXEL_SPACING)?
        .filter(|s| s.iter().all(|mm| *mm > 0.0))
        .ok_or_else(|| missing(tags::PIXEL_SPACING, "the image has no size"))?;
    let Seen { placement, frame, .. } = seen;
    let (rows, columns) = frame.counts.dim();
    Ok(Raster {
        rows,
        columns,
        spacing_mm: [spacing[1], spacing[0]],
        axes: placement.axes,
        origin_lps_mm: placement.origin_lps_mm,
    })
}
