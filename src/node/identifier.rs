//! Identifiers: the data sets of C-FIND, C-MOVE and C-GET, to and from the archive's questions
//! (PS3.4 section C.2.2 and C.6).
//!
//! Every known attribute may be asked about at any level, whether or not the unique keys of the
//! levels above are given: what relational queries may, all may. A key that is not known here comes
//! back empty, and the status says so.

use super::command::status;
use crate::archive::Match;
use crate::archive::query::{Attribute, Condition, KEYS, Key, Matching, Query, QueryLevel};
use crate::dicom::gate::{self, TransferSyntaxKind};
use crate::dicom::{Uid, header};
use dicom_core::header::Header;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::TransferSyntaxIndex;
use dicom_encoding::text::SpecificCharacterSet;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use std::io::Cursor;

/// Longest identifier that is read, bytes: room for some ten thousand UIDs.
pub(super) const MAX_IDENTIFIER_BYTES: usize = 1 << 20;

/// Names of the levels, and what identifies a match at each.
const LEVELS: [(&str, QueryLevel, Attribute); 4] = [
    ("PATIENT", QueryLevel::Patient, Attribute::PatientId),
    ("STUDY", QueryLevel::Study, Attribute::StudyInstanceUid),
    ("SERIES", QueryLevel::Series, Attribute::SeriesInstanceUid),
    ("IMAGE", QueryLevel::Instance, Attribute::SopInstanceUid),
];

/// Why an identifier cannot be followed: the status and comment of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdentifierError {
    pub status: u16,
    pub comment: &'static str,
}

fn mismatch<T>(comment: &'static str) -> Result<T, IdentifierError> {
    Err(IdentifierError { status: status::IDENTIFIER_MISMATCH, comment })
}

/// A parsed identifier.
pub(super) struct Identifier {
    pub query: Query,
    /// Every key of the request, to be given back.
    keys: Vec<(Tag, VR)>,
}

impl Identifier {
    /// Of a request in the information model of SOP class `model`.
    pub fn parse(
        bytes: &[u8],
        transfer_syntax: &Uid,
        model: &str,
        limit: usize,
    ) -> Result<Self, IdentifierError> {
        let object = data_set(bytes, transfer_syntax)?;
        let Some(level) = header::text(&object, tags::QUERY_RETRIEVE_LEVEL) else {
            return mismatch("Query/Retrieve Level (0008,0052) is missing");
        };
        let level = LEVELS.iter().find(|(name, ..)| *name == level.trim());
        let Some((_, level, _)) = level else {
            return mismatch("Query/Retrieve Level (0008,0052) is not known");
        };
        if *level == QueryLevel::Patient && !is_patient_root(model) {
            return mismatch("Study Root has no level PATIENT");
        }
        let mut conditions = Vec::new();
        for key in KEYS {
            if let Some(text) = header::text(&object, key.tag) {
                conditions.extend(key.condition(&text).or_else(mismatch)?);
            }
        }
        let keys = object.iter().map(|element| (element.tag(), element.vr())).collect();
        Ok(Self { query: Query { level: *level, conditions, limit }, keys })
    }

    /// The question for what is to be retrieved: the unique keys alone, that of the level being
    /// there (PS3.4 section C.4.2.1.4).
    pub fn into_retrieve(mut self) -> Result<Query, IdentifierError> {
        let level = self.query.level;
        let is_unique = |attribute| LEVELS.iter().any(|(_, l, a)| *a == attribute && *l <= level);
        self.query.conditions.retain(|condition| is_unique(condition.attribute));
        let own = LEVELS.iter().find(|(_, l, _)| *l == level).map(|(.., attribute)| *attribute);
        let is_exact = |c: &Condition| matches!(c.matching, Matching::OneOf(_));
        if !self.query.conditions.iter().all(is_exact) {
            return mismatch("a unique key holds a wildcard");
        }
        if !self.query.conditions.iter().any(|c| Some(c.attribute) == own) {
            return mismatch("the unique key of the level is missing");
        }
        self.query.level = QueryLevel::Instance;
        Ok(self.query)
    }

    /// Whether all keys of the request are known here.
    pub fn is_all_known(&self) -> bool {
        self.keys
            .iter()
            .all(|(tag, _)| is_frame(*tag) || Key::of(*tag).is_some() || COMPUTED.contains(tag))
    }

