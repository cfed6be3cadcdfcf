//! CT slices of 512 x 512 x 16 bits as files, for senders to share.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Writes the slices with these numbers into so many new folders; each number has a UID of its own.
pub fn write(work: &Path, folders: usize, numbers: Range<usize>) -> Vec<PathBuf> {
    let name = |n: usize| work.join(format!("slices-{}-{n}", numbers.start));
    let folders: Vec<PathBuf> = (0..folders).map(name).collect();
    for folder in &folders {
        std::fs::create_dir(folder).expect("a new directory");
    }
    for n in numbers {
        let path = folders[n % folders.len()].join(format!("{n}.dcm"));
        write_slice(n, &path);
    }
    folders
}

fn write_slice(n: usize, path: &Path) {
    let uid = format!("1.2.826.0.1.3680043.10.543.1.{n}");
    // Not all alike, and nothing that a file system could compress away.
    let mut state = 0x9E37_79B9u32 ^ n as u32;
    let pixels: Vec<u16> = (0..512 * 512)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 20) as u16
        })
        .collect();
    let text =
        |tag: Tag, vr: VR, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let number = |tag: Tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let position = format!("-250\\-250\\{n}");
    let object = InMemDicomObject::from_element_iter([
        text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL"),
        text(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
        text(tags::SOP_INSTANCE_UID, VR::UI, &uid),
        text(tags::STUDY_DATE, VR::DA, "20260302"),
        text(tags::ACQUISITION_DATE, VR::DA, "20260302"),
        text(tags::ACQUISITION_TIME, VR::TM, "101500"),
        text(tags::MODALITY, VR::CS, "CT"),
        text(tags::PATIENT_NAME, VR::PN, "Bench^Receive"),
        text(tags::PATIENT_ID, VR::LO, "BENCH"),
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.10.543.2"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.10.543.3"),
        text(tags::INSTANCE_NUMBER, VR::IS, &n.to_string()),
        text(tags::IMAGE_POSITION_PATIENT, VR::DS, &position),
        text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
        text(tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.826.0.1.3680043.10.543.4"),
        number(tags::SAMPLES_PER_PIXEL, 1),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        number(tags::ROWS, 512),
        number(tags::COLUMNS, 512),
        text(tags::PIXEL_SPACING, VR::DS, "0.976\\0.976"),
        number(tags::BITS_ALLOCATED, 16),
        number(tags::BITS_STORED, 12),
        number(tags::HIGH_BIT, 11),
        number(tags::PIXEL_REPRESENTATION, 0),
        text(tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
        text(tags::RESCALE_SLOPE, VR::DS, "1"),
        DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())),
    ]);
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
        .media_storage_sop_instance_uid(uid);
    let object = object.with_meta(meta).expect("a complete meta table");
    object.write_to_file(path).expect("room on the disk");
}
