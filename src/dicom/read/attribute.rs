//! Attribute values as checked Rust values. Empty and absent are the same (type 2); a value that
//! does not parse is an error that names the attribute, never a default.

use super::error::ReadError;
use crate::dicom::Uid;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;

/// A data set or an item of a sequence.
pub type Object = InMemDicomObject<StandardDataDictionary>;

/// A coded entry (PS3.3 section 8.8).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Code {
    pub value: String,
    pub scheme: String,
    pub meaning: String,
}

impl Code {
    /// Same concept: value and scheme agree with any of `aliases`.
    pub fn is_any(&self, aliases: &[(&str, &str)]) -> bool {
        aliases.iter().any(|&(value, scheme)| self.value == value && self.scheme == scheme)
    }
}

/// `PixelSpacing (0028,0030)`: how errors name an attribute.
pub fn name(tag: Tag) -> String {
    match StandardDataDictionary.by_tag(tag) {
        Some(entry) => format!("{} ({:04X},{:04X})", entry.alias(), tag.group(), tag.element()),
        None => format!("({:04X},{:04X})", tag.group(), tag.element()),
    }
}

pub fn malformed(tag: Tag, reason: impl Into<String>) -> ReadError {
    ReadError::Malformed { attribute: name(tag), reason: reason.into() }
}

pub fn missing(tag: Tag, consequence: &'static str) -> ReadError {
    ReadError::Missing { attribute: name(tag), consequence }
}

/// All values as text, trimmed; empty where absent. Empty components are kept.
pub fn texts(object: &Object, tag: Tag) -> Vec<String> {
    let trim = |t: &str| t.trim_matches(['\0', ' ', '\t', '\r', '\n']).to_owned();
    let Some(value) = object.get(tag).and_then(|e| e.value().primitive()) else {
        return Vec::new();
    };
    let values: Vec<String> = value.to_multi_str().iter().map(|t| trim(t)).collect();
    if values.iter().all(String::is_empty) { Vec::new() } else { values }
}

/// The first value as text; `None` where absent or empty.
pub fn text(object: &Object, tag: Tag) -> Option<String> {
    texts(object, tag).into_iter().next().filter(|t| !t.is_empty())
}

/// The whole value as one text (LO, PN, LT ...), backslashes and all; empty where absent.
pub fn whole_text(object: &Object, tag: Tag) -> String {
    texts(object, tag).join("\\")
}

/// Finite numbers of any numeric VR, or of DS and IS text.
pub fn numbers(object: &Object, tag: Tag) -> Result<Vec<f64>, ReadError> {
    let Some(element) = object.get(tag) else { return Ok(Vec::new()) };
    let values = if element.vr().is_text() {
        texts(object, tag)
            .iter()
            .map(|text| parse_decimal(text).map_err(|reason| malformed(tag, reason)))
            .collect::<Result<Vec<f64>, _>>()?
    } else {
        element.to_multi_float64().map_err(|_| malformed(tag, "it is not numeric"))?
    };
    if values.iter().all(|v| v.is_finite()) {
        Ok(values)
    } else {
        Err(malformed(tag, "it holds a number that is not finite"))
    }
}

trait TextVr {
    fn is_text(&self) -> bool;
}

impl TextVr for VR {
    fn is_text(&self) -> bool {
        matches!(
            self,
            VR::DS | VR::IS | VR::LO | VR::SH | VR::CS | VR::LT | VR::ST | VR::UT | VR::UN
        )
    }
}

/// A decimal or integer string (PS3.5 section 6.2).
fn parse_decimal(text: &str) -> Result<f64, String> {
    if text.contains(',') {
        return Err("it has a decimal comma; DICOM writes a point".into());
    }
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    match text.parse::<f64>() {
        Ok(value) if plain && value.is_finite() => Ok(value),
        _ => Err("it is no decimal number".into()),
    }
}

