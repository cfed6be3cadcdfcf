//! PET Image (one instance a slice; PS3.3 C.8.9), Enhanced PET and legacy-converted PET, and SPECT
//! that its writer stores as PET Image.

use super::super::attribute::{Object, missing, number, text, texts, unsigned};
use super::super::error::ReadError;
use super::super::frame::{self, FrameView};
use super::super::instance::Instance;
use super::super::pixels::{PixelFormat, Pixels};
use super::super::radiopharmaceutical::{self, DoseUnit};
use super::super::rwvm::{self, RealWorldValueMapping};
use super::super::stack::{self, Plane};
use super::super::time::{self, TimeSource};
use super::super::units::{self, Offer, ValueRule};
use super::{Emission, EmissionContext, SliceSource, nm};
use crate::quantify::{DecayCorrection, EmissionImage, EmissionKind, SliceTiming};
use crate::quantity::{Seconds, Warning};
use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// One frame with everything that is said of it.
struct Slice {
    instance: usize,
    frame: usize,
    plane: Plane,
    thickness: Option<f64>,
    rule: ValueRule,
    acquired: Timestamp,
    time_source: TimeSource,
    duration: Option<Seconds>,
    decay_factor: Option<f64>,
    /// Frame Reference Time (0054,1300), s after the series reference.
    reference_s: Option<f64>,
}

pub fn read(
    instances: &[Instance],
    maps: &[RealWorldValueMapping],
    context: &EmissionContext,
) -> Result<Emission, ReadError> {
    let root = instances[0].data_set();
    check_kind(root)?;
    let zone = &context.default_zone;
    let decoded = super::decode_all(instances)?;
    let mut warnings = Vec::new();
    let found = gather(instances, &decoded, maps, zone, &mut warnings)?;
    check_count(instances, found.len())?;
    let planes: Vec<Plane> = found.iter().map(|s| s.plane).collect();
    let stack = stack::arrange(&planes)?;
    let ordered: Vec<&Slice> = stack.order.iter().map(|&n| &found[n]).collect();
    let grid = stack.even_grid(ordered[0].thickness)?;
    let sources: Vec<SliceSource> = ordered
        .iter()
        .map(|s| SliceSource { instance: s.instance, frame: s.frame, rule: s.rule.clone() })
        .collect();
    let (unit, origin) = super::common_unit(&sources)?;
    let values = super::fill(grid, &sources, instances, &decoded)?;

    super::warn_of_time_source(ordered[0].time_source, &mut warnings);
    let slices = timing(&ordered);
    let acquired = slices.iter().map(|s| s.start).min().ok_or(ReadError::NoInstances)?;
    let kind = kind(root)?;
    let injected = radiopharmaceutical::read(
        root,
        dose_unit(&instances[0]),
        kind,
        acquired,
        zone,
        &mut warnings,
    )?;
    let first = frame::frames(root, decoded[0].format().frames)?[0];
    let (decay_correction, decay_flag) = decay_statement(&first, zone)?;
    let image = EmissionImage {
        values,
        unit,
        kind,
        slices,
        series_start: series_start(root, acquired, zone)?,
        decay_correction,
        decay_flag,
        injection: injected.injection,
        dead_time_corrected: super::is_corrected(first.holder(tags::CORRECTED_IMAGE), "DTIM"),
        weight: super::weight(root)?,
        origin: origin.into(),
        warnings,
    };
    Ok(Emission {
        acquisition: super::acquisition::of_image(root, &image),
        image,
        identity: instances[0].identity(),
        study: instances[0].study(),
        frame_of_reference: instances[0].frame_of_reference()?,
        series: instances[0].source.series.clone(),
        series_description: text(root, tags::SERIES_DESCRIPTION),
        modality: instances[0].source.modality.clone(),
        device: super::device(root),
        acquired,
        radiopharmaceutical: injected,
        sources: super::sources(instances),
        stored: Vec::new(),
    })
}

