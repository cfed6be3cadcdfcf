//! Segmentations drawn on planar views: which view, which pixel.

use crate::build::{Build, Folder};
use crate::peer::python_with;
use crate::planar::{BACK, COLUMNS, FRONT, ROWS, detector, pixels, read, whole_body};
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use grayd::dicom::InstanceHeader;
use grayd::dicom::read::pixels::decode;
use grayd::dicom::read::{
    OutlinedRegion, ReadError, ViewOutlines, outlines_on, planar, segmented_instances,
    view_outlines,
};
use grayd::quantify::planar::View;
use jiff::tz::TimeZone;
use ndarray::Array2;
use std::path::{Path, PathBuf};
use std::process::Command;

const SIZE: (usize, usize) = (ROWS as usize, COLUMNS as usize);

/// The only instance of [`whole_body`]: frames 1 and 3 are anterior, 2 and 4 posterior, of two windows each.
const VIEWS: &str = "1.2.826.0.1.1";

/// A source image: instance, and frames where they are named.
fn source(instance: &str, frames: &str) -> Build {
    let item = Build::item()
        .uid(tags::REFERENCED_SOP_CLASS_UID, uids::NUCLEAR_MEDICINE_IMAGE_STORAGE)
        .uid(tags::REFERENCED_SOP_INSTANCE_UID, instance);
    if frames.is_empty() { item } else { item.text(tags::REFERENCED_FRAME_NUMBER, VR::IS, frames) }
}

fn derived_from(sources: Vec<Build>) -> Build {
    let derivation = Build::item().sequence(tags::SOURCE_IMAGE_SEQUENCE, sources);
    Build::item().sequence(tags::DERIVATION_IMAGE_SEQUENCE, vec![derivation])
}

/// Frames as (segment, sources, place of the one pixel that is set).
type Frames = Vec<(u16, Vec<Build>, usize)>;

/// A FRACTIONAL segmentation of `size` without any geometry; segments are called `one` and `two`.
fn seg_of(size: (u16, u16), frames: Frames) -> Build {
    let pixels = usize::from(size.0) * usize::from(size.1);
    let mut values = vec![0u8; (frames.len() * pixels).next_multiple_of(2)];
    for (n, (_, _, at)) in frames.iter().enumerate() {
        values[n * pixels + at] = 255;
    }
    let count = frames.len();
    let groups = frames.into_iter().map(|(segment, sources, _)| {
        let reference = Build::item().us(tags::REFERENCED_SEGMENT_NUMBER, segment);
        derived_from(sources).sequence(tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![reference])
    });
    let segment = |number: u16, label: &str| {
        Build::item()
            .us(tags::SEGMENT_NUMBER, number)
            .text(tags::SEGMENT_LABEL, VR::LO, label)
            .code(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, "64033007", "SCT", "Kidney")
    };
    let groups = groups.collect();
    Build::instance(uids::SEGMENTATION_STORAGE, "SEG", 900)
        .cs(tags::SEGMENTATION_TYPE, "FRACTIONAL")
        .cs(tags::SEGMENTATION_FRACTIONAL_TYPE, "OCCUPANCY")
        .us(tags::MAXIMUM_FRACTIONAL_VALUE, 255)
        .sequence(tags::SEGMENT_SEQUENCE, vec![segment(1, "one"), segment(2, "two")])
        .sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, groups)
        .pixels(size.0, size.1, count, 8)
        .bytes(&values)
}

fn seg(frames: Frames) -> Build {
    seg_of((ROWS, COLUMNS), frames)
}

fn read_seg(object: &Build) -> Result<ViewOutlines, ReadError> {
    let folder = Folder::new();
    view_outlines(&folder.write("seg", object))
}

fn on_whole_body(frames: Frames) -> Result<Vec<OutlinedRegion>, ReadError> {
    read_seg(&seg(frames))?.on(&read(&[whole_body()]).unwrap())
}

fn refused(frames: Frames) -> String {
    on_whole_body(frames).unwrap_err().to_string()
}

/// Row and column of every pixel of a mask.
fn places(mask: &Array2<bool>) -> Vec<(usize, usize)> {
    mask.indexed_iter().filter(|(_, set)| **set).map(|(at, _)| at).collect()
}