    /// The identifier of a response, encoded.
    pub fn answer(&self, found: &Match, own_ae: &str, transfer_syntax: &Uid) -> Vec<u8> {
        let mut object = InMemDicomObject::new_empty();
        let mut put = |tag, vr, value: PrimitiveValue| {
            object.put(DataElement::new(tag, vr, value));
        };
        let level = LEVELS.iter().find(|(_, level, _)| *level == self.query.level);
        put(tags::QUERY_RETRIEVE_LEVEL, VR::CS, level.map_or("", |(name, ..)| *name).into());
        put(tags::RETRIEVE_AE_TITLE, VR::AE, own_ae.into());
        put(tags::INSTANCE_AVAILABILITY, VR::CS, "ONLINE".into());
        put(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192".into());
        for (tag, vr) in self.keys.iter().filter(|(tag, _)| !is_frame(*tag)) {
            if *vr == VR::SQ {
                object.put(DataElement::new(*tag, VR::SQ, DataSetSequence::empty()));
                continue;
            }
            let value = self.value(*tag, found).unwrap_or_default();
            let value = match (vr, value.parse::<u16>()) {
                (VR::US, Ok(number)) => PrimitiveValue::from(number),
                _ if value.is_empty() => PrimitiveValue::Empty,
                _ => PrimitiveValue::from(value),
            };
            object.put(DataElement::new(*tag, *vr, value));
        }
        encode(&object, transfer_syntax)
    }

    /// Text of a key; values of one attribute are joined as DICOM does.
    fn value(&self, tag: Tag, found: &Match) -> Option<String> {
        let level = self.query.level;
        match tag {
            tags::MODALITIES_IN_STUDY => (level == QueryLevel::Study)
                .then(|| found.modalities.iter().cloned().collect::<Vec<_>>().join("\\")),
            tags::NUMBER_OF_PATIENT_RELATED_STUDIES => {
                count(level, QueryLevel::Patient, found.studies)
            }
            tags::NUMBER_OF_PATIENT_RELATED_SERIES => {
                count(level, QueryLevel::Patient, found.series)
            }
            tags::NUMBER_OF_PATIENT_RELATED_INSTANCES => {
                count(level, QueryLevel::Patient, found.instances)
            }
            tags::NUMBER_OF_STUDY_RELATED_SERIES => count(level, QueryLevel::Study, found.series),
            tags::NUMBER_OF_STUDY_RELATED_INSTANCES => {
                count(level, QueryLevel::Study, found.instances)
            }
            tags::NUMBER_OF_SERIES_RELATED_INSTANCES => {
                count(level, QueryLevel::Series, found.instances)
            }
            _ => {
                let attribute = Key::of(tag)?.attribute;
                let within = attribute.level() <= level;
                within.then(|| attribute.value(&found.header)).flatten().map(Into::into)
            }
        }
    }
}

const COMPUTED: [Tag; 6] = [
    tags::NUMBER_OF_PATIENT_RELATED_STUDIES,
    tags::NUMBER_OF_PATIENT_RELATED_SERIES,
    tags::NUMBER_OF_PATIENT_RELATED_INSTANCES,
    tags::NUMBER_OF_STUDY_RELATED_SERIES,
    tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
    tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
];

fn count(level: QueryLevel, of: QueryLevel, number: u64) -> Option<String> {
    (level == of).then(|| number.to_string())
}

/// Elements that every response has and that are no keys.
fn is_frame(tag: Tag) -> bool {
    matches!(
        tag,
        tags::QUERY_RETRIEVE_LEVEL
            | tags::SPECIFIC_CHARACTER_SET
            | tags::RETRIEVE_AE_TITLE
            | tags::INSTANCE_AVAILABILITY
            | tags::TIMEZONE_OFFSET_FROM_UTC
    ) || tag.element() == 0
}

fn is_patient_root(model: &str) -> bool {
    matches!(
        model,
        uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND
            | uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE
            | uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET
    )
}

/// Parses a data set that came with a command, behind the gate.
pub(super) fn data_set(
    bytes: &[u8],
    transfer_syntax: &Uid,
) -> Result<InMemDicomObject, IdentifierError> {
    let malformed = IdentifierError {
        status: status::UNABLE_TO_PROCESS,
        comment: "the data set could not be parsed",
    };
    let kind = TransferSyntaxKind::of(transfer_syntax).ok_or(malformed.clone())?;
    gate::check_reader(&mut Cursor::new(bytes), kind).map_err(|_| malformed.clone())?;
    let syntax = TransferSyntaxRegistry.get(transfer_syntax.as_str()).ok_or(malformed.clone())?;
    InMemDicomObject::read_dataset_with_ts(bytes, syntax).map_err(|_| malformed)
}

/// The UID that an element holds; `None` where it is absent or no UID.
pub(super) fn uid(object: &InMemDicomObject, tag: Tag) -> Option<Uid> {
    header::text(object, tag).and_then(|text| Uid::parse(&text).ok())
}

/// Writes a data set to go with a command, text as UTF-8.
pub(super) fn encode(object: &InMemDicomObject, transfer_syntax: &Uid) -> Vec<u8> {
    let mut bytes = Vec::new();
    let syntax = TransferSyntaxRegistry
        .get(transfer_syntax.as_str())
        .expect("only native transfer syntaxes are accepted for these services");
    object
        .write_dataset_with_ts_cs(&mut bytes, syntax, SpecificCharacterSet::ISO_IR_192)
        .expect("memory takes all bytes, and UTF-8 all text");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_dictionary_std::uids::{
        PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND as PATIENT_ROOT,
        STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND as STUDY_ROOT,
    };
    use proptest::prelude::*;

    fn explicit() -> Uid {
        Uid::parse(uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    }

    fn bytes(elements: &[(Tag, VR, &str)]) -> Vec<u8> {
        let element = |(tag, vr, text): &(Tag, VR, &str)| {
            DataElement::new(*tag, *vr, PrimitiveValue::from(*text))
        };
        encode(&InMemDicomObject::from_element_iter(elements.iter().map(element)), &explicit())
    }

    fn parse(model: &str, elements: &[(Tag, VR, &str)]) -> Result<Identifier, IdentifierError> {
        Identifier::parse(&bytes(elements), &explicit(), model, 10)
    }

    const STUDY: (Tag, VR, &str) = (tags::QUERY_RETRIEVE_LEVEL, VR::CS, "STUDY");

    #[test]
    fn what_is_no_identifier_gets_the_status_that_says_so() {
        let status = |model, elements: &[(Tag, VR, &str)]| {
            parse(model, elements).err().map(|error| error.status)
        };
        let patient = (tags::QUERY_RETRIEVE_LEVEL, VR::CS, "PATIENT");
        assert_eq!(status(PATIENT_ROOT, &[patient]), None);
        assert_eq!(status(STUDY_ROOT, &[patient]), Some(0xA900));
        assert_eq!(status(STUDY_ROOT, &[]), Some(0xA900));
        let wrong = [
            (tags::QUERY_RETRIEVE_LEVEL, VR::CS, "WORLD"),
            (tags::STUDY_DATE, VR::DA, "yesterday"),
            (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.*"),
        ];
        for element in wrong {
            assert_eq!(status(STUDY_ROOT, &[STUDY, element]), Some(0xA900), "{element:?}");
        }
        let cut = &bytes(&[STUDY, (tags::PATIENT_ID, VR::LO, "P-1")])[..20];
        let error = Identifier::parse(cut, &explicit(), STUDY_ROOT, 10).err().unwrap();
        assert_eq!(error.status, 0xC000);
    }

    #[test]
    fn nothing_is_retrieved_without_the_unique_key_or_by_wildcard() {
        let retrieve = |elements: &[(Tag, VR, &str)]| {
            parse(PATIENT_ROOT, elements).unwrap().into_retrieve().is_ok()
        };
        assert!(retrieve(&[STUDY, (tags::STUDY_INSTANCE_UID, VR::UI, "1.2")]));
        assert!(!retrieve(&[STUDY, (tags::PATIENT_ID, VR::LO, "P-1")]));
        let patient = (tags::QUERY_RETRIEVE_LEVEL, VR::CS, "PATIENT");
        assert!(!retrieve(&[patient, (tags::PATIENT_ID, VR::LO, "P*")]));
    }

    #[test]
    fn values_are_padded_to_even_length_uids_by_a_null_and_text_by_a_space() {
        let padded = |tag, vr, text: &str| {
            let bytes = bytes(&[(tag, vr, text)]);
            bytes[bytes.len() - text.len() - 1..].to_vec()
        };
        assert_eq!(padded(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.9.1"), b"1.2.9.1\0");
        assert_eq!(padded(tags::RETRIEVE_AE_TITLE, VR::AE, "GRAYD"), b"GRAYD ");
    }

    #[test]
    fn an_unknown_key_is_noticed() {
        let known = parse(STUDY_ROOT, &[STUDY, (tags::PATIENT_ID, VR::LO, "")]).unwrap();
        assert!(known.is_all_known());
        let other = parse(STUDY_ROOT, &[STUDY, (tags::PATIENT_COMMENTS, VR::LT, "")]).unwrap();
        assert!(!other.is_all_known());
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_identifier_or_a_status(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Err(error) = Identifier::parse(&bytes, &explicit(), STUDY_ROOT, 10) {
                prop_assert!(error.status >= 0xA900);
            }
        }
    }
}
