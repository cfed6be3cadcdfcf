//! In which energy windows, how long or how fast a scan was acquired (PS3.3 C.8.4.9, C.8.4.10).

use super::super::attribute::{
    Object, first_item, items, malformed, missing, number, numbers, text, texts,
};
use super::super::error::ReadError;
use super::super::instance::Instance;
use crate::quantify::planar::{EnergyWindow, Exposure, Raster};
use crate::quantity::{KiloElectronvolt, Seconds};
use dicom_dictionary_std::tags;

/// Energy Window Information Sequence (0054,0012), in its order.
pub fn windows(instance: &Instance) -> Result<Vec<EnergyWindow>, ReadError> {
    let all = items(instance.data_set(), tags::ENERGY_WINDOW_INFORMATION_SEQUENCE);
    if all.is_empty() {
        let tag = tags::ENERGY_WINDOW_INFORMATION_SEQUENCE;
        return Err(missing(tag, "photopeak and scatter cannot be told apart"));
    }
    all.iter().map(window).collect()
}

fn window(item: &Object) -> Result<EnergyWindow, ReadError> {
    let tag = tags::ENERGY_WINDOW_LOWER_LIMIT;
    let mut ranges = Vec::new();
    for range in items(item, tags::ENERGY_WINDOW_RANGE_SEQUENCE) {
        let low = number(range, tag)?;
        let high = number(range, tags::ENERGY_WINDOW_UPPER_LIMIT)?;
        let (Some(low), Some(high)) = (low, high) else {
            return Err(missing(tag, "an energy window has no ends"));
        };
        if !(low >= 0.0 && high > low) {
            return Err(malformed(tag, format!("a window from {low} to {high} keV cannot be")));
        }
        ranges.push([low, high].map(KiloElectronvolt::new));
    }
    match ranges.is_empty() {
        true => Err(missing(tag, "an energy window has no ends")),
        false => Ok(EnergyWindow { ranges }),
    }
}

/// How long, or how fast.
pub fn exposure(root: &Object) -> Result<Exposure, ReadError> {
    let ms = number(root, tags::ACTUAL_FRAME_DURATION)?.filter(|ms| *ms > 0.0);
    let duration = ms.map(|ms| Seconds::new(ms / 1000.0));
    if texts(root, tags::IMAGE_TYPE).get(2).is_some_and(|value| value == "STATIC") {
        let tag = tags::ACTUAL_FRAME_DURATION;
        let duration = duration.ok_or_else(|| missing(tag, "counts have no rate"))?;
        return Ok(Exposure::Static { duration });
    }
    let technique = texts(root, tags::WHOLE_BODY_TECHNIQUE);
    if technique.iter().any(|term| term == "MSP") {
        return Err(malformed(
            tags::WHOLE_BODY_TECHNIQUE,
            "a body put together from several static views (MSP) is not read; send the views",
        ));
    }
    let velocity = number(root, tags::SCAN_VELOCITY)?
        .filter(|v| *v > 0.0)
        .ok_or_else(|| missing(tags::SCAN_VELOCITY, "counts of a moving detector have no rate"))?;
    let detector = first_item(root, tags::DETECTOR_INFORMATION_SEQUENCE);
    // Across the scan, then along it.
    let size = detector.map(|item| numbers(item, tags::FIELD_OF_VIEW_DIMENSIONS)).transpose()?;
    let field_of_view_mm = size.unwrap_or_default().get(1).copied().filter(|mm| *mm > 0.0);
    Ok(Exposure::Scanning { velocity, field_of_view_mm, first_row_first: None, duration })
}

/// The scan's direction along the rows.
pub fn oriented(root: &Object, exposure: Exposure, raster: &Raster) -> Exposure {
    let Exposure::Scanning { velocity, field_of_view_mm, duration, .. } = exposure else {
        return exposure;
    };
    let rows_to_feet = raster.axes[1][2] < 0.0;
    let to_feet = match text(root, tags::SCAN_PROGRESSION_DIRECTION).as_deref() {
        Some("HEAD_TO_FEET") => Some(true),
        Some("FEET_TO_HEAD") => Some(false),
        _ => None,
    };
    let first_row_first = to_feet.map(|scan| rows_to_feet == scan);
    Exposure::Scanning { velocity, field_of_view_mm, first_row_first, duration }
}
