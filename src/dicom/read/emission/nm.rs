//! Nuclear Medicine Image, RECON TOMO (PS3.3 A.5, C.8.4): one multi-frame instance a volume.
//!
//! The only common object where the sign of Spacing Between Slices counts: slice s (from Slice
//! Vector, 1-based) lies at Image Position + n·S·(s−1).

use super::super::attribute::{
    Object, first_item, fixed, items, malformed, missing, number, numbers, text, texts, unsigned,
};
use super::super::error::ReadError;
use super::super::instance::Instance;
use super::super::radiopharmaceutical::{self, DoseUnit};
use super::super::rwvm::{self, RealWorldValueMapping};
use super::super::stack::{Plane, nanometre};
use super::super::units::{self, Offer};
use super::super::{frame, time};
use super::{Emission, EmissionContext, SliceSource};
use crate::quantify::{DecayCorrection, EmissionImage, EmissionKind, SliceTiming};
use crate::quantity::{Seconds, Warning};
use crate::volume::{Grid, cross};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// Spacing Between Slices and Slice Thickness may differ by this part without a word.
const THICKNESS_TOLERANCE: f64 = 0.01;

pub fn read(
    instances: &[Instance],
    maps: &[RealWorldValueMapping],
    context: &EmissionContext,
) -> Result<Emission, ReadError> {
    let [instance] = instances else {
        return Err(ReadError::Contradiction(format!(
            "the series holds {} NM volumes; send each reconstruction as a series of its own",
            instances.len()
        )));
    };
    let root = instance.data_set();
    check_image_type(root)?;
    let decoded = super::decode_all(instances)?;
    let format = *decoded[0].format();
    let mut warnings = Vec::new();
    let order = slice_order(root, format.frames, &mut warnings)?;
    let (grid, reversed) = grid(root, &format, &mut warnings)?;
    let rule = value_rule(instance, maps, format.signed, &mut warnings)?;
    let slices: Vec<SliceSource> = (0..order.len())
        .map(|k| {
            let frame = if reversed { order[order.len() - 1 - k] } else { order[k] };
            SliceSource { instance: 0, frame, rule: rule.clone() }
        })
        .collect();
    let (unit, origin) = super::common_unit(&slices)?;
    let values = super::fill(grid, &slices, instances, &decoded)?;

    let zone = &context.default_zone;
    let (acquired, source) = time::acquired(root, zone)?
        .ok_or_else(|| missing(tags::ACQUISITION_DATE, "the image cannot be placed in time"))?;
    super::warn_of_time_source(source, &mut warnings);
    let kind = EmissionKind::SinglePhoton;
    let unit_of_dose = DoseUnit::Megabecquerel;
    let radiopharmaceutical =
        radiopharmaceutical::read(root, unit_of_dose, kind, acquired, zone, &mut warnings)?;
    let timing = SliceTiming {
        start: acquired,
        duration: scan_time(root, &mut warnings)?,
        decay_factor: number(root, tags::DECAY_FACTOR)?,
    };
    let image = EmissionImage {
        slices: vec![timing; slices.len()],
        values,
        unit,
        kind,
        series_start: time::date_and_time(root, tags::SERIES_DATE, tags::SERIES_TIME, zone)?,
        decay_correction: decay_correction(root)?,
        decay_flag: super::is_corrected(root, "DECY"),
        injection: radiopharmaceutical.injection,
        dead_time_corrected: super::is_corrected(root, "DTIM"),
        weight: super::weight(root)?,
        origin: origin.into(),
        warnings,
    };
    Ok(Emission {
        acquisition: super::acquisition::of_image(root, &image),
        image,
        identity: instance.identity(),
        study: instance.study(),
        frame_of_reference: instance.frame_of_reference()?,
        series: instance.source.series.clone(),
        series_description: text(root, tags::SERIES_DESCRIPTION),
        modality: instance.source.modality.clone(),
        device: super::device(root),
        acquired,
        radiopharmaceutical,
        sources: super::sources(instances),
        stored: Vec::new(),
    })
}

/// Image Type (0008,0008) value 3 and 4 (PS3.3 C.8.4.9.1.1).
fn check_image_type(root: &Object) -> Result<(), ReadError> {
    let values = texts(root, tags::IMAGE_TYPE);
    if values.get(3).map(String::as_str) == Some("TRANSMISSION") {
        return Err(ReadError::WrongKind {
            found: "a transmission image (mu-map)".into(),
            wanted: "send the emission reconstruction",
        });
    }
    let wanted = match values.get(2).map_or("", String::as_str) {
        "RECON TOMO" => return Ok(()),
        "TOMO" => "these are projections: reconstruct them and send the RECON TOMO series",
        "RECON GATED TOMO" | "GATED TOMO" | "GATED" => {
            "gated images are not quantified: send the ungated RECON TOMO series"
        }
        "STATIC" | "WHOLE BODY" | "DYNAMIC" => {
            "a planar image has no depth: send a RECON TOMO series"
        }
        _ => "Image Type (0008,0008) value 3 must be RECON TOMO",
    };
    Err(ReadError::WrongKind { found: format!("an NM image {}", values.join("\\")), wanted })
}

