//! Whole-body and static views: which side, which raster, which window, how long.

use crate::build::{Build, Folder};
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use grayd::dicom::read::{Planar, ReadError, planar};
use grayd::quantify::planar::{Exposure, View};
use grayd::quantity::Seconds;
use jiff::tz::TimeZone;

pub const ROWS: u16 = 3;
pub const COLUMNS: u16 = 4;

/// Count of (frame, row, column), as stored.
pub fn stored(frame: u16, row: u16, column: u16) -> u16 {
    100 * frame + 10 * row + column
}

pub fn pixels(frames: u16) -> Vec<u16> {
    let frame = |f| (0..ROWS).flat_map(move |r| (0..COLUMNS).map(move |c| stored(f, r, c)));
    (0..frames).flat_map(frame).collect()
}

pub fn detector(orientation: &str, position: &str, angle: &str) -> Build {
    Build::item()
        .ds(tags::IMAGE_POSITION_PATIENT, position)
        .ds(tags::IMAGE_ORIENTATION_PATIENT, orientation)
        .ds(tags::START_ANGLE, angle)
        .ds(tags::FIELD_OF_VIEW_DIMENSIONS, "533\\387")
}

pub const FRONT: &str = "1\\0\\0\\0\\0\\-1";
pub const BACK: &str = "-1\\0\\0\\0\\0\\-1";

pub fn window(low: &str, high: &str) -> Build {
    let range = Build::item()
        .ds(tags::ENERGY_WINDOW_LOWER_LIMIT, low)
        .ds(tags::ENERGY_WINDOW_UPPER_LIMIT, high);
    Build::item().sequence(tags::ENERGY_WINDOW_RANGE_SEQUENCE, vec![range])
}