/// All frames of all instances, in stored order.
fn gather(
    instances: &[Instance],
    decoded: &[Pixels],
    maps: &[RealWorldValueMapping],
    zone: &TimeZone,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Slice>, ReadError> {
    let mut found = Vec::new();
    for (n, (instance, pixels)) in instances.iter().zip(decoded).enumerate() {
        let format = pixels.format();
        let views = frame::frames(instance.data_set(), format.frames)?;
        for (frame, view) in views.iter().enumerate() {
            let separate =
                super::separate_maps(maps, &instance.source.sop_instance, frame as u32 + 1);
            let rule = value_rule(view, format, &separate, warnings)?;
            found.push(slice(n, frame, view, format, rule, zone)?);
        }
    }
    Ok(found)
}

fn check_kind(root: &Object) -> Result<(), ReadError> {
    let refuse = |found: &str, wanted| Err(ReadError::WrongKind { found: found.into(), wanted });
    if text(root, tags::COUNTS_SOURCE).as_deref() == Some("TRANSMISSION") {
        return refuse("a transmission image", "send the emission reconstruction");
    }
    let series_type = texts(root, tags::SERIES_TYPE);
    if series_type.first().map(String::as_str) == Some("GATED") {
        return refuse("a gated PET series", "send the ungated reconstruction");
    }
    if series_type.get(1).map(String::as_str) == Some("REPROJECTION") {
        return refuse("a reprojection", "send the transaxial images");
    }
    Ok(())
}

/// Number of Slices (0054,0081) of legacy PET: fewer instances means that the series is not whole.
fn check_count(instances: &[Instance], found: usize) -> Result<(), ReadError> {
    let legacy =
        instances[0].sop_class.as_str() == uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE;
    match unsigned(instances[0].data_set(), tags::NUMBER_OF_SLICES)? {
        Some(declared) if legacy && (found as u64) < u64::from(declared) => {
            Err(ReadError::Geometry(format!(
                "Number of Slices (0054,0081) is {declared}, but {found} slices are here; send \
                 the whole series"
            )))
        }
        _ => Ok(()),
    }
}

fn slice(
    instance: usize,
    frame: usize,
    view: &FrameView,
    format: &PixelFormat,
    rule: ValueRule,
    zone: &TimeZone,
) -> Result<Slice, ReadError> {
    let (acquired, time_source) = acquired(view, zone)?;
    let positive = |value: Option<f64>| value.filter(|v| *v > 0.0);
    let at_root = |tag: Tag| number(view.holder(tag), tag);
    let content = view.group(tags::FRAME_CONTENT_SEQUENCE);
    let own_ms = match content {
        Some(item) => positive(number(item, tags::FRAME_ACQUISITION_DURATION)?),
        None => None,
    };
    let ms = match own_ms {
        Some(ms) => Some(ms),
        None => positive(at_root(tags::ACTUAL_FRAME_DURATION)?),
    };
    Ok(Slice {
        instance,
        frame,
        plane: view.plane(format.rows, format.columns)?,
        thickness: view.thickness()?,
        rule,
        acquired,
        time_source,
        duration: ms.map(|ms| Seconds::new(ms / 1000.0)),
        decay_factor: at_root(tags::DECAY_FACTOR)?,
        reference_s: at_root(tags::FRAME_REFERENCE_TIME)?.map(|ms| ms / 1000.0),
    })
}

fn acquired(view: &FrameView, zone: &TimeZone) -> Result<(Timestamp, TimeSource), ReadError> {
    let zone = time::zone_of(view.root, zone)?;
    if let Some(content) = view.group(tags::FRAME_CONTENT_SEQUENCE)
        && let Some(at) = time::datetime(content, tags::FRAME_ACQUISITION_DATE_TIME, &zone)?
    {
        return Ok((at, TimeSource::Acquisition));
    }
    let holder = view.holder(tags::ACQUISITION_TIME);
    if let Some(at) =
        time::date_and_time(holder, tags::ACQUISITION_DATE, tags::ACQUISITION_TIME, &zone)?
    {
        return Ok((at, TimeSource::Acquisition));
    }
    time::acquired(view.root, &zone)?
        .ok_or_else(|| missing(tags::ACQUISITION_DATE, "the image cannot be placed in time"))
}

/// When each slice began. Some scanners give all beds the time of the first; then Frame
/// Reference Time tells them apart, by its differences alone: whether it counts to the frame's
/// beginning or to its mean is not kept alike.
fn timing(ordered: &[&Slice]) -> Vec<SliceTiming> {
    let one_time = ordered.iter().all(|s| s.acquired == ordered[0].acquired);
    let references: Option<Vec<f64>> = ordered.iter().map(|s| s.reference_s).collect();
    let least = references.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    ordered
        .iter()
        .enumerate()
        .map(|(k, s)| {
            let later = references.as_ref().map_or(0.0, |r| r[k] - least);
            let shift = SignedDuration::try_from_secs_f64(if one_time { later } else { 0.0 });
            let start = shift.ok().and_then(|d| s.acquired.checked_add(d).ok());
            SliceTiming {
                start: start.unwrap_or(s.acquired),
                duration: s.duration,
                decay_factor: s.decay_factor,
            }
        })
        .collect()
}

fn value_rule(
    view: &FrameView,
    format: &PixelFormat,
    separate: &[rwvm::RealWorldValueMap],
    warnings: &mut Vec<Warning>,
) -> Result<ValueRule, ReadError> {
    let inside = view.maps(format.signed)?;
    // Enhanced images have no Units; the type of their rescale says the same.
    let transformation = view.group(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
    let stated = text(view.holder(tags::UNITS), tags::UNITS).or_else(|| {
        transformation.and_then(|item| text(item, tags::RESCALE_TYPE)).filter(|t| t == "BQML")
    });
    let suv = text(view.holder(tags::SUV_TYPE), tags::SUV_TYPE);
    let offer = Offer {
        inside: &inside,
        separate,
        units: stated.as_deref(),
        suv_type: suv.as_deref(),
        rescale: view.rescale()?,
        concentration_scale: concentration_scale(view.root),
    };
    units::rule(&offer, warnings)
}

/// Philips writes counts, and beside them what makes them Bq/ml.
fn concentration_scale(root: &Object) -> Option<f64> {
    let Tag(group, element) = units::CONCENTRATION_SCALE;
    let private = root.private_element(group, "Philips PET Private Group", element as u8).ok()?;
    // A factor that cannot be read is there all the same: refused by the ladder, not passed over.
    Some(private.to_float64().unwrap_or(f64::NAN))
}

/// Signs of coincidence imaging; without one, a PET Image may as well be SPECT. Traces of
/// positrons (90Y) are a therapy nuclide, not a PET tracer.
fn kind(root: &Object) -> Result<EmissionKind, ReadError> {
    const TRACER_POSITRONS: f64 = 0.01;
    let mut fraction = None;
    for item in super::super::attribute::items(root, tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE)
    {
        fraction = fraction.or(number(item, tags::RADIONUCLIDE_POSITRON_FRACTION)?);
    }
    let ring = text(root, tags::COLLIMATOR_TYPE).is_none_or(|t| t == "RING" || t == "NONE");
    let positron = ring && fraction.is_some_and(|f| f > TRACER_POSITRONS);
    Ok(if positron { EmissionKind::Positron } else { EmissionKind::SinglePhoton })
}

fn dose_unit(instance: &Instance) -> DoseUnit {
    match instance.sop_class.as_str() {
        uids::ENHANCED_PET_IMAGE_STORAGE => DoseUnit::Megabecquerel,
        _ => DoseUnit::Becquerel,
    }
}

/// The decay correction claimed, and whether Corrected Image names it.
fn decay_statement(
    view: &FrameView,
    zone: &TimeZone,
) -> Result<(DecayCorrection, bool), ReadError> {
    let zone = time::zone_of(view.root, zone)?;
    match text(view.root, tags::DECAY_CORRECTED).as_deref() {
        Some("YES") => {
            let at = time::datetime(view.root, tags::DECAY_CORRECTION_DATE_TIME, &zone)?;
            return Ok((at.map_or(DecayCorrection::Unstated, DecayCorrection::To), true));
        }
        Some("NO") => return Ok((DecayCorrection::None, false)),
        _ => {}
    }
    let correction = nm::decay_correction(view.holder(tags::DECAY_CORRECTION))?;
    Ok((correction, super::is_corrected(view.holder(tags::CORRECTED_IMAGE), "DECY")))
}

/// Series Date and Time; where GE saved the series anew after the scan, the scan's own time from
/// its private group (GEMS_PETD_01, element 0D).
fn series_start(
    root: &Object,
    acquired: Timestamp,
    zone: &TimeZone,
) -> Result<Option<Timestamp>, ReadError> {
    let series = time::date_and_time(root, tags::SERIES_DATE, tags::SERIES_TIME, zone)?;
    if series.is_none_or(|start| start <= acquired) {
        return Ok(series);
    }
    let zone = time::zone_of(root, zone)?;
    let scan = root
        .private_element(0x0009, "GEMS_PETD_01", 0x0D)
        .ok()
        .and_then(|element| element.to_str().ok().map(|t| t.trim_matches(['\0', ' ']).to_owned()))
        .and_then(|t| time::datetime_text(&t, &zone));
    Ok(scan.or(series))
}
