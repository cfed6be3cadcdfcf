//! A data set under construction: every element within the limits of its VR.

use super::{Code, DicomFile, decimal_string};
use crate::dicom::Uid;
use dicom_core::value::{C, DataSetSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, Length, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;

/// Why an object could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("element {tag} holds {bytes} bytes, more than the 65534 that its VR can say")]
    TooLong { tag: Tag, bytes: usize },
    #[error("the object lacks a SOP class or SOP instance UID: {0}")]
    Meta(String),
    #[error("cannot write {path}: {source}")]
    File { path: String, source: Box<dicom_object::WriteError> },
}

/// Implementation Class UID of this product (PS3.7 D.3.3.2), the same for every version.
pub fn implementation_class_uid() -> Uid {
    Uid::derived(&["grayd", "implementation class"])
}

/// Implementation Version Name, at most 16 characters.
const IMPLEMENTATION_VERSION_NAME: &str = concat!("GRAYD_", env!("CARGO_PKG_VERSION"));

/// Largest value of an element whose length field has 16 bits, even.
const LONGEST_SHORT_ELEMENT: usize = 65_534;

/// A data set that is being filled, element by element; each call replaces the element of that tag.
#[derive(Debug, Clone)]
pub struct DataSet(InMemDicomObject);

impl Default for DataSet {
    fn default() -> Self {
        Self::new()
    }
}

impl DataSet {
    pub fn new() -> Self {
        Self(InMemDicomObject::new_empty())
    }

    fn put(mut self, tag: Tag, vr: VR, value: PrimitiveValue) -> Self {
        self.0.put(DataElement::new(tag, vr, value));
        self
    }

    /// One text, without control characters and backslashes (which would part values), cut to
    /// what the VR holds.
    pub fn text(self, tag: Tag, vr: VR, text: &str) -> Self {
        self.put(tag, vr, PrimitiveValue::from(legal_text(vr, text)))
    }

    /// Several texts.
    pub fn texts(self, tag: Tag, vr: VR, texts: &[&str]) -> Self {
        let values: C<String> = texts.iter().map(|text| legal_text(vr, text)).collect();
        self.put(tag, vr, PrimitiveValue::Strs(values))
    }

    /// Decimal Strings. A number that is not finite has no form here: the element is left empty.
    pub fn decimals(self, tag: Tag, values: &[f64]) -> Self {
        let texts: Option<C<String>> = values.iter().map(|&v| decimal_string(v)).collect();
        self.put(tag, VR::DS, texts.map_or(PrimitiveValue::Empty, PrimitiveValue::Strs))
    }

    /// Decimal Strings that the caller has formatted.
    pub fn decimal_texts(self, tag: Tag, texts: Vec<String>) -> Self {
        self.put(tag, VR::DS, PrimitiveValue::Strs(texts.into_iter().collect()))
    }

    pub fn integer(self, tag: Tag, value: i64) -> Self {
        self.put(tag, VR::IS, PrimitiveValue::from(value.to_string()))
    }

    pub fn unsigned(self, tag: Tag, values: &[u16]) -> Self {
        self.put(tag, VR::US, PrimitiveValue::U16(values.iter().copied().collect()))
    }

    pub fn unsigned_long(self, tag: Tag, values: &[u32]) -> Self {
        self.put(tag, VR::UL, PrimitiveValue::U32(values.iter().copied().collect()))
    }

    pub fn double(self, tag: Tag, values: &[f64]) -> Self {
        self.put(tag, VR::FD, PrimitiveValue::F64(values.iter().copied().collect()))
    }

    /// 32 bit numbers of any count (OF).
    pub fn floats(self, tag: Tag, values: Vec<f32>) -> Self {
        self.put(tag, VR::OF, PrimitiveValue::F32(values.into()))
    }

    /// Attribute tags (AT).
    pub fn pointers(self, tag: Tag, values: &[Tag]) -> Self {
        self.put(tag, VR::AT, PrimitiveValue::Tags(values.iter().copied().collect()))
    }

    pub fn uid(self, tag: Tag, uid: &Uid) -> Self {
        self.put(tag, VR::UI, PrimitiveValue::from(uid.as_str()))
    }

    /// A UID of the standard's registry.
    pub fn uid_text(self, tag: Tag, uid: &str) -> Self {
        self.put(tag, VR::UI, PrimitiveValue::from(uid))
    }

    /// An element of type 2 whose value is not known.
    pub fn empty(mut self, tag: Tag, vr: VR) -> Self {
        self.0.put(DataElement::empty(tag, vr));
        self
    }

    /// OB or OW, little endian, padded to an even number of bytes.
    pub fn bytes(self, tag: Tag, vr: VR, mut bytes: Vec<u8>) -> Self {
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        self.put(tag, vr, PrimitiveValue::U8(bytes.into()))
    }

