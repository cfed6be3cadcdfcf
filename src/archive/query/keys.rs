//! Keys: the attributes that peers can ask about, where they stand in a data set, and what the text of
//! one asks for. C-FIND, C-MOVE, C-GET and QIDO-RS all read their questions by this one table, and the
//! conformance statement prints it.

use super::{Attribute, Condition, Matching};
use crate::dicom::Uid;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pub tag: Tag,
    /// Also decides how values are compared.
    pub vr: VR,
    pub attribute: Attribute,
}

const fn key(tag: Tag, vr: VR, attribute: Attribute) -> Key {
    Key { tag, vr, attribute }
}

/// All that can be matched on.
pub const KEYS: &[Key] = &[
    key(tags::PATIENT_ID, VR::LO, Attribute::PatientId),
    key(tags::ISSUER_OF_PATIENT_ID, VR::LO, Attribute::IssuerOfPatientId),
    key(tags::PATIENT_NAME, VR::PN, Attribute::PatientName),
    key(tags::PATIENT_BIRTH_DATE, VR::DA, Attribute::PatientBirthDate),
    key(tags::PATIENT_SEX, VR::CS, Attribute::PatientSex),
    key(tags::STUDY_INSTANCE_UID, VR::UI, Attribute::StudyInstanceUid),
    key(tags::STUDY_DATE, VR::DA, Attribute::StudyDate),
    key(tags::STUDY_TIME, VR::TM, Attribute::StudyTime),
    key(tags::STUDY_ID, VR::SH, Attribute::StudyId),
    key(tags::ACCESSION_NUMBER, VR::SH, Attribute::AccessionNumber),
    key(tags::STUDY_DESCRIPTION, VR::LO, Attribute::StudyDescription),
    key(tags::REFERRING_PHYSICIAN_NAME, VR::PN, Attribute::ReferringPhysicianName),
    key(tags::MODALITIES_IN_STUDY, VR::CS, Attribute::Modality),
    key(tags::SERIES_INSTANCE_UID, VR::UI, Attribute::SeriesInstanceUid),
    key(tags::MODALITY, VR::CS, Attribute::Modality),
    key(tags::SERIES_NUMBER, VR::IS, Attribute::SeriesNumber),
    key(tags::SERIES_DESCRIPTION, VR::LO, Attribute::SeriesDescription),
    key(tags::SERIES_DATE, VR::DA, Attribute::SeriesDate),
    key(tags::SERIES_TIME, VR::TM, Attribute::SeriesTime),
    key(tags::BODY_PART_EXAMINED, VR::CS, Attribute::BodyPartExamined),
    key(tags::PROTOCOL_NAME, VR::LO, Attribute::ProtocolName),
    key(tags::STATION_NAME, VR::SH, Attribute::StationName),
    key(tags::MANUFACTURER, VR::LO, Attribute::Manufacturer),
    key(tags::MANUFACTURER_MODEL_NAME, VR::LO, Attribute::ManufacturerModelName),
    key(tags::SOP_INSTANCE_UID, VR::UI, Attribute::SopInstanceUid),
    key(tags::SOP_CLASS_UID, VR::UI, Attribute::SopClassUid),
    key(tags::INSTANCE_NUMBER, VR::IS, Attribute::InstanceNumber),
    key(tags::NUMBER_OF_FRAMES, VR::IS, Attribute::NumberOfFrames),
    key(tags::ROWS, VR::US, Attribute::Rows),
    key(tags::COLUMNS, VR::US, Attribute::Columns),
];

impl Key {
    pub fn of(tag: Tag) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.tag == tag)
    }

    /// What a key's text asks for; `None` where it matches everything.
    pub fn condition(&self, text: &str) -> Result<Option<Condition>, &'static str> {
        let matching = Matching::read(self.vr, text)?;
        Ok(matching.map(|matching| Condition { attribute: self.attribute, matching }))
    }
}

impl Matching {
    /// What the text of a key of some representation asks for (PS3.4 section C.2.2.2); `None` where
    /// it matches everything.
    pub fn read(vr: VR, text: &str) -> Result<Option<Self>, &'static str> {
        let text = text.trim_matches([' ', '\0']);
        if text.is_empty() || text.chars().all(|c| c == '*') {
            return Ok(None);
        }
        let listed = || text.split('\\').map(|value| value.trim_matches([' ', '\0']).to_owned());
        Ok(Some(match vr {
            VR::PN => Self::Name(text.to_owned()),
            VR::UI if !listed().all(|value| Uid::parse(&value).is_ok()) => {
                return Err("a UID to match is none");
            }
            VR::IS | VR::US => match text.parse() {
                Ok(number) => Self::Number(number),
                Err(_) => return Err("a number to match is none"),
            },
            VR::DA | VR::TM => span(text)?,
            VR::DT => Self::moments(text).ok_or(NO_TIME)?,
            VR::UI => Self::OneOf(listed().collect()),
            _ if text.contains(['*', '?']) => Self::Pattern(text.to_owned()),
            _ => Self::OneOf(listed().collect()),
        }))
    }
}