/// For each slice (k by Slice Vector) the frame that holds it.
fn slice_order(
    root: &Object,
    frames: u32,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<usize>, ReadError> {
    check_pointer(root)?;
    let vector = numbers(root, tags::SLICE_VECTOR)?;
    if vector.is_empty() {
        let declared = unsigned(root, tags::NUMBER_OF_SLICES)?;
        if declared.is_some_and(|n| n != frames) {
            return Err(malformed(tags::NUMBER_OF_SLICES, "it is not Number of Frames"));
        }
        warnings.push(Warning::new(
            "slice-vector-absent",
            "Slice Vector (0054,0080) is absent; frames were taken in their stored order",
        ));
        return Ok((0..frames as usize).collect());
    }
    let refuse = |reason: &str| malformed(tags::SLICE_VECTOR, reason);
    if vector.len() != frames as usize {
        return Err(refuse("it has not one value a frame"));
    }
    let mut order = vec![usize::MAX; vector.len()];
    for (frame, &slice) in vector.iter().enumerate() {
        let place = order.get_mut((slice - 1.0) as usize).filter(|_| slice >= 1.0);
        match place {
            Some(place) if *place == usize::MAX => *place = frame,
            _ => return Err(refuse("each slice number must stand in it once, from 1 upward")),
        }
    }
    Ok(order)
}

/// Frame Increment Pointer (0028,0009) of a RECON TOMO is Slice Vector alone; some writers put
/// an energy window before it, which is harmless while there is one.
fn check_pointer(root: &Object) -> Result<(), ReadError> {
    const ALLOWED: [Tag; 3] =
        [tags::SLICE_VECTOR, tags::ENERGY_WINDOW_VECTOR, tags::DETECTOR_VECTOR];
    let pointers: Vec<Tag> = root
        .get(tags::FRAME_INCREMENT_POINTER)
        .and_then(|e| e.value().primitive())
        .and_then(|value| value.tags().ok())
        .map(<[Tag]>::to_vec)
        .unwrap_or_default();
    if let Some(other) = pointers.iter().find(|t| !ALLOWED.contains(t)) {
        return Err(malformed(
            tags::FRAME_INCREMENT_POINTER,
            format!("frames also step through {other}; send one static volume"),
        ));
    }
    for (vector, what) in
        [(tags::ENERGY_WINDOW_VECTOR, "energy window"), (tags::DETECTOR_VECTOR, "detector")]
    {
        let values = numbers(root, vector)?;
        if values.iter().any(|v| Some(v) != values.first()) {
            let reason = format!("frames of more than one {what} cannot be one volume");
            return Err(malformed(vector, reason));
        }
    }
    Ok(())
}

/// The right-handed grid, and whether slice numbers run against it.
fn grid(
    root: &Object,
    format: &super::super::pixels::PixelFormat,
    warnings: &mut Vec<Warning>,
) -> Result<(Grid, bool), ReadError> {
    let (position, orientation) = position_and_orientation(root, warnings)?;
    let spacing = fixed::<2>(root, tags::PIXEL_SPACING)?
        .ok_or_else(|| missing(tags::PIXEL_SPACING, "the image has no size"))?;
    let step = slice_step(root, format.frames, warnings)?;
    let axis_i = [orientation[0], orientation[1], orientation[2]];
    let axis_j = [orientation[3], orientation[4], orientation[5]];
    let normal = cross(axis_i, axis_j);
    let reversed = step < 0.0;
    let down = if reversed { step * f64::from(format.frames - 1) } else { 0.0 };
    let plane = Plane {
        position: std::array::from_fn(|c| position[c] + normal[c] * down),
        axis_i,
        axis_j,
        row_spacing: spacing[0],
        column_spacing: spacing[1],
        rows: format.rows,
        columns: format.columns,
    };
    Grid::new(
        [format.frames as usize, plane.rows as usize, plane.columns as usize],
        [plane.column_spacing, plane.row_spacing, step.abs()],
        plane.position.map(nanometre),
        axis_i,
        axis_j,
    )
    .map(|grid| (grid, reversed))
    .map_err(|error| ReadError::Geometry(error.to_string()))
}

/// From Detector Information, else (not standard, but seen) from the root; else refused: nobody
/// can know which way up the patient is.
fn position_and_orientation(
    root: &Object,
    warnings: &mut Vec<Warning>,
) -> Result<([f64; 3], [f64; 6]), ReadError> {
    let of = |object: &Object| -> Result<_, ReadError> {
        let position = fixed::<3>(object, tags::IMAGE_POSITION_PATIENT)?;
        Ok(position.zip(fixed::<6>(object, tags::IMAGE_ORIENTATION_PATIENT)?))
    };
    if let Some(item) = first_item(root, tags::DETECTOR_INFORMATION_SEQUENCE)
        && let Some(found) = of(item)?
    {
        return Ok(found);
    }
    if let Some(found) = of(root)? {
        warnings.push(Warning::new(
            "geometry-at-root",
            "Image Position and Orientation (Patient) stand outside Detector Information \
             Sequence (0054,0022) and were taken from there",
        ));
        return Ok(found);
    }
    Err(ReadError::Geometry(
        "Image Position (Patient) and Image Orientation (Patient) are empty in Detector \
         Information Sequence (0054,0022), so the orientation of the patient is not known; \
         export the reconstruction with its geometry"
            .into(),
    ))
}

/// Signed distance from slice number s to s + 1 along the normal.
fn slice_step(root: &Object, frames: u32, warnings: &mut Vec<Warning>) -> Result<f64, ReadError> {
    let thickness = number(root, tags::SLICE_THICKNESS)?;
    let step = match (number(root, tags::SPACING_BETWEEN_SLICES)?, thickness) {
        (Some(step), Some(thickness))
            if (step.abs() - thickness).abs() > THICKNESS_TOLERANCE * step.abs() =>
        {
            warnings.push(Warning::new(
                "slice-thickness-differs",
                format!(
                    "Slice Thickness (0018,0050) is {thickness} mm, Spacing Between Slices \
                     (0018,0088) {step} mm; the spacing was used"
                ),
            ));
            step
        }
        (Some(step), _) => step,
        (None, Some(thickness)) if frames == 1 => thickness,
        (None, Some(thickness)) => {
            warnings.push(Warning::new(
                "slice-direction-assumed",
                "Spacing Between Slices (0018,0088) is empty; Slice Thickness was used, and that \
                 slices ascend along the normal is an assumption: compare with the CT",
            ));
            thickness
        }
        (None, None) => {
            return Err(missing(tags::SPACING_BETWEEN_SLICES, "slices have no distance"));
        }
    };
    if step == 0.0 {
        return Err(malformed(tags::SPACING_BETWEEN_SLICES, "it is 0"));
    }
    Ok(step)
}

pub fn value_rule(
    instance: &Instance,
    maps: &[RealWorldValueMapping],
    signed: bool,
    warnings: &mut Vec<Warning>,
) -> Result<units::ValueRule, ReadError> {
    let root = instance.data_set();
    let view = frame::root_of(root);
    let inside = rwvm::maps(root, signed)?;
    let separate = super::separate_maps(maps, &instance.source.sop_instance, 1);
    let (stated, suv) = (text(root, tags::UNITS), text(root, tags::SUV_TYPE));
    let offer = Offer {
        inside: &inside,
        separate: &separate,
        units: stated.as_deref(),
        suv_type: suv.as_deref(),
        rescale: view.rescale()?,
        concentration_scale: None,
    };
    units::rule(&offer, warnings)
}

/// Acquisition Duration (0018,9073), else views × time a view over all rotations (PS3.3 C.8.4.15:
/// a time a view), else Actual Frame Duration of the whole, as some writers mean it.
fn scan_time(root: &Object, warnings: &mut Vec<Warning>) -> Result<Option<Seconds>, ReadError> {
    if let Some(seconds) = number(root, tags::ACQUISITION_DURATION)?.filter(|t| *t > 0.0) {
        return Ok(Some(Seconds::new(seconds)));
    }
    let mut total_ms = 0.0;
    for rotation in items(root, tags::ROTATION_INFORMATION_SEQUENCE) {
        let views = number(rotation, tags::NUMBER_OF_FRAMES_IN_ROTATION)?;
        let view_ms = number(rotation, tags::ACTUAL_FRAME_DURATION)?;
        total_ms += views.zip(view_ms).map_or(0.0, |(n, ms)| n * ms);
    }
    if total_ms > 0.0 {
        return Ok(Some(Seconds::new(total_ms / 1000.0)));
    }
    let Some(ms) = number(root, tags::ACTUAL_FRAME_DURATION)?.filter(|t| *t > 0.0) else {
        return Ok(None);
    };
    warnings.push(Warning::new(
        "frame-duration-as-scan-time",
        format!(
            "Rotation Information (0054,0052) is absent; Actual Frame Duration (0018,1242) of \
             {ms} ms was taken as the whole scan time"
        ),
    ));
    Ok(Some(Seconds::new(ms / 1000.0)))
}

/// Decay Correction (0054,1102), which NM images carry only as an extension.
pub fn decay_correction(root: &Object) -> Result<DecayCorrection, ReadError> {
    match text(root, tags::DECAY_CORRECTION).as_deref() {
        None => Ok(DecayCorrection::Unstated),
        Some("NONE") => Ok(DecayCorrection::None),
        Some("START") => Ok(DecayCorrection::Start),
        Some("ADMIN") => Ok(DecayCorrection::Administration),
        Some(_) => Err(malformed(tags::DECAY_CORRECTION, "NONE, START or ADMIN is wanted")),
    }
}