#[test]
fn outlines_are_turned_as_the_view_is_and_any_window_of_a_view_will_do() {
    let scan = read(&[whole_body()]).unwrap();
    // Frame 3: anterior, the second window; frame 2: posterior, whose first column is the raster's last.
    let frames = vec![
        (1, vec![source(VIEWS, "3")], 5),
        (1, vec![source(VIEWS, "2")], 4),
        (2, vec![source(VIEWS, "4\\2")], 0),
    ];
    let regions = on_whole_body(frames).unwrap();
    let names: Vec<&str> = regions.iter().map(|r| r.outline.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    let [front, back] = &regions[0].outline.masks;
    assert_eq!((places(front), places(back)), (vec![(1, 1)], vec![(1, 3)]));
    assert_eq!(front.dim(), (scan.image.raster.rows, scan.image.raster.columns));
    assert_eq!(regions[0].outlined, [true, true]);
    assert_eq!(regions[0].anatomy.as_ref().unwrap().meaning, "Kidney");
    // Drawn on the back alone: the same on both.
    assert_eq!(regions[1].outlined, [false, true]);
    assert!(regions[1].outline.masks.iter().all(|mask| places(mask) == [(0, 3)]));
}

#[test]
fn a_pixel_of_a_mask_lies_on_the_count_that_it_was_drawn_on() {
    // Each view with each of the ways in which a camera may store it.
    for back in [BACK, FRONT, "1\\0\\0\\0\\0\\1", "-1\\0\\0\\0\\0\\1"] {
        let detectors = vec![detector(FRONT, "", "180"), detector(back, "", "0")];
        let object = whole_body().sequence(tags::DETECTOR_INFORMATION_SEQUENCE, detectors);
        let scan = read(&[object]).unwrap();
        for (frame, view) in [(1, 0), (2, 1)] {
            for at in 0..12 {
                let drawn = vec![(1, vec![source(VIEWS, &frame.to_string())], at)];
                let regions = read_seg(&seg(drawn)).unwrap().on(&scan).unwrap();
                let here = places(&regions[0].outline.masks[view]);
                let counts = &scan.image.frames[frame - 1].counts;
                let stored = f32::from(pixels(4)[(frame - 1) * 12 + at]);
                assert_eq!((here.len(), counts[here[0]]), (1, stored), "{back} {frame} {at}");
            }
        }
    }
}

#[test]
fn a_scan_that_was_not_drawn_on_has_no_outlines() {
    assert_eq!(on_whole_body(vec![(1, vec![source("1.2.3", "1")], 5)]).unwrap(), []);
}

#[test]
fn parts_of_pixels_belong_from_one_half_and_frames_without_a_pixel_are_no_outline() {
    let mut values = [0u8; 24];
    (values[1], values[2]) = (127, 128);
    let frames = vec![(1, vec![source(VIEWS, "1")], 0), (1, vec![source(VIEWS, "2")], 0)];
    let object = seg(frames).bytes(&values);
    let regions = read_seg(&object).unwrap().on(&read(&[whole_body()]).unwrap()).unwrap();
    assert_eq!(regions[0].outlined, [true, false]);
    assert!(regions[0].outline.masks.iter().all(|mask| places(mask) == [(0, 2)]));
}

#[test]
fn what_leaves_a_view_open_is_refused() {
    for (sources, word) in [
        (vec![], "does not name the view"),
        (
            vec![source(VIEWS, "").uid(tags::REFERENCED_SOP_CLASS_UID, uids::CT_IMAGE_STORAGE)],
            "does not name",
        ),
        (vec![source(VIEWS, "")], "several views at once"),
        (vec![source(VIEWS, "1\\2")], "several views at once"),
        (vec![source(VIEWS, "5")], "has no frame 5, which segment one names"),
        (vec![source(VIEWS, "0")], "numbered from 1"),
        (
            vec![source(VIEWS, "1").cs(tags::SPATIAL_LOCATIONS_PRESERVED, "NO")],
            "it is NO in frame 1",
        ),
    ] {
        let error = refused(vec![(1, sources, 5)]);
        assert!(error.contains(word), "{word}: {error}");
    }
    let preserved = source(VIEWS, "1").cs(tags::SPATIAL_LOCATIONS_PRESERVED, "YES");
    assert_eq!(on_whole_body(vec![(1, vec![preserved], 5)]).unwrap().len(), 1);
}

#[test]
fn a_region_has_one_outline_on_a_view_one_name_and_the_pixels_of_the_view() {
    let twice =
        |second| vec![(1, vec![source(VIEWS, "1")], 5), (1, vec![source(VIEWS, "3")], second)];
    assert_eq!(places(&on_whole_body(twice(5)).unwrap()[0].outline.masks[0]), [(1, 1)]);
    let error = refused(twice(6));
    assert!(
        error.contains("region one has two different outlines on the anterior view"),
        "{error}"
    );

    let coarse = seg_of((2, 2), vec![(1, vec![source(VIEWS, "1")], 1)]);
    let error = read_seg(&coarse).unwrap().on(&read(&[whole_body()]).unwrap()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("2 rows and 2 columns") && error.contains("has 3 and 4"), "{error}");

    let label = |text: &str| {
        let segment = |number| {
            Build::item().us(tags::SEGMENT_NUMBER, number).text(tags::SEGMENT_LABEL, VR::LO, text)
        };
        let both = vec![segment(1), segment(2)];
        let object = seg(vec![(1, vec![source(VIEWS, "1")], 5)]);
        read_seg(&object.sequence(tags::SEGMENT_SEQUENCE, both)).unwrap_err().to_string()
    };
    assert!(label("kidney").contains("two segments are labelled kidney"));
    assert!(label("").contains("SegmentLabel"));
    let unknown = refused(vec![(7, vec![source(VIEWS, "1")], 5)]);
    assert!(unknown.contains("segment 7"), "{unknown}");
}

#[test]
fn objects_of_one_view_each_make_one_region_if_they_agree_on_what_it_is() {
    let scan = read(&[whole_body()]).unwrap();
    let on = |frame: &str, at, number: usize| {
        let object = seg(vec![(1, vec![source(VIEWS, frame)], at)]);
        read_seg(&object.uid(tags::SOP_INSTANCE_UID, &format!("1.2.826.0.1.{number}"))).unwrap()
    };
    let (front, back) = (on("1", 5, 901), on("2", 4, 902));
    let regions = outlines_on(&[back.clone(), front.clone()], &scan).unwrap();
    assert_eq!(regions, outlines_on(&[front.clone(), back.clone()], &scan).unwrap());
    assert_eq!((regions.len(), regions[0].outlined), (1, [true, true]));
    assert_eq!(places(&regions[0].outline.masks[1]), [(1, 3)]);
    let mut other = back;
    other.segments[0].anatomy = None;
    let error = outlines_on(&[front.clone(), other], &scan).unwrap_err().to_string();
    assert!(error.contains("name two anatomies"), "{error}");
    let error = outlines_on(&[front, on("1", 6, 903)], &scan).unwrap_err().to_string();
    assert!(error.contains("two different outlines"), "{error}");
}

#[test]
fn it_is_told_what_a_segmentation_was_drawn_on() {
    let folder = Folder::new();
    let frames = vec![(1, vec![source(VIEWS, "1"), source("1.2.3", "")], 5)];
    let path = folder.write("seg", &seg(frames));
    let drawn_on: Vec<String> =
        segmented_instances(&path).unwrap().iter().map(|uid| uid.as_str().to_owned()).collect();
    assert_eq!(drawn_on, ["1.2.3", VIEWS]);
}

/// Has highdicom draw `segments` (see the script) on an NM image.
fn drawn_by_highdicom(python: &Path, views: &Path, output: &Path, kind: &str, segments: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/seg_on_views.py");
    let mut command = Command::new(python);
    crate::peer::said(command.arg(script).args([views, output]).args([kind, segments]));
}

#[test]
fn outlines_that_highdicom_writes_on_the_frames_of_a_whole_body_image_lie_on_both_views() {
    let Some(python) = python_with("highdicom") else { return };
    let folder = Folder::new();
    let views = folder.write("views", &whole_body());
    let scan = planar(std::slice::from_ref(&views), &TimeZone::UTC).unwrap();
    let segments =
        r#"{"liver": [[0, 1, 0], [0, 1, 1], [1, 1, 2], [1, 1, 3]], "bladder": [[3, 2, 1]]}"#;
    for kind in ["BINARY", "FRACTIONAL", "LABELMAP"] {
        let path = folder.path(kind);
        drawn_by_highdicom(&python, &views, &path, kind, segments);
        let regions = view_outlines(&path).unwrap().on(&scan).unwrap();
        let [liver, bladder] = &regions[..] else { panic!("{kind}: {regions:?}") };
        assert_eq!((liver.outline.name.as_str(), liver.outlined), ("liver", [true, true]));
        assert_eq!(places(&liver.outline.masks[0]), [(1, 0), (1, 1)], "{kind}");
        // The back is stored from the patient's right to the left: columns 2 and 3 are 1 and 0.
        assert_eq!(places(&liver.outline.masks[1]), [(1, 0), (1, 1)], "{kind}");
        assert_eq!(
            (bladder.outlined, places(&bladder.outline.masks[0])),
            ([false, true], vec![(2, 2)])
        );
        // What intake and inputs go by.
        let header = InstanceHeader::read(&path, &TimeZone::UTC).unwrap();
        assert_eq!(header.referenced_series, std::slice::from_ref(&scan.series));
        assert!(segmented_instances(&path).unwrap().contains(&scan.sources[0].sop_instance));
    }
}

#[test]
fn outlines_that_highdicom_writes_on_views_without_a_place_lie_on_both_views() {
    let Some(python) = python_with("highdicom") else { return };
    let folder = Folder::new();
    // One instance a view, as highdicom wants them where there is no frame of reference.
    let one = |orientation, angle, number: usize| {
        whole_body()
            .without(tags::FRAME_OF_REFERENCE_UID)
            .uid(tags::SOP_INSTANCE_UID, &format!("1.2.826.0.1.{number}"))
            .pixels(ROWS, COLUMNS, 1, 16)
            .us_list(tags::ENERGY_WINDOW_VECTOR, &[1])
            .us_list(tags::DETECTOR_VECTOR, &[1])
            .sequence(tags::DETECTOR_INFORMATION_SEQUENCE, vec![detector(orientation, "", angle)])
            .words(&pixels(1))
    };
    let views =
        [folder.write("front", &one(FRONT, "180", 1)), folder.write("back", &one(BACK, "0", 2))];
    let scan = planar(&views, &TimeZone::UTC).unwrap();
    let segments = [r#"{"spleen": [[0, 0, 3]]}"#, r#"{"spleen": [[0, 0, 0], [0, 2, 0]]}"#];
    let paths: Vec<PathBuf> = ["seg front", "seg back"].map(|name| folder.path(name)).into();
    let mut objects = Vec::new();
    for n in 0..2 {
        drawn_by_highdicom(&python, &views[n], &paths[n], "BINARY", segments[n]);
        objects.push(view_outlines(&paths[n]).unwrap());
        assert_eq!(objects[n].segments[0].frames[0].drawn_on[0].frame, None);
    }
    let regions = outlines_on(&objects, &scan).unwrap();
    assert_eq!((regions.len(), regions[0].outlined), (1, [true, true]));
    let [front, back] = &regions[0].outline.masks;
    assert_eq!((places(front), places(back)), (vec![(0, 3)], vec![(0, 3), (2, 3)]));
    assert_eq!(front.dim(), SIZE);
}

#[test]
fn the_hottest_pixels_of_a_real_scan_are_found_where_highdicom_outlined_them() {
    let (Some(openrem), Some(python)) =
        (crate::real::folder("openrem_nm"), python_with("highdicom"))
    else {
        return;
    };
    let views = openrem.join("NM-NmIm-Siemens.dcm");
    let stored = decode(&dicom_object::open_file(&views).unwrap()).unwrap();
    let columns = stored.format().columns as usize;
    let hottest = [0, 1].map(|frame| {
        let counts = stored.frame(frame);
        (0..counts.len()).max_by_key(|&n| (counts[n], n)).map(|n| (n, counts[n])).unwrap()
    });
    let place = |frame: usize| {
        format!("[{frame}, {}, {}]", hottest[frame].0 / columns, hottest[frame].0 % columns)
    };
    let segments = format!("{{\"hottest\": [{}, {}]}}", place(0), place(1));
    let folder = Folder::new();
    let path = folder.path("seg");
    drawn_by_highdicom(&python, &views, &path, "BINARY", &segments);
    let scan = planar(&[views], &TimeZone::UTC).unwrap();
    let regions = view_outlines(&path).unwrap().on(&scan).unwrap();
    for (view, mask) in View::BOTH.into_iter().zip(&regions[0].outline.masks) {
        let [at] = places(mask)[..] else { panic!("{:?}", places(mask)) };
        let counts = &scan.image.frame(view, 0).unwrap().counts;
        let frame = scan.stored.iter().position(|stored| stored.view == view).unwrap();
        assert_eq!(counts[at], hottest[frame].1 as f32, "{}", view.name());
    }
}
