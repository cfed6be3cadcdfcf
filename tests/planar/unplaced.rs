//! Views that state no position, as most cameras write them: found on the CT by their counts, or refused.

use super::{compute, errors, options, warned};
use dicom_core::ops::{ApplyOp, AttributeAction, AttributeOp};
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use grayd::phantom::{DigitalPatient, PhantomOptions, Views};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A longer body than the CT: 461 mm, of which the CT of 48 slices of each end less holds the middle.
fn tall() -> PhantomOptions {
    PhantomOptions {
        spect_shape: [96, 64, 64],
        ct_per_spect: 1,
        noise_counts: Some(1e6),
        ..options(Views::Planar)
    }
}

/// Rows and columns that the views get more, so that the patient lies somewhere in them.
const MORE: [usize; 2] = [40, 12];

fn views(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() && path.to_str().unwrap().contains("planar-"))
        .map(|path| path.join("0001.dcm"))
        .collect();
    all.sort();
    all
}

/// Takes the position away and shifts the patient by rows and columns, and parts of one; returns x and z of
/// the first pixel as it lies then.
fn displace(path: &Path, shift: [f64; 2]) -> [f64; 2] {
    let mut object = dicom_object::open_file(path).unwrap();
    let number = |tag| object.element(tag).unwrap().to_int::<usize>().unwrap();
    let (rows, columns, frames) =
        (number(tags::ROWS), number(tags::COLUMNS), number(tags::NUMBER_OF_FRAMES));
    let bytes = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    let counts: Vec<f64> =
        bytes.chunks_exact(2).map(|b| f64::from(u16::from_le_bytes([b[0], b[1]]))).collect();
    let detectors = object.element(tags::DETECTOR_INFORMATION_SEQUENCE).unwrap().items().unwrap();
    let place = detectors[0].element(tags::IMAGE_POSITION_PATIENT).unwrap();
    let place: Vec<f64> = place.to_multi_float64().unwrap();
    let spacing: Vec<f64> =
        object.element(tags::PIXEL_SPACING).unwrap().to_multi_float64().unwrap();
    let (more_rows, more_columns) = (rows + MORE[0], columns + MORE[1]);
    let mut out = Vec::new();
    for frame in 0..frames {
        // Every second frame is seen from behind, where left is left.
        let column_shift = if frame % 2 == 0 { shift[1] } else { MORE[1] as f64 - shift[1] };
        let at = |r: f64, c: f64| {
            let inside = |n: f64, size: usize| n >= 0.0 && n < size as f64;
            let (fr, fc) = (r.floor(), c.floor());
            let mut sum = 0.0;
            for (dr, dc) in [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)] {
                let part = (1.0 - (r - fr - dr).abs()) * (1.0 - (c - fc - dc).abs());
                if inside(fr + dr, rows) && inside(fc + dc, columns) {
                    let index = (frame * rows + (fr + dr) as usize) * columns + (fc + dc) as usize;
                    sum += part * counts[index];
                }
            }
            sum
        };
        let mut carried = 0.0;
        for (r, c) in (0..more_rows).flat_map(|r| (0..more_columns).map(move |c| (r, c))) {
            let value = at(r as f64 - shift[0], c as f64 - column_shift) + carried;
            let whole = value.round().clamp(0.0, 65_535.0);
            carried = value - whole;
            out.extend((whole as u16).to_le_bytes());
        }
    }
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(out)));
    for (tag, value) in [(tags::ROWS, more_rows), (tags::COLUMNS, more_columns)] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value as u16)));
    }
    for detector in 0..2 {
        let at = (tags::DETECTOR_INFORMATION_SEQUENCE, detector, tags::IMAGE_POSITION_PATIENT);
        object.apply(AttributeOp::new(at, AttributeAction::Empty)).unwrap();
    }
    object.write_to_file(path).unwrap();
    [place[0] - shift[1] * spacing[1], place[2] + shift[0] * spacing[0]]
}

/// Where a warning says that the views were put.
fn placed(results: &Value) -> Vec<[f64; 2]> {
    let texts = results["warnings"].as_array().unwrap().iter();
    let texts = texts.filter(|w| w["code"] == "views-placed-by-counts").map(|w| &w["text"]);
    texts
        .map(|text| {
            println!("{text}");
            let text = text.as_str().unwrap();
            let after = |name: &str| {
                let rest = text.split(&format!(" {name} ")).nth(1).unwrap();
                rest.split_whitespace().next().unwrap().parse().unwrap()
            };
            [after("x"), after("z")]
        })
        .collect()
}

/// Takes slices off both ends of the CT.
fn shorten_ct(folder: &Path, slices: usize) {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder.join("ct-1"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    all.sort();
    let last = all.len() - slices;
    for path in all[..slices].iter().chain(&all[last..]) {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn views_without_a_position_are_found_on_a_ct_of_a_part_of_the_body() {
    let folder = tempfile::tempdir().unwrap();
    let patient = DigitalPatient::new(&tall()).unwrap();
    patient.write(folder.path()).unwrap();
    shorten_ct(folder.path(), 18);
    let stated = compute(folder.path(), |text| text).unwrap();
    let shifts = [[7.0, 3.0], [31.4, 8.7], [20.25, 1.5], [12.6, 10.2]];
    let mut truth = Vec::new();
    for (path, shift) in views(folder.path()).iter().zip(shifts) {
        truth.push(displace(path, shift));
    }
    let results = compute(folder.path(), |text| text).unwrap();
    let found = placed(&results);
    assert_eq!(found.len(), truth.len());
    let mut worst = 0.0f64;
    for (found, truth) in found.iter().zip(&truth) {
        // Warnings stand in the order of the scans.
        let off = (found[0] - truth[0]).hypot(found[1] - truth[1]);
        println!("found {found:.2?} of {truth:.2?}: {off:.2} mm");
        worst = worst.max(off);
    }
    assert!(worst < 2.0, "{worst} mm");
    for name in ["Kidney Left", "Kidney Right", "Liver", "Spleen", "Lesion 1", "Lesion 2"] {
        let truth = patient.truth().iter().find(|truth| truth.name == name).unwrap();
        let (before, after) = (errors(&stated, truth), errors(&results, truth));
        println!("{name:12} stated {before:+.3?} found {after:+.3?}");
        let most = if name.starts_with("Lesion") { 0.15 } else { 0.05 };
        assert!(after.iter().all(|e| e.abs() < most), "{name}: {after:?}");
    }
    assert!(!warned(&stated, "views-placed-by-counts"));
}

#[test]
fn views_that_do_not_fit_their_ct_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let once =
        PhantomOptions { times: Some(vec![grayd::quantity::Seconds::from_hours(24.0)]), ..tall() };
    DigitalPatient::new(&once).unwrap().write(folder.path()).unwrap();
    shorten_ct(folder.path(), 18);
    let path = &views(folder.path())[0];
    displace(path, [20.0, 5.0]);
    // Head to feet: another patient, as far as these views go.
    let mut object = dicom_object::open_file(path).unwrap();
    let number = |tag| object.element(tag).unwrap().to_int::<usize>().unwrap();
    let row = 2 * number(tags::COLUMNS);
    let frame = row * number(tags::ROWS);
    let bytes = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    let turned: Vec<u8> = bytes
        .chunks_exact(frame)
        .flat_map(|frame| frame.chunks_exact(row).rev().flatten().copied().collect::<Vec<u8>>())
        .collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(turned)));
    object.write_to_file(path).unwrap();
    let refused = compute(folder.path(), |text| text).unwrap_err();
    println!("{refused}");
    assert!(refused.contains("the counts do not say where the views lie"), "{refused}");
}
