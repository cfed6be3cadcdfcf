//! Regions, registrations, mappings and dose reports.

use crate::build::{Build, Folder};
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use grayd::dicom::read::{
    EmissionContext, ReadError, Registration, Segmentation, StructureSet, administration, emission,
    registration, rwvm, segmentation, structure_set,
};
use grayd::quantity::Seconds;
use grayd::segment::contour::ContourKind;
use jiff::tz::TimeZone;

const ROWS: u16 = 3;
const COLUMNS: u16 = 5;

/// A segmentation whose frames are (segment, slice number); slices are 2 mm apart from z = 10.
fn seg(frames: &[(u16, i32)], kind: &str, bits: u16) -> Build {
    let shared = Build::item()
        .sequence(
            tags::PIXEL_MEASURES_SEQUENCE,
            vec![
                Build::item()
                    .ds(tags::PIXEL_SPACING, "1.5\\1")
                    .ds(tags::SPACING_BETWEEN_SLICES, "2"),
            ],
        )
        .sequence(
            tags::PLANE_ORIENTATION_SEQUENCE,
            vec![Build::item().ds(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0")],
        );
    let per_frame = frames
        .iter()
        .map(|&(segment, k)| {
            let frame = Build::item().sequence(
                tags::PLANE_POSITION_SEQUENCE,
                vec![
                    Build::item()
                        .ds(tags::IMAGE_POSITION_PATIENT, &format!("0\\0\\{}", 10 + 2 * k)),
                ],
            );
            if kind == "LABELMAP" {
                return frame;
            }
            let reference = Build::item().us(tags::REFERENCED_SEGMENT_NUMBER, segment);
            frame.sequence(tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![reference])
        })
        .collect();
    let segment = |number: u16, label: &str| {
        Build::item()
            .us(tags::SEGMENT_NUMBER, number)
            .text(tags::SEGMENT_LABEL, VR::LO, label)
            .code(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, "64033007", "SCT", "Kidney")
    };
    let class = match kind {
        "LABELMAP" => uids::LABEL_MAP_SEGMENTATION_STORAGE,
        _ => uids::SEGMENTATION_STORAGE,
    };
    Build::instance(class, "SEG", 200)
        .cs(tags::SEGMENTATION_TYPE, kind)
        .sequence(tags::SEGMENT_SEQUENCE, vec![segment(1, "one"), segment(700, "other")])
        .sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared])
        .sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, per_frame)
        .pixels(ROWS, COLUMNS, frames.len(), bits)
}

fn read_seg(object: &Build) -> Result<Segmentation, ReadError> {
    let folder = Folder::new();
    segmentation(&folder.write("seg", object))
}

/// Bits of all frames without a gap, least significant first.
fn packed(frames: &[[u8; 15]]) -> Vec<u8> {
    let bits: Vec<u8> = frames.concat();
    let mut bytes: Vec<u8> =
        bits.chunks(8).map(|c| c.iter().enumerate().map(|(n, b)| b << n).sum()).collect();
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes
}

#[test]
fn binary_frames_run_on_bit_by_bit_and_lie_where_their_position_says() {
    let mut high = [0u8; 15];
    (high[0], high[14]) = (1, 1);
    let mut low = [0u8; 15];
    low[7] = 1;
    let mut other = [0u8; 15];
    other[3] = 1;
    // Slice 1 is left out; the upper frame comes first.
    let object = seg(&[(1, 2), (1, 0), (700, 2)], "BINARY", 1).bytes(&packed(&[high, low, other]));
    let read = read_seg(&object).unwrap();
    assert_eq!(read.grid.shape(), [3, ROWS as usize, COLUMNS as usize]);
    assert_eq!(read.grid.spacing_mm(), [1.0, 1.5, 2.0]);
    assert_eq!(read.grid.origin_lps_mm(), [0.0, 0.0, 10.0]);
    let voxels = |n: usize| read.segments[n].occupancy.iter().collect::<Vec<_>>();
    assert_eq!(voxels(0), [(7, 1.0), (30, 1.0), (44, 1.0)]);
    assert_eq!(voxels(1), [(33, 1.0)]);
    assert_eq!(read.segments[1].number, 700);
    assert_eq!(read.segments[0].anatomy.as_ref().unwrap().meaning, "Kidney");
}

