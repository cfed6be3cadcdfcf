//! From bytes to [`InstanceHeader`]: the gate first, then the parser on the header alone.

use super::{InstanceHeader, PatientIdentity, charset, time};
use crate::dicom::Uid;
use crate::dicom::gate::{self, GateError, GateReport, TransferSyntaxKind};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Most bytes before pixel data, contours or frames that are parsed.
const MAX_HEADER_BYTES: u64 = 64 * 1024 * 1024;
/// Most elements and items there.
const MAX_HEADER_ELEMENTS: u32 = 500_000;

/// Why an instance has no header that can be used.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    #[error("could not be read: {0}; check the disk")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error(
        "the header has {bytes} bytes in {elements} elements, more than {MAX_HEADER_BYTES} or \
         {MAX_HEADER_ELEMENTS} are not read; export the object with less before its pixel data"
    )]
    TooLarge { bytes: u64, elements: u32 },
    #[error("the header could not be parsed: {0}; export the object again")]
    Parse(String),
    #[error("{name} {tag} is absent or empty; have the sender fill it")]
    Missing { name: &'static str, tag: Tag },
    #[error("{name} {tag} is no UID; have the sender correct it")]
    NoUid { name: &'static str, tag: Tag },
    #[error("transfer syntax {0} is not taken; convert to Explicit VR Little Endian")]
    TransferSyntax(Uid),
}

impl InstanceHeader {
    /// Reads a Part 10 file. Times without an offset of their own are in `zone`.
    pub fn read(path: &Path, zone: &TimeZone) -> Result<Self, HeaderError> {
        let mut file = File::open(path)?;
        let (syntax, report) = gate::check_file(&mut file)?;
        let end = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(end - report.bytes))?;
        Self::parse(&mut file, &syntax, &report, zone)
    }

    /// Checks and reads the data set that reaches from the reader's position to its end.
    pub fn read_data_set<R: Read + Seek>(
        reader: &mut R,
        transfer_syntax: &Uid,
        zone: &TimeZone,
    ) -> Result<(Self, GateReport), HeaderError> {
        let kind = TransferSyntaxKind::of(transfer_syntax)
            .ok_or_else(|| HeaderError::TransferSyntax(transfer_syntax.clone()))?;
        let start = reader.stream_position()?;
        let report = gate::check_reader(reader, kind)?;
        reader.seek(SeekFrom::Start(start))?;
        Ok((Self::parse(reader, transfer_syntax, &report, zone)?, report))
    }

    /// Parses what the gate found to be the header; the reader stands at the data set's beginning.
    fn parse<R: Read>(
        reader: &mut R,
        transfer_syntax: &Uid,
        report: &GateReport,
        zone: &TimeZone,
    ) -> Result<Self, HeaderError> {
        let (bytes, elements) = (report.header_bytes, report.header_elements);
        if bytes > MAX_HEADER_BYTES || elements > MAX_HEADER_ELEMENTS {
            return Err(HeaderError::TooLarge { bytes, elements });
        }
        let syntax = TransferSyntaxRegistry
            .get(transfer_syntax.as_str())
            .ok_or_else(|| HeaderError::TransferSyntax(transfer_syntax.clone()))?;
        let object =
            InMemDicomObject::read_dataset_with_ts(BufReader::new(reader.take(bytes)), syntax)
                .map_err(|error| HeaderError::Parse(error.to_string()))?;
        Attributes::of(&object).header(transfer_syntax, zone)
    }
}

/// Text of an element of a data set, decoded by the data set's character set; `None` where it is
/// absent, empty or not text.
pub(crate) fn text(object: &InMemDicomObject, tag: Tag) -> Option<String> {
    Attributes::of(object).text(tag)
}

/// A parsed data set and how its text is to be decoded.
struct Attributes<'o> {
    object: &'o InMemDicomObject,
    charset: Vec<String>,
}

impl<'o> Attributes<'o> {
    fn of(object: &'o InMemDicomObject) -> Self {
        let mut this = Self { object, charset: Vec::new() };
        this.charset = this.values(tags::SPECIFIC_CHARACTER_SET);
        this
    }

    /// Text as written, padding off; `None` where absent, empty or not text.
    fn text(&self, tag: Tag) -> Option<String> {
        let value = self.object.get(tag)?.to_str().ok()?;
        let text = charset::decode(value.trim_matches([' ', '\0']), &self.charset);
        (!text.is_empty()).then_some(text)
    }

