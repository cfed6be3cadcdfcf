//! How a series was acquired and reconstructed, for the report; nothing here steers a number.

use super::super::attribute::{Object, first_item, items, number, text, texts, unsigned};
use crate::quantify::EmissionImage;
use crate::report::Acquisition;
use dicom_dictionary_std::tags;

/// What the object of a reconstructed image says, with the image's matrix and scan time.
pub fn of_image(root: &Object, image: &EmissionImage) -> Acquisition {
    let [slices, rows, columns] = image.values.grid().shape();
    Acquisition {
        duration: image.slices.first().and_then(|slice| slice.duration),
        matrix: Some(([columns, rows, slices], image.values.grid().spacing_mm())),
        ..acquisition(root)
    }
}

/// What the object says. What it says wrongly counts as not said: no result depends on it.
pub fn acquisition(root: &Object) -> Acquisition {
    let device = super::device(root);
    let rotation = first_item(root, tags::ROTATION_INFORMATION_SEQUENCE);
    let reconstruction =
        [tags::RECONSTRUCTION_METHOD, tags::RECONSTRUCTION_ALGORITHM, tags::RECONSTRUCTION_TYPE]
            .into_iter()
            .find_map(|tag| text(root, tag));
    Acquisition {
        manufacturer: device.manufacturer,
        model: device.model,
        station_name: device.station_name,
        collimator: device.collimator.or_else(|| collimator_type(root)),
        series_description: text(root, tags::SERIES_DESCRIPTION),
        duration: None,
        energy_windows_kev: energy_windows(root),
        views: rotation
            .and_then(|item| unsigned(item, tags::NUMBER_OF_FRAMES_IN_ROTATION).ok().flatten()),
        matrix: None,
        reconstruction,
        corrections: texts(root, tags::CORRECTED_IMAGE),
        calibrated_on: None,
        checked_on: None,
    }
}

fn collimator_type(root: &Object) -> Option<String> {
    first_item(root, tags::DETECTOR_INFORMATION_SEQUENCE)
        .and_then(|item| text(item, tags::COLLIMATOR_TYPE))
        .or_else(|| text(root, tags::COLLIMATOR_TYPE))
}

/// Of NM inside Energy Window Information, of PET at the root.
fn energy_windows(root: &Object) -> Vec<(f64, f64)> {
    let inner = items(root, tags::ENERGY_WINDOW_INFORMATION_SEQUENCE)
        .iter()
        .flat_map(|window| items(window, tags::ENERGY_WINDOW_RANGE_SEQUENCE));
    let limit = |range: &Object, tag| number(range, tag).ok().flatten();
    inner
        .chain(items(root, tags::ENERGY_WINDOW_RANGE_SEQUENCE))
        .filter_map(|range| {
            let lower = limit(range, tags::ENERGY_WINDOW_LOWER_LIMIT)?;
            Some((lower, limit(range, tags::ENERGY_WINDOW_UPPER_LIMIT)?))
        })
        .collect()
}