#[test]
fn fractions_are_volumes_or_probabilities() {
    let mut values = [0u8; 16];
    (values[0], values[1], values[2]) = (50, 99, 200);
    let object = seg(&[(1, 0)], "FRACTIONAL", 8).bytes(&values);
    let untyped = read_seg(&object).unwrap_err().to_string();
    assert!(untyped.contains("SegmentationFractionalType"), "{untyped}");
    let unscaled = object.clone().cs(tags::SEGMENTATION_FRACTIONAL_TYPE, "OCCUPANCY");
    let unscaled = read_seg(&unscaled).unwrap_err().to_string();
    assert!(unscaled.contains("MaximumFractionalValue"), "{unscaled}");
    let object = object.us(tags::MAXIMUM_FRACTIONAL_VALUE, 200);
    let with = |kind| {
        let read = read_seg(&object.clone().cs(tags::SEGMENTATION_FRACTIONAL_TYPE, kind)).unwrap();
        read.segments[0].occupancy.iter().collect::<Vec<_>>()
    };
    assert_eq!(with("OCCUPANCY"), [(0, 0.25), (1, 0.495), (2, 1.0)]);
    assert_eq!(with("PROBABILITY"), [(2, 1.0)]);
    let above = object
        .cs(tags::SEGMENTATION_FRACTIONAL_TYPE, "OCCUPANCY")
        .us(tags::MAXIMUM_FRACTIONAL_VALUE, 100);
    assert!(read_seg(&above).is_err());
}

#[test]
fn labels_of_16_bits_name_their_segments() {
    let mut labels = [0u16; 30];
    (labels[0], labels[16], labels[29]) = (1, 700, 700);
    let object = seg(&[(0, 1), (0, 0)], "LABELMAP", 16).words(&labels);
    let read = read_seg(&object).unwrap();
    let voxels = |n: usize| read.segments[n].occupancy.iter().map(|v| v.0).collect::<Vec<_>>();
    assert_eq!((voxels(0), voxels(1)), (vec![15], vec![1, 14]));
    labels[1] = 9;
    let error = read_seg(&object.words(&labels)).unwrap_err().to_string();
    assert!(error.contains("segment 9"), "{error}");
}

#[test]
fn segmentation_frames_that_share_no_grid_are_refused() {
    let frames = packed(&[[1; 15], [1; 15]]);
    let twice = seg(&[(1, 0), (1, 0)], "BINARY", 1).bytes(&frames);
    assert!(read_seg(&twice).unwrap_err().to_string().contains("two frames in one place"));
    let coarse = seg(&[(1, 0), (1, 1)], "BINARY", 1).bytes(&frames);
    let measures =
        Build::item().ds(tags::PIXEL_SPACING, "1\\1").ds(tags::SPACING_BETWEEN_SLICES, "1.5");
    let shared = Build::item().sequence(tags::PIXEL_MEASURES_SEQUENCE, vec![measures]).sequence(
        tags::PLANE_ORIENTATION_SEQUENCE,
        vec![Build::item().ds(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0")],
    );
    let off = coarse.sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]);
    assert!(read_seg(&off).unwrap_err().to_string().contains("no multiple"));
    let far = seg(&[(1, 0), (1, i32::MAX / 4)], "BINARY", 1).bytes(&frames);
    assert!(read_seg(&far).unwrap_err().to_string().contains("too far"));
}

fn roi(number: u16, name: &str) -> Build {
    Build::item()
        .text(tags::ROI_NUMBER, VR::IS, &number.to_string())
        .uid(tags::REFERENCED_FRAME_OF_REFERENCE_UID, "1.2.826.0.4")
        .text(tags::ROI_NAME, VR::LO, name)
}

fn contour(kind: &str, points: usize, data: &str) -> Build {
    Build::item()
        .cs(tags::CONTOUR_GEOMETRIC_TYPE, kind)
        .text(tags::NUMBER_OF_CONTOUR_POINTS, VR::IS, &points.to_string())
        .ds(tags::CONTOUR_DATA, data)
}

fn contours(number: u16, contours: Vec<Build>) -> Build {
    Build::item()
        .text(tags::REFERENCED_ROI_NUMBER, VR::IS, &number.to_string())
        .sequence(tags::CONTOUR_SEQUENCE, contours)
}