/// Two windows of two detectors, 4 mm across and 10 mm along.
pub fn whole_body() -> Build {
    let detectors = vec![detector(FRONT, "-6\\-90\\40", "180"), detector(BACK, "6\\80\\40", "0")];
    Build::instance(uids::NUCLEAR_MEDICINE_IMAGE_STORAGE, "NM", 1)
        .cs(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\WHOLE BODY\\EMISSION")
        .text(tags::ACQUISITION_DATE, VR::DA, "20260302")
        .text(tags::ACQUISITION_TIME, VR::TM, "101500")
        .pixels(ROWS, COLUMNS, 4, 16)
        .at(tags::FRAME_INCREMENT_POINTER, &[tags::ENERGY_WINDOW_VECTOR, tags::DETECTOR_VECTOR])
        .us_list(tags::ENERGY_WINDOW_VECTOR, &[1, 1, 2, 2])
        .us_list(tags::DETECTOR_VECTOR, &[1, 2, 1, 2])
        .ds(tags::PIXEL_SPACING, "10\\4")
        .ds(tags::SCAN_VELOCITY, "2")
        .text(tags::ACTUAL_FRAME_DURATION, VR::IS, "900000")
        .cs(tags::SCAN_PROGRESSION_DIRECTION, "FEET_TO_HEAD")
        .sequence(tags::DETECTOR_INFORMATION_SEQUENCE, detectors)
        .sequence(
            tags::ENERGY_WINDOW_INFORMATION_SEQUENCE,
            vec![window("187.5", "229.2"), window("166.7", "187.5")],
        )
        .words(&pixels(4))
}

pub fn read(objects: &[Build]) -> Result<Planar, ReadError> {
    let folder = Folder::new();
    let names = objects.iter().enumerate().map(|(n, o)| folder.write(&format!("{n}.dcm"), o));
    let paths: Vec<_> = names.collect();
    planar(&paths, &TimeZone::UTC)
}

fn refused(object: Build) -> String {
    read(&[object]).unwrap_err().to_string()
}

/// The detectors of a whole-body image anew.
fn seen_by(front: Build, back: Build) -> Build {
    whole_body().sequence(tags::DETECTOR_INFORMATION_SEQUENCE, vec![front, back])
}

#[test]
fn views_windows_and_exposure_are_what_the_object_says() {
    let scan = read(&[whole_body()]).unwrap();
    let image = &scan.image;
    assert_eq!(image.raster.spacing_mm, [4.0, 10.0]);
    assert_eq!(image.raster.origin_lps_mm, Some([-6.0, -90.0, 40.0]));
    assert_eq!(
        image.exposure,
        Exposure::Scanning {
            velocity: 2.0,
            field_of_view_mm: Some(387.0),
            first_row_first: Some(false),
            duration: Some(Seconds::new(900.0)),
        }
    );
    assert_eq!(image.windows[0].ends(), [187.5, 229.2]);
    let front = image.frame(View::Anterior, 1).unwrap();
    assert_eq!(front.counts[[2, 1]], f32::from(stored(2, 2, 1)));
    // From behind left is left: the pixel behind column 1 is column 2 of 4 as stored.
    let back = image.frame(View::Posterior, 1).unwrap();
    assert_eq!(back.counts[[2, 1]], f32::from(stored(3, 2, 2)));
    assert_eq!(scan.acquired.to_string(), "2026-03-02T10:15:00Z");
}

#[test]
fn a_view_is_known_by_code_or_angle_or_orientation_and_never_by_text() {
    let side = |object: Build| {
        let image = read(&[object]).unwrap().image;
        // The first detector's own first pixel.
        let is_first = |view| image.frame(view, 0).is_some_and(|f| f.counts[[0, 0]] == 0.0);
        is_first(View::Anterior)
    };
    let bare = |orientation| {
        Build::item().ds(tags::IMAGE_ORIENTATION_PATIENT, orientation).text(
            tags::IMAGE_ID,
            VR::SH,
            "ANT",
        )
    };
    assert!(side(seen_by(bare(FRONT), bare(BACK))), "by orientation");
    let angle = |degrees| Build::item().ds(tags::START_ANGLE, degrees);
    assert!(side(seen_by(angle("180"), angle("359.5"))), "by angle");
    let coded = |value| Build::item().code(tags::VIEW_CODE_SEQUENCE, value, "SCT", "any");
    assert!(side(seen_by(coded("399321004"), coded("399001007"))), "by code");

    let text = |text| Build::item().text(tags::IMAGE_ID, VR::SH, text);
    assert!(refused(seen_by(text("ANT"), text("POST"))).contains("from which side"));
    let both = coded("399321004").ds(tags::START_ANGLE, "0");
    assert!(refused(seen_by(both, coded("399001007"))).contains("it says anterior"));
    assert!(refused(seen_by(angle("90"), angle("270"))).contains("neither from the front"));
    let same = || detector(FRONT, "-6\\-90\\40", "180");
    assert!(refused(seen_by(same(), same())).contains("stands twice"));
}

#[test]
fn a_posterior_view_that_was_stored_mirrored_is_not_turned_again() {
    let back = detector(FRONT, "-6\\80\\40", "0");
    let image = read(&[seen_by(detector(FRONT, "-6\\-90\\40", "180"), back)]).unwrap().image;
    let frame = image.frame(View::Posterior, 0).unwrap();
    assert_eq!(frame.counts[[1, 3]], f32::from(stored(1, 1, 3)));
}

#[test]
fn the_scan_runs_along_the_rows_of_the_raster_whichever_detector_comes_first() {
    let first_row_first =
        |first: Build, second: Build| match read(&[seen_by(first, second)]).unwrap().image.exposure
        {
            Exposure::Scanning { first_row_first, .. } => first_row_first,
            other => panic!("{other:?}"),
        };
    let front = || detector(FRONT, "-6\\-90\\40", "180");
    // Stored feet first, which the raster, of the anterior view, is not.
    let back = || detector("1\\0\\0\\0\\0\\1", "-6\\80\\20", "0");
    assert_eq!(first_row_first(front(), back()), Some(false));
    assert_eq!(first_row_first(back(), front()), Some(false));
}

#[test]
fn frames_of_several_windows_or_detectors_need_their_vectors() {
    for (vector, word) in [
        (tags::ENERGY_WINDOW_VECTOR, "EnergyWindowVector"),
        (tags::DETECTOR_VECTOR, "DetectorVector"),
    ] {
        let error = refused(whole_body().without(vector));
        assert!(error.contains(word) && error.contains("told apart"), "{error}");
    }
    // Of one window nothing is to be told.
    let single = whole_body()
        .pixels(ROWS, COLUMNS, 2, 16)
        .us_list(tags::DETECTOR_VECTOR, &[1, 2])
        .without(tags::ENERGY_WINDOW_VECTOR)
        .sequence(tags::ENERGY_WINDOW_INFORMATION_SEQUENCE, vec![window("187.5", "229.2")])
        .words(&pixels(2));
    assert_eq!(read(&[single]).unwrap().image.frames.len(), 2);
}

#[test]
fn views_in_two_instances_are_one_scan_and_their_order_does_not_matter() {
    let one = |detector: Build, number, frame: u16| {
        whole_body()
            .uid(tags::SOP_INSTANCE_UID, &format!("1.2.826.0.1.{number}"))
            .pixels(ROWS, COLUMNS, 1, 16)
            .us_list(tags::ENERGY_WINDOW_VECTOR, &[1])
            .us_list(tags::DETECTOR_VECTOR, &[1])
            .sequence(tags::DETECTOR_INFORMATION_SEQUENCE, vec![detector])
            .words(&pixels(2)[usize::from(frame) * 12..][..12])
    };
    let front = one(detector(FRONT, "-6\\-90\\40", "180"), 1, 0);
    let back = one(detector(BACK, "6\\80\\40", "0"), 2, 1);
    let scan = read(&[back.clone(), front.clone()]).unwrap();
    assert_eq!(scan.image, read(&[front.clone(), back.clone()]).unwrap().image);
    assert_eq!((scan.image.frames.len(), scan.sources.len()), (2, 2));
    // One head that goes round: the back was seen a quarter of an hour after the front.
    let at = |object: Build, time| object.text(tags::ACQUISITION_TIME, VR::TM, time);
    let error = read(&[front.clone(), at(back.clone(), "103000")]).unwrap_err().to_string();
    assert!(error.contains("2026-03-02T10:15:00Z"), "{error}");
    assert!(error.contains("2026-03-02T10:30:00Z"), "{error}");
    assert!(read(&[at(front, "101500.25"), back]).is_ok());
}

#[test]
fn static_views_have_a_duration_and_what_has_no_rate_is_refused() {
    let image_type = "ORIGINAL\\PRIMARY\\STATIC\\EMISSION";
    let still = whole_body().cs(tags::IMAGE_TYPE, image_type).without(tags::SCAN_VELOCITY);
    let image = read(std::slice::from_ref(&still)).unwrap().image;
    assert_eq!(image.exposure, Exposure::Static { duration: Seconds::new(900.0) });
    for (object, word) in [
        (still.without(tags::ACTUAL_FRAME_DURATION), "ActualFrameDuration"),
        (whole_body().without(tags::SCAN_VELOCITY), "ScanVelocity"),
        (whole_body().cs(tags::WHOLE_BODY_TECHNIQUE, "MSP"), "several static views"),
        (whole_body().without(tags::ENERGY_WINDOW_INFORMATION_SEQUENCE), "EnergyWindow"),
        (whole_body().ds(tags::PIXEL_SPACING, "0\\4"), "PixelSpacing"),
        (whole_body().us_list(tags::DETECTOR_VECTOR, &[1, 2, 1, 3]), "DetectorVector"),
        (whole_body().us_list(tags::DETECTOR_VECTOR, &[1, 2]), "DetectorVector"),
        (whole_body().cs(tags::UNITS, "BQML"), "counts is wanted"),
        (
            whole_body().cs(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\WHOLE BODY\\TRANSMISSION"),
            "transmission",
        ),
        (
            whole_body().cs(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\RECON TOMO\\EMISSION"),
            "WHOLE BODY or STATIC is wanted",
        ),
    ] {
        let error = refused(object);
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn views_that_do_not_lie_behind_each_other_are_refused() {
    let front = || detector(FRONT, "-6\\-90\\40", "180");
    let shifted = seen_by(front(), detector(BACK, "10\\80\\40", "0"));
    assert!(refused(shifted).contains("do not lie behind"));
    let turned = seen_by(front(), detector("0\\0\\-1\\-1\\0\\0", "6\\80\\40", "0"));
    assert!(refused(turned).contains("not parallel"));
    // Without positions both are centred on the same detector axis, as the hardware is.
    let nowhere = seen_by(detector(FRONT, "", "180"), detector(BACK, "", "0"));
    assert_eq!(read(&[nowhere]).unwrap().image.raster.origin_lps_mm, None);
}
