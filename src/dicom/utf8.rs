//! Text of whole data sets in one character set.

use super::header::decode_text;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// All text as UTF-8, that of items included. What says in which character set it came says so then; a
/// data set that says nothing holds nothing to recode.
pub(crate) fn to_utf_8(object: &mut InMemDicomObject) {
    let charset = charset_of(object);
    recode(object, charset.as_deref().unwrap_or_default());
    if charset.is_some() {
        let utf_8 = PrimitiveValue::from("ISO_IR 192");
        object.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, utf_8));
    }
}

/// Values of Specific Character Set, where the data set has one.
fn charset_of(object: &InMemDicomObject) -> Option<Vec<String>> {
    let values = object.get(tags::SPECIFIC_CHARACTER_SET)?.to_multi_str().ok()?;
    Some(values.iter().map(|value| value.trim().to_owned()).collect())
}

/// Text with code extensions, which the parser has read by the first character set alone. An item has
/// the character set of what it stands in, or its own (PS3.5 section 7.5.3).
fn recode(object: &mut InMemDicomObject, charset: &[String]) {
    let elements: Vec<(Tag, VR)> = object.iter().map(|e| (e.header().tag, e.header().vr)).collect();
    for (tag, vr) in elements {
        let extended = charset.len() > 1;
        if vr != VR::SQ && !(extended && is_text(vr)) {
            continue;
        }
        object.update_value(tag, |value| {
            if let Some(items) = value.items_mut() {
                for item in items {
                    let own = charset_of(item);
                    recode(item, own.as_deref().unwrap_or(charset));
                    item.remove_element(tags::SPECIFIC_CHARACTER_SET);
                }
            } else if let Some(primitive) = value.primitive_mut() {
                // Whole, since the second byte of a character may be that of a backslash.
                let text = decode_text(&primitive.to_raw_str(), charset);
                *primitive = match vr {
                    VR::LT | VR::ST | VR::UT => PrimitiveValue::from(text),
                    _ => PrimitiveValue::Strs(text.split('\\').map(str::to_owned).collect()),
                };
            }
        });
    }
}

/// The VRs that Specific Character Set governs (PS3.5 section 6.1.2.2).
fn is_text(vr: VR) -> bool {
    matches!(vr, VR::LO | VR::LT | VR::PN | VR::SH | VR::ST | VR::UC | VR::UT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::header::text;
    use dicom_core::value::DataSetSequence;

    fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, values: &[&str]) {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        object.put(DataElement::new(tag, vr, PrimitiveValue::Strs(values)));
    }

    #[test]
    fn items_have_the_character_set_of_what_they_stand_in_or_their_own() {
        // Bytes as the parser leaves them: one by one.
        let yamada = "=\u{1b}$B;3ED\u{1b}(B";
        let mut inherits = InMemDicomObject::new_empty();
        put(&mut inherits, tags::PATIENT_NAME, VR::PN, &[yamada]);
        let mut own = InMemDicomObject::new_empty();
        put(&mut own, tags::SPECIFIC_CHARACTER_SET, VR::CS, &["", "ISO 2022 IR 149"]);
        put(&mut own, tags::PATIENT_NAME, VR::PN, &["=\u{1b}$)C\u{fb}\u{f3}"]);
        let nested = DataSetSequence::from(vec![own]);
        inherits.put(DataElement::new(tags::REFERENCED_STUDY_SEQUENCE, VR::SQ, nested));
        let mut object = InMemDicomObject::new_empty();
        put(&mut object, tags::SPECIFIC_CHARACTER_SET, VR::CS, &["", "ISO 2022 IR 87"]);
        // The parser takes the second byte of a character for a backslash; the next one is one.
        put(&mut object, tags::OTHER_PATIENT_NAMES, VR::PN, &["=\u{1b}$B5", "\u{1b}(B", "Roe"]);
        put(&mut object, tags::PATIENT_COMMENTS, VR::LT, &["\u{1b}$B;3\u{1b}(B\\n"]);
        let items = DataSetSequence::from(vec![inherits]);
        object.put(DataElement::new(tags::REFERENCED_STUDY_SEQUENCE, VR::SQ, items));
        to_utf_8(&mut object);
        let item = |object: &InMemDicomObject| {
            object.get(tags::REFERENCED_STUDY_SEQUENCE).unwrap().items().unwrap()[0].clone()
        };
        let (outer, inner) = (item(&object), item(&item(&object)));
        assert_eq!(text(&outer, tags::PATIENT_NAME).as_deref(), Some("=\u{5c71}\u{7530}"));
        assert_eq!(text(&inner, tags::PATIENT_NAME).as_deref(), Some("=\u{6d2a}"));
        assert!(inner.get(tags::SPECIFIC_CHARACTER_SET).is_none());
        assert_eq!(text(&object, tags::SPECIFIC_CHARACTER_SET).as_deref(), Some("ISO_IR 192"));
        let names = object.get(tags::OTHER_PATIENT_NAMES).unwrap().to_multi_str().unwrap().to_vec();
        assert_eq!(names, ["=\u{5bae}", "Roe"]);
        assert_eq!(text(&object, tags::PATIENT_COMMENTS).as_deref(), Some("\u{5c71}\\n"));
    }

    #[test]
    fn what_names_no_character_set_stays_as_it_is() {
        let mut object = InMemDicomObject::new_empty();
        put(&mut object, tags::PATIENT_NAME, VR::PN, &["Roe^Jane"]);
        let before = object.clone();
        to_utf_8(&mut object);
        assert_eq!(object, before);
    }
}