fn read_set(rois: Vec<Build>, drawn: Vec<Build>) -> Result<StructureSet, ReadError> {
    let folder = Folder::new();
    let object = Build::instance(uids::RT_STRUCTURE_SET_STORAGE, "RTSTRUCT", 300)
        .sequence(tags::STRUCTURE_SET_ROI_SEQUENCE, rois)
        .sequence(tags::ROI_CONTOUR_SEQUENCE, drawn);
    structure_set(&folder.write("set", &object))
}

const TRIANGLE: &str = "0\\0\\1\\4\\0\\1\\0\\3\\1";

#[test]
fn regions_keep_their_contours_and_say_what_is_wrong_with_them() {
    let rois = ["sound", "two points", "mixed", "empty", "short", "closed twice"]
        .iter()
        .zip(1u16..=6)
        .map(|(name, n)| roi(n, name))
        .rev()
        .collect();
    let closed = "CLOSED_PLANAR";
    let drawn = vec![
        contours(1, vec![contour(closed, 3, TRIANGLE), contour("POINT", 1, "1\\1\\1")]),
        contours(2, vec![contour(closed, 2, "0\\0\\1\\4\\0\\1")]),
        contours(3, vec![contour(closed, 3, TRIANGLE), contour("CLOSEDPLANAR_XOR", 3, TRIANGLE)]),
        contours(5, vec![contour(closed, 4, TRIANGLE)]),
        contours(6, vec![contour(closed, 4, &format!("{TRIANGLE}\\0\\0\\1"))]),
    ];
    let set = read_set(rois, drawn).unwrap();
    let numbers: Vec<u32> = set.rois.iter().map(|r| r.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    let faults: Vec<usize> = set.rois.iter().map(|r| r.rejected.len()).collect();
    assert_eq!(faults, [0, 1, 1, 1, 1, 0]);
    assert_eq!(set.rois[0].contours[0].kind, ContourKind::ClosedPlanar);
    assert_eq!(set.rois[0].contours[0].points_lps_mm[1], [4.0, 0.0, 1.0]);
    assert_eq!(set.rois[5].contours[0].points_lps_mm.len(), 3);
    let twice = read_set(vec![roi(1, "a"), roi(1, "b")], vec![]);
    assert!(twice.unwrap_err().to_string().contains("ROI Number 1"));
}

/// 10 mm along x.
const SHIFT: &str = "1\\0\\0\\10\\0\\1\\0\\0\\0\\0\\1\\0\\0\\0\\0\\1";

fn matrix(values: &str, kind: &str) -> Build {
    Build::item()
        .ds(tags::FRAME_OF_REFERENCE_TRANSFORMATION_MATRIX, values)
        .cs(tags::FRAME_OF_REFERENCE_TRANSFORMATION_MATRIX_TYPE, kind)
}

fn read_reg(object: &Build) -> Result<Registration, ReadError> {
    let folder = Folder::new();
    registration(&folder.write("reg", object))
}

fn spatial(matrices: Vec<Build>) -> Build {
    let registration = Build::item().sequence(tags::MATRIX_SEQUENCE, matrices);
    let item = Build::item()
        .uid(tags::FRAME_OF_REFERENCE_UID, "1.2.826.0.9")
        .sequence(tags::MATRIX_REGISTRATION_SEQUENCE, vec![registration]);
    Build::instance(uids::SPATIAL_REGISTRATION_STORAGE, "REG", 400)
        .sequence(tags::REGISTRATION_SEQUENCE, vec![item])
}

fn apply(m: &[[f64; 4]; 4], p: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|r| m[r][0] * p[0] + m[r][1] * p[1] + m[r][2] * p[2] + m[r][3])
}