/// The first number.
pub fn number(object: &Object, tag: Tag) -> Result<Option<f64>, ReadError> {
    Ok(numbers(object, tag)?.first().copied())
}

/// Exactly `N` numbers, or `None` where absent or empty.
pub fn fixed<const N: usize>(object: &Object, tag: Tag) -> Result<Option<[f64; N]>, ReadError> {
    let values = numbers(object, tag)?;
    if values.is_empty() {
        return Ok(None);
    }
    let count = values.len();
    <[f64; N]>::try_from(values)
        .map(Some)
        .map_err(|_| malformed(tag, format!("{N} values are wanted, not {count}")))
}

/// A whole number from 0 to 2^32 - 1.
pub fn unsigned(object: &Object, tag: Tag) -> Result<Option<u32>, ReadError> {
    match number(object, tag)? {
        None => Ok(None),
        Some(v) if v.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&v) => {
            Ok(Some(v as u32))
        }
        Some(_) => Err(malformed(tag, "a whole number from 0 upward is wanted")),
    }
}

pub fn required_unsigned(
    object: &Object,
    tag: Tag,
    consequence: &'static str,
) -> Result<u32, ReadError> {
    unsigned(object, tag)?.ok_or_else(|| missing(tag, consequence))
}

pub fn uid(object: &Object, tag: Tag) -> Result<Option<Uid>, ReadError> {
    text(object, tag)
        .map(|t| Uid::parse(&t).map_err(|error| malformed(tag, error.to_string())))
        .transpose()
}

pub fn required_uid(object: &Object, tag: Tag) -> Result<Uid, ReadError> {
    uid(object, tag)?.ok_or_else(|| missing(tag, "the object cannot be identified"))
}

/// Items of a sequence; none where it is absent or empty.
pub fn items(object: &Object, tag: Tag) -> &[Object] {
    object.get(tag).and_then(|e| e.items()).unwrap_or(&[])
}

pub fn first_item(object: &Object, tag: Tag) -> Option<&Object> {
    items(object, tag).first()
}

/// The first coded entry of a code sequence.
pub fn code(object: &Object, tag: Tag) -> Option<Code> {
    let item = first_item(object, tag)?;
    let value = text(item, tags::CODE_VALUE)
        .or_else(|| text(item, tags::LONG_CODE_VALUE))
        .or_else(|| text(item, tags::URN_CODE_VALUE))
        .unwrap_or_default();
    Some(Code {
        value,
        scheme: text(item, tags::CODING_SCHEME_DESIGNATOR).unwrap_or_default(),
        meaning: whole_text(item, tags::CODE_MEANING),
    })
}

/// SOP instances that a sequence of references names, in order.
pub fn referenced_instances(object: &Object, tag: Tag) -> Result<Vec<Uid>, ReadError> {
    let mut found = Vec::new();
    for item in items(object, tag) {
        found.extend(uid(item, tags::REFERENCED_SOP_INSTANCE_UID)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::{DataElement, PrimitiveValue};

    fn ds(text: &str) -> Object {
        let element = DataElement::new(
            tags::SPACING_BETWEEN_SLICES,
            VR::DS,
            PrimitiveValue::from(text.to_owned()),
        );
        Object::from_element_iter([element])
    }

    #[test]
    fn decimal_strings_are_read_strictly() {
        let tag = tags::SPACING_BETWEEN_SLICES;
        for (text, value) in
            [(" -4.8 ", -4.8), ("+1.5E+1\0", 15.0), ("3", 3.0), ("", f64::NAN), ("1e-3", 0.001)]
        {
            let read = number(&ds(text), tag).unwrap();
            assert_eq!(read, Some(value).filter(|v| v.is_finite()), "{text:?}");
        }
        for text in ["4,8", "nan", "inf", "1e999", "abc", "0x10"] {
            let error = number(&ds(text), tag).unwrap_err().to_string();
            assert!(error.starts_with("SpacingBetweenSlices (0018,0088)"), "{error}");
        }
    }
}
