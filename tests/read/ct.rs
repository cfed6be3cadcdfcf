//! CT: Hounsfield units, padding, localizers, tilt, uneven spacing.

use crate::build::{Build, Folder, codes};
use dicom_dictionary_std::{tags, uids};
use grayd::dicom::read::{Ct, ReadError, ct};
use std::path::PathBuf;

fn slice(n: usize, z: f64, stored: u16) -> Build {
    Build::instance(uids::CT_IMAGE_STORAGE, "CT", 100 + n)
        .cs(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\AXIAL")
        .pixels(2, 2, 0, 16)
        .ds(tags::PIXEL_SPACING, "1\\1")
        .ds(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0")
        .ds(tags::IMAGE_POSITION_PATIENT, &format!("0\\0\\{z}"))
        .ds(tags::SLICE_THICKNESS, "2")
        .ds(tags::RESCALE_SLOPE, "1")
        .ds(tags::RESCALE_INTERCEPT, "-1024")
        .ds(tags::KVP, "120")
        .us(tags::PIXEL_PADDING_VALUE, 63_536)
        .words(&[stored, 63_536, 0, 1024])
}

fn read(objects: &[Build]) -> Result<Ct, ReadError> {
    let folder = Folder::new();
    let paths: Vec<PathBuf> =
        objects.iter().enumerate().map(|(n, o)| folder.write(&n.to_string(), o)).collect();
    ct(&paths)
}

#[test]
fn slices_become_hounsfield_units_with_air_outside() {
    let localizer = slice(9, 50.0, 0).cs(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\LOCALIZER");
    let third = slice(2, 4.0, 1064).ds(tags::RESCALE_SLOPE, "2");
    let ct = read(&[third, localizer, slice(0, 0.0, 1024), slice(1, 2.0, 1034)]).unwrap();
    assert_eq!(ct.hu.grid().shape(), [3, 2, 2]);
    assert_eq!(ct.hu.as_slice()[..4], [0.0, -1000.0, -1000.0, 0.0]);
    assert_eq!(ct.hu.values()[[1, 0, 0]], 10.0);
    assert_eq!(ct.hu.values()[[2, 0, 0]], 1104.0);
    assert_eq!((ct.kvp, ct.sources.len(), ct.warnings.len()), (Some(120.0), 3, 0));
}

#[test]
fn signed_values_are_signed() {
    let ct = read(&[slice(0, 0.0, 0xFFF0)
        .us(tags::PIXEL_REPRESENTATION, 1)
        .ds(tags::RESCALE_INTERCEPT, "0")])
    .unwrap();
    // 63536 as a signed word is -2000, the padding.
    assert_eq!(ct.hu.as_slice(), [-16.0, -1000.0, 0.0, 1024.0]);
}

#[test]
fn uneven_slices_are_interpolated_aloud_and_holes_refused() {
    let z = [0.0, 2.0, 4.0, 7.0, 9.0];
    let slices: Vec<Build> =
        z.iter().enumerate().map(|(n, &z)| slice(n, z, 1024 + 10 * z as u16)).collect();
    let even = read(&slices).unwrap();
    assert_eq!(codes(&even.warnings), ["ct-spacing-uneven"]);
    assert_eq!(even.hu.grid().spacing_mm()[2], 2.0);
    let column: Vec<f32> = (0..5).map(|k| even.hu.values()[[k, 0, 0]]).collect();
    assert_eq!(column, [0.0, 20.0, 40.0, 60.0, 80.0]);
    let hole = [slice(0, 0.0, 0), slice(1, 2.0, 0), slice(2, 4.0, 0), slice(3, 12.0, 0)];
    assert!(read(&hole).unwrap_err().to_string().contains("slices are missing"));
}

#[test]
fn tilt_doubles_and_what_is_no_ct_are_refused() {
    let refused = |objects: &[Build]| read(objects).unwrap_err().to_string();
    let tilted = slice(1, 2.0, 0).ds(tags::IMAGE_POSITION_PATIENT, "0\\0.5\\2");
    assert!(refused(&[slice(0, 0.0, 0), tilted]).contains("tilted"));
    assert!(refused(&[slice(0, 0.0, 0), slice(1, 0.0, 0)]).contains("more than one image"));
    let plain = slice(0, 0.0, 0);
    assert!(refused(&[plain.clone().without(tags::RESCALE_SLOPE)]).contains("Hounsfield"));
    let other = plain.uid(tags::SOP_CLASS_UID, uids::MR_IMAGE_STORAGE);
    assert!(refused(&[other]).contains("a CT series is wanted"));
}

#[test]
fn enhanced_ct_is_read_by_its_functional_groups() {
    let frame = |z: f64, slope: &str| {
        Build::item()
            .sequence(
                tags::PLANE_POSITION_SEQUENCE,
                vec![Build::item().ds(tags::IMAGE_POSITION_PATIENT, &format!("0\\0\\{z}"))],
            )
            .sequence(
                tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
                vec![Build::item().ds(tags::RESCALE_SLOPE, slope).ds(tags::RESCALE_INTERCEPT, "0")],
            )
    };
    let shared = Build::item()
        .sequence(
            tags::PIXEL_MEASURES_SEQUENCE,
            vec![Build::item().ds(tags::PIXEL_SPACING, "1\\1")],
        )
        .sequence(
            tags::PLANE_ORIENTATION_SEQUENCE,
            vec![Build::item().ds(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0")],
        );
    let object = Build::instance(uids::ENHANCED_CT_IMAGE_STORAGE, "CT", 1)
        .sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared])
        .sequence(
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
            vec![frame(3.0, "2"), frame(0.0, "1")],
        )
        .pixels(1, 2, 2, 16)
        .words(&[5, 6, 7, 8]);
    let ct = read(std::slice::from_ref(&object)).unwrap();
    assert_eq!(ct.hu.as_slice(), [7.0, 8.0, 10.0, 12.0]);
    let short = object.sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, vec![frame(0.0, "1")]);
    assert!(read(&[short]).unwrap_err().to_string().contains("Per-Frame Functional Groups"));
}