#[test]
fn a_shift_moves_the_right_way_in_both_kinds_of_registration() {
    let read = read_reg(&spatial(vec![matrix(SHIFT, "RIGID")])).unwrap();
    let transform = &read.matrices[0];
    assert_eq!(transform.source_frame_of_reference.as_ref().unwrap().as_str(), "1.2.826.0.9");
    assert_eq!(read.registered_frame_of_reference.as_str(), "1.2.826.0.4");
    // Source (1, 2, 3) appears at (11, 2, 3) in the registered frame.
    assert_eq!(apply(&transform.matrix, [1.0, 2.0, 3.0]), [11.0, 2.0, 3.0]);

    // The same shift as a deformation: registered (11, 2, 3) samples source (1, 2, 3).
    let offsets = [-10.0f32, 0.0, 0.0].repeat(8);
    let grid = Build::item()
        .ds(tags::IMAGE_POSITION_PATIENT, "0\\0\\0")
        .ds(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0")
        .ul_list(tags::GRID_DIMENSIONS, &[2, 2, 2])
        .fd(tags::GRID_RESOLUTION, &[50.0, 50.0, 50.0])
        .floats(tags::VECTOR_GRID_DATA, &offsets);
    let identity = "1\\0\\0\\0\\0\\1\\0\\0\\0\\0\\1\\0\\0\\0\\0\\1";
    let item = Build::item()
        .uid(tags::SOURCE_FRAME_OF_REFERENCE_UID, "1.2.826.0.9")
        .sequence(
            tags::PRE_DEFORMATION_MATRIX_REGISTRATION_SEQUENCE,
            vec![matrix(identity, "RIGID")],
        )
        .sequence(tags::DEFORMABLE_REGISTRATION_GRID_SEQUENCE, vec![grid.clone()]);
    let object = Build::instance(uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE, "REG", 401)
        .sequence(tags::DEFORMABLE_REGISTRATION_SEQUENCE, vec![item.clone()]);
    let read = read_reg(&object).unwrap();
    let deformation = &read.deformations[0];
    let nodes = deformation.grid.as_ref().unwrap();
    assert_eq!((nodes.dimensions, nodes.offsets_mm.len()), ([2, 2, 2], 8));
    let before = apply(&deformation.pre, [11.0, 2.0, 3.0]);
    let moved = std::array::from_fn(|c| before[c] + f64::from(nodes.offsets_mm[0][c]));
    assert_eq!(apply(&deformation.post, moved), [1.0, 2.0, 3.0]);

    let short = grid.floats(tags::VECTOR_GRID_DATA, &offsets[..21]);
    let item = item.sequence(tags::DEFORMABLE_REGISTRATION_GRID_SEQUENCE, vec![short]);
    assert!(
        read_reg(&object.sequence(tags::DEFORMABLE_REGISTRATION_SEQUENCE, vec![item])).is_err()
    );
}

#[test]
fn matrices_that_are_not_what_they_say_are_refused() {
    let refused = |matrices| read_reg(&spatial(matrices)).unwrap_err().to_string();
    let double = "2\\0\\0\\0\\0\\2\\0\\0\\0\\0\\2\\0\\0\\0\\0\\1";
    assert!(refused(vec![matrix(double, "RIGID")]).contains("no rotation"));
    let mirror = "-1\\0\\0\\0\\0\\1\\0\\0\\0\\0\\1\\0\\0\\0\\0\\1";
    assert!(refused(vec![matrix(mirror, "AFFINE")]).contains("mirrors"));
    let order = vec![matrix(double, "AFFINE"), matrix(SHIFT, "RIGID")];
    assert!(refused(order).contains("order of its items"));
    let twice = read_reg(&spatial(vec![matrix(SHIFT, "RIGID"), matrix(SHIFT, "RIGID")])).unwrap();
    assert_eq!(twice.matrices[0].matrix[0][3], 20.0);
}

fn content(kind: &str, value: &str, scheme: &str) -> Build {
    Build::item().cs(tags::VALUE_TYPE, kind).code(
        tags::CONCEPT_NAME_CODE_SEQUENCE,
        value,
        scheme,
        "concept",
    )
}

fn num(value: &str, number: &str, unit: &str) -> Build {
    let measured = Build::item().ds(tags::NUMERIC_VALUE, number).code(
        tags::MEASUREMENT_UNITS_CODE_SEQUENCE,
        unit,
        "UCUM",
        unit,
    );
    content("NUM", value, "DCM").sequence(tags::MEASURED_VALUE_SEQUENCE, vec![measured])
}

#[test]
fn administered_activity_is_read_in_any_unit_or_made_of_two_assays() {
    let report = |mut activities: Vec<Build>| {
        let start = content("DATETIME", "123003", "DCM").text(
            tags::DATE_TIME,
            VR::DT,
            "20260302101500+0100",
        );
        activities.push(start);
        let event =
            content("CONTAINER", "113502", "DCM").sequence(tags::CONTENT_SEQUENCE, activities);
        let object =
            Build::instance(uids::RADIOPHARMACEUTICAL_RADIATION_DOSE_SR_STORAGE, "SR", 500)
                .sequence(tags::CONTENT_SEQUENCE, vec![event]);
        let folder = Folder::new();
        administration(&folder.write("sr", &object), &TimeZone::UTC)
    };
    let half_life = Seconds::from_hours(1.0);
    let given = |items| report(items).unwrap().administered(half_life).map(|a| a.mbq());
    assert_eq!(given(vec![num("113507", "200", "mCi")]), Some(7400.0));
    assert_eq!(given(vec![num("113507", "7.4", "GBq")]), Some(7400.0));
    assert_eq!(given(vec![]), None);
    assert!(report(vec![num("113507", "7.4", "g")]).is_err());
    // 800 MBq an hour before are 400 MBq, of which 10 MBq measured an hour after (20 MBq) stayed.
    let at = |item: Build, t: &str| item.text(tags::OBSERVATION_DATE_TIME, VR::DT, t);
    let net = given(vec![
        at(num("113508", "800", "MBq"), "20260302091500+0100"),
        at(num("113509", "10", "MBq"), "20260302111500+0100"),
    ]);
    assert!((net.unwrap() - 380.0).abs() < 1e-9);
    let read = report(vec![]).unwrap();
    assert_eq!(read.start.to_string(), "2026-03-02T09:15:00Z");
}

#[test]
fn a_mapping_object_gives_the_images_it_names_their_unit() {
    let folder = Folder::new();
    let detector = Build::item()
        .ds(tags::IMAGE_POSITION_PATIENT, "0\\0\\0")
        .ds(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0");
    let image = Build::instance(uids::NUCLEAR_MEDICINE_IMAGE_STORAGE, "NM", 1)
        .cs(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\RECON TOMO\\EMISSION")
        .text(tags::ACQUISITION_DATE_TIME, VR::DT, "20260302101500+0000")
        .pixels(1, 1, 2, 16)
        .us_list(tags::SLICE_VECTOR, &[1, 2])
        .ds(tags::PIXEL_SPACING, "4\\4")
        .ds(tags::SPACING_BETWEEN_SLICES, "4")
        .sequence(tags::DETECTOR_INFORMATION_SEQUENCE, vec![detector])
        .words(&[10, 20]);
    let map = |instance: &str| {
        let item = Build::item()
            .sequence(
                tags::REFERENCED_IMAGE_SEQUENCE,
                vec![Build::item().uid(tags::REFERENCED_SOP_INSTANCE_UID, instance)],
            )
            .sequence(
                tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE,
                vec![
                    Build::item()
                        .code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, "Bq/ml", "UCUM", "Bq/ml")
                        .us(tags::REAL_WORLD_VALUE_FIRST_VALUE_MAPPED, 10)
                        .us(tags::REAL_WORLD_VALUE_LAST_VALUE_MAPPED, 20)
                        .fd(tags::REAL_WORLD_VALUE_SLOPE, &[4.0])
                        .fd(tags::REAL_WORLD_VALUE_INTERCEPT, &[1.0]),
                ],
            );
        Build::instance(uids::REAL_WORLD_VALUE_MAPPING_STORAGE, "RWV", 600)
            .sequence(tags::REFERENCED_IMAGE_REAL_WORLD_VALUE_MAPPING_SEQUENCE, vec![item])
    };
    let image = [folder.write("nm", &image)];
    let read = |instance: &str| {
        let maps = [folder.write("map", &map(instance))];
        assert_eq!(rwvm(&maps[0]).unwrap().items.len(), 1);
        let context = EmissionContext { rwvm: &maps, default_zone: TimeZone::UTC };
        emission(&image, &context).unwrap().image.values.as_slice().to_vec()
    };
    assert_eq!(read("1.2.826.0.1.1"), [41.0, 81.0]);
    assert_eq!(read("1.2.826.0.1.77"), [10.0, 20.0]);
}