    /// All values of a multi-valued text, trimmed; an empty first value is kept.
    fn values(&self, tag: Tag) -> Vec<String> {
        let values = self.object.get(tag).and_then(|element| element.to_multi_str().ok());
        let trim = |value: &String| value.trim_matches([' ', '\0']).to_owned();
        values.map(|values| values.iter().map(trim).collect()).unwrap_or_default()
    }

    fn number<T: std::str::FromStr>(&self, tag: Tag) -> Option<T> {
        self.text(tag)?.parse().ok()
    }

    /// All values as finite numbers, or nothing.
    fn numbers<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let values: Option<Vec<f64>> = self
            .values(tag)
            .iter()
            .map(|v| v.parse().ok().filter(|n: &f64| n.is_finite()))
            .collect();
        values?.try_into().ok()
    }

    fn uid(&self, name: &'static str, tag: Tag) -> Result<Uid, HeaderError> {
        let text = self.text(tag).ok_or(HeaderError::Missing { name, tag })?;
        Uid::parse(&text).map_err(|_| HeaderError::NoUid { name, tag })
    }

    fn items(&self, tag: Tag) -> impl Iterator<Item = Attributes<'o>> + use<'o> {
        let charset = self.charset.clone();
        let items = self.object.get(tag).and_then(|element| element.items()).unwrap_or_default();
        items.iter().map(move |object| Attributes { object, charset: charset.clone() })
    }

    fn header(&self, syntax: &Uid, zone: &TimeZone) -> Result<InstanceHeader, HeaderError> {
        Ok(InstanceHeader {
            sop_class: self.uid("SOP Class UID", tags::SOP_CLASS_UID)?,
            sop_instance: self.uid("SOP Instance UID", tags::SOP_INSTANCE_UID)?,
            transfer_syntax: syntax.clone(),
            study: self.uid("Study Instance UID", tags::STUDY_INSTANCE_UID)?,
            series: self.uid("Series Instance UID", tags::SERIES_INSTANCE_UID)?,
            patient: self.patient(),
            modality: self.text(tags::MODALITY).unwrap_or_default(),
            image_type: self.values(tags::IMAGE_TYPE),
            series_description: self.text(tags::SERIES_DESCRIPTION),
            series_number: self.number(tags::SERIES_NUMBER),
            instance_number: self.number(tags::INSTANCE_NUMBER),
            accession_number: self.text(tags::ACCESSION_NUMBER),
            study_date: self.text(tags::STUDY_DATE),
            frame_of_reference: self
                .text(tags::FRAME_OF_REFERENCE_UID)
                .and_then(|text| Uid::parse(&text).ok()),
            acquired: self.acquired(zone),
            frames: self.number(tags::NUMBER_OF_FRAMES).unwrap_or(1),
            rows: self.number(tags::ROWS),
            columns: self.number(tags::COLUMNS),
            declared_slices: self.number(tags::NUMBER_OF_SLICES),
            declared_time_slices: self.number(tags::NUMBER_OF_TIME_SLICES),
            slice_position_mm: self.slice_position_mm(),
            manufacturer: self.text(tags::MANUFACTURER),
            model: self.text(tags::MANUFACTURER_MODEL_NAME),
            station_name: self.text(tags::STATION_NAME),
            radionuclide: self.radionuclide(),
            referenced_series: self.referenced_series(),
            series_tags: self.series_tags(),
        })
    }

    fn patient(&self) -> PatientIdentity {
        let text = |tag| self.text(tag).unwrap_or_default();
        PatientIdentity {
            id: text(tags::PATIENT_ID),
            issuer: text(tags::ISSUER_OF_PATIENT_ID),
            name: text(tags::PATIENT_NAME),
            birth_date: text(tags::PATIENT_BIRTH_DATE),
            sex: text(tags::PATIENT_SEX),
        }
    }

    fn acquired(&self, zone: &TimeZone) -> Option<Timestamp> {
        let own = match self.text(tags::TIMEZONE_OFFSET_FROM_UTC) {
            Some(text) => Some(time::zone_offset(&text)?),
            None => None,
        };
        let zone = own.as_ref().unwrap_or(zone);
        if let Some(text) = self.text(tags::ACQUISITION_DATE_TIME) {
            return time::date_time(&text, zone);
        }
        let pairs = [
            (tags::ACQUISITION_DATE, tags::ACQUISITION_TIME),
            (tags::CONTENT_DATE, tags::CONTENT_TIME),
            (tags::SERIES_DATE, tags::SERIES_TIME),
            (tags::STUDY_DATE, tags::STUDY_TIME),
        ];
        let given = pairs.iter().find_map(|(date, time)| self.text(*date).zip(self.text(*time)));
        given.and_then(|(date, time)| time::instant(&date, &time, zone))
    }

    /// Image Position projected on the normal of Image Orientation (PS3.3 C.7.6.2.1.1).
    fn slice_position_mm(&self) -> Option<f64> {
        let position = self.numbers::<3>(tags::IMAGE_POSITION_PATIENT)?;
        let [a, b, c, d, e, f] = self.numbers::<6>(tags::IMAGE_ORIENTATION_PATIENT)?;
        let normal = [b * f - c * e, c * d - a * f, a * e - b * d];
        let length = normal.iter().map(|n| n * n).sum::<f64>().sqrt();
        let along: f64 = position.iter().zip(normal).map(|(p, n)| p * n).sum();
        // Cosines that span no plane have no normal.
        (length > 0.5 && along.is_finite()).then(|| along / length)
    }

    /// Code meaning of each radiopharmaceutical's nuclide, or else its text; distinct ones joined
    /// as the values of one attribute.
    fn radionuclide(&self) -> Option<String> {
        let mut names: Vec<String> = Vec::new();
        for item in self.items(tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE) {
            let code = item
                .items(tags::RADIONUCLIDE_CODE_SEQUENCE)
                .find_map(|code| code.text(tags::CODE_MEANING));
            let name = code.or_else(|| item.text(tags::RADIOPHARMACEUTICAL));
            names.extend(name.filter(|name| !names.contains(name)));
        }
        (!names.is_empty()).then(|| names.join("\\"))
    }

    /// Series UIDs in every place where an object may say what it is about.
    fn referenced_series(&self) -> Vec<Uid> {
        let mut found: Vec<Uid> = Vec::new();
        let mut take = |series: Attributes<'_>| {
            let uid = series.uid("Series Instance UID", tags::SERIES_INSTANCE_UID).ok();
            found.extend(uid.filter(|uid| !found.contains(uid)));
        };
        self.items(tags::REFERENCED_SERIES_SEQUENCE).for_each(&mut take);
        for within in [
            tags::STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES_SEQUENCE,
            tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
        ] {
            for study in self.items(within) {
                study.items(tags::REFERENCED_SERIES_SEQUENCE).for_each(&mut take);
            }
        }
        for frame in self.items(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE) {
            for study in frame.items(tags::RT_REFERENCED_STUDY_SEQUENCE) {
                study.items(tags::RT_REFERENCED_SERIES_SEQUENCE).for_each(&mut take);
            }
        }
        found
    }

    fn series_tags(&self) -> BTreeMap<String, String> {
        let named = [
            ("SeriesDescription", tags::SERIES_DESCRIPTION),
            ("ProtocolName", tags::PROTOCOL_NAME),
            ("StudyDescription", tags::STUDY_DESCRIPTION),
            ("Manufacturer", tags::MANUFACTURER),
            ("ManufacturerModelName", tags::MANUFACTURER_MODEL_NAME),
            ("StationName", tags::STATION_NAME),
            ("Modality", tags::MODALITY),
            ("ImageType", tags::IMAGE_TYPE),
            ("BodyPartExamined", tags::BODY_PART_EXAMINED),
            ("SeriesNumber", tags::SERIES_NUMBER),
            // No rule names these; who searches wants to see them.
            ("SeriesDate", tags::SERIES_DATE),
            ("SeriesTime", tags::SERIES_TIME),
            ("StudyTime", tags::STUDY_TIME),
            ("StudyID", tags::STUDY_ID),
            ("ReferringPhysicianName", tags::REFERRING_PHYSICIAN_NAME),
        ];
        let text = |(name, tag): (&str, Tag)| Some((name.to_owned(), self.text(tag)?));
        named.into_iter().filter_map(text).collect()
    }
}