const NO_TIME: &str = "a date or time to match is none";

/// A date, a time, or a range of them.
fn span(text: &str) -> Result<Matching, &'static str> {
    let (from, to) = match text.split_once('-') {
        Some((from, to)) => (from.trim(), to.trim()),
        None => (text, text),
    };
    let legal = |bound: &str| bound.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ':'));
    if !legal(from) || !legal(to) || (from.is_empty() && to.is_empty()) {
        return Err(NO_TIME);
    }
    let bound = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(Matching::Range { from: bound(from), to: bound(to) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
    use dicom_dictionary_std::StandardDataDictionary;

    #[test]
    fn keys_have_the_dictionary_s_representation_and_none_stands_twice() {
        for (at, key) in KEYS.iter().enumerate() {
            let entry = StandardDataDictionary.by_tag(key.tag).unwrap();
            assert_eq!(entry.vr().exact(), Some(key.vr), "{}", entry.alias());
            assert!(KEYS[..at].iter().all(|other| other.tag != key.tag), "{}", entry.alias());
        }
    }

    #[test]
    fn each_kind_of_matching_is_read_from_its_key() {
        let read = |tag, text| Key::of(tag).unwrap().condition(text).map(|c| c.map(|c| c.matching));
        let one = |values: &[&str]| Matching::OneOf(values.iter().map(|v| (*v).into()).collect());
        let range = |from: &str, to: Option<&str>| Matching::Range {
            from: Some(from.into()),
            to: to.map(Into::into),
        };
        for (tag, text, wanted) in [
            (tags::PATIENT_ID, "P-1", one(&["P-1"])),
            (tags::PATIENT_ID, "P*", Matching::Pattern("P*".into())),
            (tags::PATIENT_NAME, "doe^j", Matching::Name("doe^j".into())),
            (tags::STUDY_INSTANCE_UID, "1.2\\1.3", one(&["1.2", "1.3"])),
            (tags::STUDY_DATE, "20260301-", range("20260301", None)),
            (tags::STUDY_DATE, "20260301", range("20260301", Some("20260301"))),
            (tags::MODALITIES_IN_STUDY, "NM\\PT", one(&["NM", "PT"])),
            (tags::SERIES_NUMBER, "07", Matching::Number(7)),
        ] {
            assert_eq!(read(tag, text), Ok(Some(wanted)), "{text}");
        }
        assert_eq!(read(tags::PATIENT_ID, ""), Ok(None), "universal");
        assert_eq!(read(tags::PATIENT_NAME, "*"), Ok(None), "universal");
        assert!(read(tags::STUDY_DATE, "yesterday").is_err());
        assert!(read(tags::STUDY_INSTANCE_UID, "1.2.*").is_err());
        assert!(read(tags::ROWS, "many").is_err());
    }

    #[test]
    fn dates_with_times_are_matched_as_instants_whatever_their_offsets() {
        let fits = |key: &str, value: &str| {
            let matching = Matching::read(VR::DT, key).unwrap().unwrap();
            matching.fits(Some(value))
        };
        for (key, value) in [
            // An offset with `-` is no range.
            ("20260302101500-0500", "20260302151500+0000"),
            ("20260302101500-0500", "20260302101500.25-0500"),
            ("20260302101500+0000", "20260302101500"),
            ("20260302151500", "20260302101500-0500"),
            ("20260302", "20260301235959-0330"),
            ("20260302101500-0500-20260302101600-0500", "20260302151530+0000"),
            ("20260302101500+0100-", "20260302091500+0000"),
            ("-20260302101500+0100", "20260302091500.999999+0000"),
            ("20260302-20260303", "20260303235959"),
            ("20260302 - 20260303-0500", "20260304045959+0000"),
            ("2025-2026", "20261231"),
            ("2026-0500-2027-0500", "20271231235959-0500"),
            ("20260101-99991231", "20260302"),
            ("20160630235960", "20160630235960"),
        ] {
            assert!(fits(key, value), "{key} {value}");
        }
        for (key, value) in [
            ("20260302101500-0500", "20260302101500+0000"),
            ("20260302101500-0500-", "20260302151459+0000"),
            ("-20260302101500+0100", "20260302091501+0000"),
            ("20260302-20260303", "20260303235959-0500"),
            ("20260302101500.5", "20260302101500.6"),
            ("2025-2026", "2027"),
            ("20260302", ""),
            ("20260302", "soon"),
        ] {
            assert!(!fits(key, value), "{key} {value}");
        }
        let neither = "- soon 2026030 20261302 20260230 20260302101561 20260302.5 2026.03.02 \
            20260302101500.1234567 20260302101500+1500 20260302101500+05 20260302-- \
            20260302-20260303-20260304 20260302\\20260303";
        for key in neither.split(' ') {
            assert!(Matching::read(VR::DT, key).is_err(), "{key}");
        }
    }
}
