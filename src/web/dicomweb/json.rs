//! A data set in the DICOM JSON model (PS3.18 annex F): text in UTF-8, decimal strings as numbers, what
//! is large by reference.

use crate::dicom::to_utf_8;
use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_object::InMemDicomObject;
use serde_json::{Map, Value, json};

/// Binary values longer than this are given by reference, bytes.
const INLINE_MAX: usize = 1024;
/// The gate lets nothing deeper through.
const DEPTH_MAX: usize = crate::dicom::gate::MAX_DEPTH + 1;

/// `7FE00010`.
pub(super) fn tag_name(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.group(), tag.element())
}

/// The whole description of an instance. `address` is the instance's own; `pixels` names the pixel data
/// and its VR, which are given by reference.
pub(super) fn describe(
    mut object: InMemDicomObject,
    address: &str,
    pixels: Option<(Tag, &'static str)>,
) -> Result<Map<String, Value>, serde_json::Error> {
    to_utf_8(&mut object);
    let large = take_large(&mut object);
    let mut value = dicom_json::to_value(&object)?;
    let mut map = match value.take() {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    finish(&mut map, &format!("{address}/bulkdata"), 0);
    let by_reference = |vr: &str, tag: Tag| json!({ "vr": vr, "BulkDataURI": format!("{address}/bulkdata/{}", tag_name(tag)) });
    for (tag, vr) in large {
        map.insert(tag_name(tag), by_reference(vr, tag));
    }
    if let Some((tag, vr)) = pixels {
        map.insert(tag_name(tag), by_reference(vr, tag));
    }
    map.sort_keys();
    Ok(map)
}

pub(super) fn is_binary(vr: VR) -> bool {
    matches!(vr, VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::UN)
}

/// Takes long binary values of the top level out, before they are written as text.
fn take_large(object: &mut InMemDicomObject) -> Vec<(Tag, &'static str)> {
    let large: Vec<(Tag, &'static str)> = object
        .iter()
        .filter(|e| is_binary(e.header().vr) && e.value().primitive().is_some_and(is_long))
        .map(|e| (e.header().tag, e.header().vr.to_string()))
        .collect();
    for (tag, _) in &large {
        object.remove_element(*tag);
    }
    large
}

fn is_long(value: &PrimitiveValue) -> bool {
    value.calculate_byte_len() > INLINE_MAX
}

/// What the serialiser leaves open: decimal strings as numbers, padding off, empty values, long binary
/// values below the top level by reference.
fn finish(map: &mut Map<String, Value>, path: &str, depth: usize) {
    for (tag, element) in map.iter_mut() {
        let Some(element) = element.as_object_mut() else { continue };
        let vr = element.get("vr").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(Value::String(inline)) = element.get("InlineBinary")
            && inline.len() / 4 * 3 > INLINE_MAX
        {
            element.remove("InlineBinary");
            element.insert("BulkDataURI".into(), format!("{path}/{tag}").into());
        }
        let Some(Value::Array(values)) = element.get_mut("Value") else { continue };
        for (number, value) in values.iter_mut().enumerate() {
            match (vr.as_str(), &mut *value) {
                ("SQ", Value::Object(item)) if depth < DEPTH_MAX => {
                    finish(item, &format!("{path}/{tag}/{number}"), depth + 1);
                }
                ("DS" | "IS", Value::String(text)) => *value = number_of(text),
                ("PN", Value::Object(name)) => name.retain(|_, group| {
                    let trimmed = group.as_str().map(|text| text.trim_end().to_owned());
                    *group = trimmed.clone().into();
                    trimmed.is_some_and(|text| !text.is_empty())
                }),
                (_, Value::String(text)) => {
                    let trimmed = text.trim_end_matches([' ', '\0']);
                    *value = if trimmed.is_empty() { Value::Null } else { trimmed.into() };
                }
                _ => {}
            }
        }
        let is_empty = |value: &Value| match value {
            Value::Null => true,
            Value::Object(name) => vr == "PN" && name.is_empty(),
            _ => false,
        };
        if values.iter().all(is_empty) && vr != "SQ" {
            element.remove("Value");
        }
    }
}

/// A decimal or integer string as a number; as written where it is none, null where empty.
fn number_of(text: &str) -> Value {
    let text = text.trim_matches([' ', '\0']);
    if text.is_empty() {
        return Value::Null;
    }
    if let Ok(integer) = text.parse::<i64>() {
        return integer.into();
    }
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    match text.parse::<f64>() {
        Ok(number) if plain && number.is_finite() => number.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::DataElement;
    use dicom_dictionary_std::tags;

    fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) {
        object.put(DataElement::new(tag, vr, value.into()));
    }

    #[test]
    fn values_have_the_forms_of_annex_f() {
        let mut object = InMemDicomObject::new_empty();
        put(&mut object, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100");
        put(
            &mut object,
            tags::PIXEL_SPACING,
            VR::DS,
            PrimitiveValue::Strs(["1.95 ".into(), "2".into()].into()),
        );
        put(&mut object, tags::INSTANCE_NUMBER, VR::IS, "+7 ");
        put(&mut object, tags::RESCALE_SLOPE, VR::DS, "1e999");
        put(&mut object, tags::PATIENT_NAME, VR::PN, "Roe^Jane=山田 ");
        put(&mut object, tags::PATIENT_ID, VR::LO, "P-1 ");
        put(&mut object, tags::ACCESSION_NUMBER, VR::SH, " ");
        put(&mut object, tags::ICC_PROFILE, VR::OB, PrimitiveValue::U8(vec![0u8; 2000].into()));
        let mut item = InMemDicomObject::new_empty();
        put(&mut item, tags::WAVEFORM_DATA, VR::OB, PrimitiveValue::U8(vec![0u8; 2000].into()));
        put(&mut item, tags::WAVEFORM_PADDING_VALUE, VR::OB, PrimitiveValue::U8(vec![1u8].into()));
        object.put(DataElement::new(
            tags::WAVEFORM_SEQUENCE,
            VR::SQ,
            dicom_core::value::DataSetSequence::from(vec![item]),
        ));
        let map = describe(object, "http://h/i", Some((tags::PIXEL_DATA, "OW"))).unwrap();
        for (tag, value) in [
            ("00080005", json!(["ISO_IR 192"])),
            ("00280030", json!([1.95, 2])),
            ("00200013", json!([7])),
            ("00281053", json!(["1e999"])),
            ("00100010", json!([{"Alphabetic": "Roe^Jane", "Ideographic": "山田"}])),
            ("00100020", json!(["P-1"])),
            ("00080050", Value::Null),
        ] {
            assert_eq!(map[tag]["Value"], value, "{tag}");
        }
        assert_eq!(
            map["7FE00010"],
            json!({"vr": "OW", "BulkDataURI": "http://h/i/bulkdata/7FE00010"})
        );
        assert_eq!(map["00282000"]["BulkDataURI"], "http://h/i/bulkdata/00282000");
        let item = &map["54000100"]["Value"][0];
        assert_eq!(item["54001010"]["BulkDataURI"], "http://h/i/bulkdata/54000100/0/54001010");
        assert_eq!(item["5400100A"]["InlineBinary"], "AQ==");
    }

    #[test]
    fn names_with_code_extensions_come_out_in_utf_8() {
        let mut object = InMemDicomObject::new_empty();
        put(
            &mut object,
            tags::SPECIFIC_CHARACTER_SET,
            VR::CS,
            PrimitiveValue::Strs(["".into(), "ISO 2022 IR 87".into()].into()),
        );
        // PS3.5 H.3.1, as the parser leaves it: byte for byte.
        put(
            &mut object,
            tags::PATIENT_NAME,
            VR::PN,
            "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
        );
        let map = describe(object, "", None).unwrap();
        assert_eq!(map["00100010"]["Value"][0]["Ideographic"], "山田^太郎");
        assert_eq!(map["00080005"]["Value"], json!(["ISO_IR 192"]));
    }
}
