use super::*;
use crate::dicom::gate::GateFault;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN;
use jiff::tz::TimeZone;
use std::io::Cursor;

const EXPLICIT: &str = "1.2.840.10008.1.2.1";

fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, text: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
}

fn slice() -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    for (tag, vr, text) in [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY"),
        (tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.128"),
        (tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4"),
        (tags::STUDY_DATE, VR::DA, "20260101"),
        (tags::STUDY_TIME, VR::TM, "0000"),
        (tags::ACQUISITION_DATE, VR::DA, "20260302"),
        (tags::ACQUISITION_TIME, VR::TM, "101500.25"),
        (tags::MODALITY, VR::CS, "PT"),
        (tags::SERIES_DESCRIPTION, VR::LO, "LU177 AC"),
        (tags::PATIENT_NAME, VR::PN, "Ångström^Jöns"),
        (tags::PATIENT_ID, VR::LO, " P-0001 "),
        (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3"),
        (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.1"),
        (tags::INSTANCE_NUMBER, VR::IS, "7"),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, "-10\\20\\-35.5"),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
    ] {
        put(&mut object, tag, vr, text);
    }
    object
}

fn read_in(object: &InMemDicomObject, zone: &TimeZone) -> Result<InstanceHeader, HeaderError> {
    let mut bytes = Vec::new();
    object.write_dataset_with_ts(&mut bytes, &EXPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap();
    let syntax = Uid::parse(EXPLICIT).unwrap();
    InstanceHeader::read_data_set(&mut Cursor::new(bytes), &syntax, zone).map(|(header, _)| header)
}

fn read(object: &InMemDicomObject) -> InstanceHeader {
    read_in(object, &TimeZone::UTC).unwrap()
}

#[test]
fn the_header_holds_what_the_object_says_and_nothing_else() {
    let header = read(&slice());
    assert_eq!(header.patient.name, "Ångström^Jöns");
    assert_eq!(header.patient.id, "P-0001");
    assert_eq!(header.image_type, ["ORIGINAL", "PRIMARY"]);
    assert_eq!(header.slice_position_mm, Some(-35.5));
    assert_eq!(header.instance_number, Some(7));
    assert_eq!((header.frames, header.rows, header.declared_slices), (1, None, None));
    assert_eq!((header.radionuclide, header.frame_of_reference), (None, None));
    assert_eq!(header.series_tags["SeriesDescription"], "LU177 AC");
    assert_eq!(header.series_tags["ImageType"], "ORIGINAL\\PRIMARY");
}

#[test]
fn acquisition_time_follows_the_order_and_the_zone() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let acquired = |object: &InMemDicomObject| {
        read_in(object, &berlin).unwrap().acquired.map(|time| time.to_string())
    };
    let mut object = slice();
    assert_eq!(acquired(&object).as_deref(), Some("2026-03-02T09:15:00.25Z"));
    put(&mut object, tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, "-0500");
    assert_eq!(acquired(&object).as_deref(), Some("2026-03-02T15:15:00.25Z"));
    put(&mut object, tags::ACQUISITION_DATE_TIME, VR::DT, "20260302120000+0200");
    assert_eq!(acquired(&object).as_deref(), Some("2026-03-02T10:00:00Z"));
    // Given but malformed: another, later source would be another moment.
    put(&mut object, tags::ACQUISITION_DATE_TIME, VR::DT, "20261302120000");
    assert_eq!(acquired(&object), None);
    // Not given: the next in order.
    let mut object = slice();
    object.remove_element(tags::ACQUISITION_TIME);
    assert_eq!(acquired(&object).as_deref(), Some("2025-12-31T23:00:00Z"));
}

#[test]
fn each_identity_that_is_missing_or_malformed_is_named() {
    for tag in [
        tags::SOP_CLASS_UID,
        tags::SOP_INSTANCE_UID,
        tags::STUDY_INSTANCE_UID,
        tags::SERIES_INSTANCE_UID,
    ] {
        let mut object = slice();
        object.remove_element(tag);
        let error = read_in(&object, &TimeZone::UTC).unwrap_err();
        assert!(matches!(error, HeaderError::Missing { tag: t, .. } if t == tag), "{error}");
        assert!(error.to_string().contains(&tag.to_string()));
        put(&mut object, tag, VR::UI, "../../etc");
        let error = read_in(&object, &TimeZone::UTC).unwrap_err();
        assert!(matches!(error, HeaderError::NoUid { tag: t, .. } if t == tag), "{error}");
    }
}

#[test]
fn code_extensions_are_decoded() {
    let mut object = slice();
    put(&mut object, tags::SPECIFIC_CHARACTER_SET, VR::CS, "\\ISO 2022 IR 87");
    put(&mut object, tags::PATIENT_NAME, VR::PN, "Yamada^Tarou=\u{1b}$B;3ED\u{1b}(B^X");
    assert_eq!(read(&object).patient.name, "Yamada^Tarou=\u{5c71}\u{7530}^X");
}

#[test]
fn bulk_is_not_read_but_bounded() {
    let mut object = slice();
    put(&mut object, tags::ROWS, VR::US, "");
    object.put(DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(4u16)));
    object.put(DataElement::new(
        tags::PIXEL_DATA,
        VR::OW,
        PrimitiveValue::U16([0; 16].as_slice().into()),
    ));
    let error = read_in(&object, &TimeZone::UTC).unwrap_err();
    assert!(
        matches!(&error, HeaderError::Gate(e) if matches!(e.fault, GateFault::Pixels(_))),
        "{error}"
    );
    let one = PrimitiveValue::from(1u16);
    for tag in [tags::SAMPLES_PER_PIXEL, tags::COLUMNS] {
        object.put(DataElement::new(tag, VR::US, one.clone()));
    }
    for tag in [tags::BITS_ALLOCATED, tags::BITS_STORED] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(64u16)));
    }
    object.put(DataElement::new(tags::HIGH_BIT, VR::US, PrimitiveValue::from(63u16)));
    assert_eq!(read(&object).rows, Some(4));
}

#[test]
fn patients_are_not_printed() {
    let text = format!("{:?}", read(&slice()));
    assert!(!text.contains("Ångström") && !text.contains("P-0001"), "{text}");
}
