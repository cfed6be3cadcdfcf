//! One instance on disk: parsed whole, hashed, identified.

use super::attribute::{Object, required_uid, text, uid, whole_text};
use super::error::ReadError;
use crate::dicom::gate;
use crate::dicom::{PatientIdentity, Uid};
use crate::report::{InputInstance, StudyIdentity};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, OpenFileOptions};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A parsed instance with the identity that every reader wants of it.
pub struct Instance {
    pub object: DefaultDicomObject,
    pub sop_class: Uid,
    pub source: InputInstance,
}

/// Preamble, `DICM` and the group length element (PS3.10 section 7.1): where the rest is counted
/// from.
const META_GROUP_START: usize = 144;

/// Offset of the data set in a Part 10 file.
fn data_set_offset(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(128..META_GROUP_START)?;
    let group_length = u32::from_le_bytes(head[12..16].try_into().ok()?);
    let magic = head.starts_with(b"DICM\x02\x00\x00\x00UL\x04\x00");
    let end = META_GROUP_START.checked_add(usize::try_from(group_length).ok()?)?;
    (magic && end <= bytes.len()).then_some(end)
}

impl Instance {
    /// Reads and parses one Part 10 file, once the gate has let it through: `compute` reads folders
    /// that no node has received. The only place where this module opens a file.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let not_dicom = |reason: String| ReadError::NotDicom { path: path.to_owned(), reason };
        let bytes = std::fs::read(path)
            .map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
        gate::check_part10(&bytes).map_err(|error| not_dicom(error.to_string()))?;
        let start = data_set_offset(&bytes)
            .ok_or_else(|| not_dicom("it does not begin with a file meta header".into()))?;
        let object = OpenFileOptions::new()
            .from_reader(bytes.as_slice())
            .map_err(|error| not_dicom(error.to_string()))?;
        let sop_class = required_uid(&object, tags::SOP_CLASS_UID)?;
        let source = InputInstance {
            sop_class: sop_class.clone(),
            sop_instance: required_uid(&object, tags::SOP_INSTANCE_UID)?,
            series: required_uid(&object, tags::SERIES_INSTANCE_UID)?,
            study: required_uid(&object, tags::STUDY_INSTANCE_UID)?,
            modality: text(&object, tags::MODALITY).unwrap_or_default(),
            sha256: hexadecimal(&Sha256::digest(&bytes[start..])),
        };
        Ok(Self { object, sop_class, source })
    }

    pub fn identity(&self) -> PatientIdentity {
        PatientIdentity {
            id: text(&self.object, tags::PATIENT_ID).unwrap_or_default(),
            issuer: text(&self.object, tags::ISSUER_OF_PATIENT_ID).unwrap_or_default(),
            name: whole_text(&self.object, tags::PATIENT_NAME),
            birth_date: text(&self.object, tags::PATIENT_BIRTH_DATE).unwrap_or_default(),
            sex: text(&self.object, tags::PATIENT_SEX).unwrap_or_default(),
        }
    }

    pub fn study(&self) -> StudyIdentity {
        let of = |tag| whole_text(&self.object, tag);
        StudyIdentity {
            study: Some(self.source.study.clone()),
            date: of(tags::STUDY_DATE),
            time: of(tags::STUDY_TIME),
            id: of(tags::STUDY_ID),
            accession_number: of(tags::ACCESSION_NUMBER),
            referring_physician: of(tags::REFERRING_PHYSICIAN_NAME),
            description: of(tags::STUDY_DESCRIPTION),
        }
    }

    pub fn frame_of_reference(&self) -> Result<Option<Uid>, ReadError> {
        uid(&self.object, tags::FRAME_OF_REFERENCE_UID)
    }

    /// The data set without the file meta header.
    pub fn data_set(&self) -> &Object {
        &self.object
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Opens the instances of one series, in the order of their SOP Instance UIDs, so that nothing
/// after this depends on the order in which they came.
pub fn open_series(paths: &[PathBuf]) -> Result<Vec<Instance>, ReadError> {
    let mut instances =
        paths.par_iter().map(|path| Instance::open(path)).collect::<Result<Vec<_>, _>>()?;
    instances.sort_by(|a, b| a.source.sop_instance.cmp(&b.source.sop_instance));
    let first = instances.first().ok_or(ReadError::NoInstances)?;
    let identity = first.identity();
    let frame_of_reference = first.frame_of_reference()?;
    for pair in instances.windows(2) {
        let other = &pair[1];
        let fault = if pair[0].source.sop_instance == other.source.sop_instance {
            Some("one SOP Instance UID was given twice")
        } else if pair[0].source.series != other.source.series {
            Some("they belong to more than one series; give one series at a time")
        } else if pair[0].sop_class != other.sop_class {
            Some("they are of more than one SOP class")
        } else if !identity.is_same_person(&other.identity()) {
            Some("they name more than one patient in one series")
        } else if frame_of_reference != other.frame_of_reference()? {
            Some("they lie in more than one frame of reference")
        } else {
            None
        };
        if let Some(fault) = fault {
            return Err(ReadError::Contradiction(fault.into()));
        }
    }
    Ok(instances)
}