    pub fn sequence(mut self, tag: Tag, items: Vec<DataSet>) -> Self {
        let items: Vec<InMemDicomObject> = items.into_iter().map(|item| item.0).collect();
        self.0.put(DataElement::new(
            tag,
            VR::SQ,
            Value::Sequence(DataSetSequence::new(items, Length::UNDEFINED)),
        ));
        self
    }

    pub fn code(self, tag: Tag, code: &Code) -> Self {
        self.sequence(tag, vec![code.item()])
    }

    /// All of the other's elements, which replace those of the same tag here.
    pub fn with(mut self, other: DataSet) -> Self {
        for element in other.0 {
            self.0.put(element);
        }
        self
    }

    /// What `part` makes of this data set where there is a value.
    pub fn with_some<T>(self, value: Option<T>, part: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => part(self, value),
            None => self,
        }
    }

    pub fn into_inner(self) -> InMemDicomObject {
        self.0
    }

    /// The finished object with its file meta information, Explicit VR Little Endian.
    pub fn into_file(self) -> Result<DicomFile, WriteError> {
        lengths_are_sayable(&self.0)?;
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .implementation_class_uid(implementation_class_uid().as_str())
            .implementation_version_name(IMPLEMENTATION_VERSION_NAME);
        let file = self.0.with_meta(meta).map_err(|e| WriteError::Meta(e.to_string()))?;
        let complete = [tags::SOP_CLASS_UID, tags::SOP_INSTANCE_UID]
            .iter()
            .all(|&tag| file.get(tag).is_some_and(|e| !e.value().is_empty_value()));
        if complete { Ok(file) } else { Err(WriteError::Meta("not given".into())) }
    }
}

/// Presence of a value, for both kinds of element.
trait HasValue {
    fn is_empty_value(&self) -> bool;
}

impl<I, P> HasValue for Value<I, P> {
    fn is_empty_value(&self) -> bool {
        matches!(self, Value::Primitive(PrimitiveValue::Empty))
    }
}

fn lengths_are_sayable(object: &InMemDicomObject) -> Result<(), WriteError> {
    for element in object {
        match element.value() {
            Value::Primitive(value) => {
                let bytes = value.calculate_byte_len();
                let short = !matches!(
                    element.vr(),
                    VR::OB
                        | VR::OD
                        | VR::OF
                        | VR::OL
                        | VR::OV
                        | VR::OW
                        | VR::UC
                        | VR::UN
                        | VR::UR
                        | VR::UT
                        | VR::SV
                        | VR::UV
                );
                if short && bytes > LONGEST_SHORT_ELEMENT {
                    return Err(WriteError::TooLong { tag: element.header().tag, bytes });
                }
            }
            Value::Sequence(sequence) => {
                sequence.items().iter().try_for_each(lengths_are_sayable)?;
            }
            Value::PixelSequence(_) => {}
        }
    }
    Ok(())
}

/// The most characters of one value (PS3.5 table 6.2-1).
fn longest_text(vr: VR) -> usize {
    match vr {
        VR::AE | VR::CS | VR::SH | VR::DS | VR::TM => 16,
        VR::DA => 8,
        VR::DT => 26,
        VR::LO | VR::PN | VR::UI => 64,
        VR::ST => 1024,
        VR::LT => 10_240,
        _ => usize::MAX,
    }
}

fn legal_text(vr: VR, text: &str) -> String {
    let is_long = matches!(vr, VR::ST | VR::LT | VR::UT);
    let legal = text
        .chars()
        .filter_map(|c| match c {
            '\n' | '\t' if is_long => Some(c),
            '\\' if !is_long => Some('/'),
            c if c.is_control() => None,
            c => Some(c),
        })
        .take(longest_text(vr));
    let kept: String = legal.collect();
    // Component groups of a person's name count one by one; a name that was legal stays whole.
    if vr == VR::PN { text.replace(|c: char| c.is_control() || c == '\\', "") } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_part_values_nor_outgrow_its_vr() {
        let set = DataSet::new().text(tags::SERIES_DESCRIPTION, VR::LO, &"a\\b\u{1b}ä".repeat(40));
        let element = set.into_inner().take(tags::SERIES_DESCRIPTION).unwrap();
        let text = element.to_str().unwrap();
        assert_eq!(text.chars().count(), 64);
        assert!(text.starts_with("a/bäa/b"));
    }

    #[test]
    fn a_value_too_long_for_its_length_field_is_refused_at_any_depth() {
        let inner = DataSet::new().decimals(tags::CONTOUR_DATA, &vec![1.25; 20_000]);
        let outer = DataSet::new().sequence(tags::CONTOUR_SEQUENCE, vec![inner]);
        assert!(
            matches!(outer.into_file(), Err(WriteError::TooLong { bytes, .. }) if bytes > 65_534)
        );
    }

    #[test]
    fn an_object_without_identity_is_refused() {
        assert!(matches!(DataSet::new().into_file(), Err(WriteError::Meta(_))));
    }
}
