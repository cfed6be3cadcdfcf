//! Transmission scans: one view in one window, turned to the anterior's raster.

use crate::build::{Build, Folder};
use crate::planar::{BACK, COLUMNS, FRONT, ROWS, detector, pixels, stored, whole_body, window};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use grayd::dicom::read::{ReadError, Transmission, planar, transmission};
use grayd::quantify::planar::Exposure;
use jiff::tz::TimeZone;

/// 57Co, 122 keV, seen from the front or the back.
fn source_scan(seen_by: Build) -> Build {
    whole_body()
        .cs(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\WHOLE BODY\\TRANSMISSION")
        .pixels(ROWS, COLUMNS, 1, 16)
        .us_list(tags::ENERGY_WINDOW_VECTOR, &[1])
        .us_list(tags::DETECTOR_VECTOR, &[1])
        .sequence(tags::DETECTOR_INFORMATION_SEQUENCE, vec![seen_by])
        .sequence(tags::ENERGY_WINDOW_INFORMATION_SEQUENCE, vec![window("112", "132")])
        .words(&pixels(1))
}

fn front() -> Build {
    detector(FRONT, "-6\\-90\\40", "180")
}

fn read(objects: &[Build]) -> Result<Transmission, ReadError> {
    let folder = Folder::new();
    let names = objects.iter().enumerate().map(|(n, o)| folder.write(&format!("{n}.dcm"), o));
    transmission(&names.collect::<Vec<_>>(), &TimeZone::UTC)
}

fn refused(object: Build) -> String {
    read(&[object]).unwrap_err().to_string()
}

#[test]
fn a_transmission_scan_has_counts_exposure_and_the_energy_of_its_window() {
    let scan = read(&[source_scan(front())]).unwrap();
    assert_eq!(scan.image.energy.value(), 122.0);
    assert_eq!(scan.image.counts[[2, 1]], f32::from(stored(0, 2, 1)));
    assert_eq!(scan.image.raster.spacing_mm, [4.0, 10.0]);
    assert_eq!(scan.image.raster.origin_lps_mm, Some([-6.0, -90.0, 40.0]));
    let Exposure::Scanning { velocity, first_row_first, .. } = scan.image.exposure else {
        panic!("{:?}", scan.image.exposure)
    };
    assert_eq!((velocity, first_row_first), (2.0, Some(false)));
    assert_eq!(scan.acquired.to_string(), "2026-03-02T10:15:00Z");
    assert_eq!((scan.sources.len(), scan.stored[0].frame), (1, 1));
}

#[test]
fn a_view_from_behind_lies_on_the_raster_of_one_from_the_front() {
    let behind = read(&[source_scan(detector(BACK, "6\\80\\40", "0"))]).unwrap().image;
    assert_eq!(behind.raster.axes, [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]);
    assert_eq!(behind.raster.origin_lps_mm, Some([-6.0, 80.0, 40.0]));
    assert_eq!(behind.counts[[2, 1]], f32::from(stored(0, 2, 2)));
    // Stored mirrored by the camera.
    let mirrored = read(&[source_scan(detector(FRONT, "-6\\80\\40", "0"))]).unwrap().image;
    assert_eq!(mirrored.raster, behind.raster);
    assert_eq!(mirrored.counts[[2, 1]], f32::from(stored(0, 2, 1)));
    // Without a place the usual way of showing it stands.
    let nowhere = read(&[source_scan(Build::item().ds(tags::START_ANGLE, "0"))]).unwrap().image;
    assert_eq!((nowhere.counts, nowhere.raster.origin_lps_mm), (behind.counts, None));
}

#[test]
fn static_ones_have_a_duration() {
    let still = source_scan(front())
        .cs(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\STATIC\\TRANSMISSION")
        .without(tags::SCAN_VELOCITY);
    let Exposure::Static { duration } = read(&[still]).unwrap().image.exposure else { panic!() };
    assert_eq!(duration.value(), 900.0);
}

#[test]
fn what_is_no_one_view_in_one_window_is_refused_with_what_to_send() {
    let two = |vectors: [&[u16]; 2]| {
        whole_body()
            .cs(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\WHOLE BODY\\TRANSMISSION")
            .pixels(ROWS, COLUMNS, 2, 16)
            .us_list(tags::ENERGY_WINDOW_VECTOR, vectors[0])
            .us_list(tags::DETECTOR_VECTOR, vectors[1])
            .words(&pixels(2))
    };
    let range = |low, high| {
        Build::item()
            .ds(tags::ENERGY_WINDOW_LOWER_LIMIT, low)
            .ds(tags::ENERGY_WINDOW_UPPER_LIMIT, high)
    };
    // 153Gd.
    let ranges = vec![range("38", "48"), range("92", "112")];
    let ranges = Build::item().sequence(tags::ENERGY_WINDOW_RANGE_SEQUENCE, ranges);
    let emission = "ORIGINAL\\PRIMARY\\WHOLE BODY\\EMISSION";
    for (object, word) in [
        (two([&[1, 2], &[1, 1]]), "several energy windows"),
        (two([&[1, 1], &[1, 2]]), "two detectors"),
        (two([&[1, 1], &[1, 1]]), "one scan a series"),
        (
            source_scan(front()).sequence(tags::ENERGY_WINDOW_INFORMATION_SEQUENCE, vec![ranges]),
            "several ranges",
        ),
        (source_scan(front()).cs(tags::IMAGE_TYPE, emission), "a transmission scan is wanted"),
        (
            source_scan(front())
                .cs(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\RECON TOMO\\TRANSMISSION"),
            "WHOLE BODY or STATIC is wanted",
        ),
        (source_scan(front()).without(tags::SCAN_VELOCITY), "ScanVelocity"),
        (source_scan(front()).cs(tags::UNITS, "BQML"), "counts is wanted"),
    ] {
        let error = refused(object);
        assert!(error.contains(word), "{word}: {error}");
    }
    let another = source_scan(front()).uid(tags::SOP_INSTANCE_UID, "1.2.826.0.1.2");
    let error = read(&[source_scan(front()), another]).unwrap_err().to_string();
    assert!(error.contains("one scan a series"), "{error}");
}

#[test]
fn what_the_patient_was_given_is_not_asked_for_and_no_activity_is_read_of_it() {
    let given = Build::item()
        .text(tags::RADIOPHARMACEUTICAL, VR::LO, "177Lu")
        .ds(tags::RADIONUCLIDE_TOTAL_DOSE, "200");
    let object =
        source_scan(front()).sequence(tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, vec![given]);
    let scan = read(std::slice::from_ref(&object)).unwrap();
    assert_eq!((scan.radiopharmaceutical.injection.total, scan.image.warnings.len()), (None, 0));
    let folder = Folder::new();
    let error = planar(&[folder.write("t", &object)], &TimeZone::UTC).unwrap_err().to_string();
    assert!(error.contains("a transmission scan is no activity"), "{error}");
}
