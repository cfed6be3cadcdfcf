//! What the node, the archive and the intake need to know of an instance: read from disk up to
//! the pixel data, never more.

mod charset;
mod reading;
#[cfg(test)]
mod tests;
mod time;

pub(crate) use charset::decode as decode_text;
pub use reading::HeaderError;
pub(crate) use reading::text;

use super::uid::Uid;
use jiff::Timestamp;

/// Who the patient is, decoded from the instance's character set. Identity is (id, issuer).
/// Prints as `***` under `Debug`, so that no log ever names a patient.
#[derive(Clone, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct PatientIdentity {
    /// Patient ID (0010,0020), trimmed.
    pub id: String,
    /// Issuer of Patient ID (0010,0021); empty where not given.
    pub issuer: String,
    /// Patient's Name (0010,0010) as written, component groups and all.
    pub name: String,
    /// Patient's Birth Date (0010,0030) as written.
    pub birth_date: String,
    /// Patient's Sex (0010,0040) as written.
    pub sex: String,
}

impl PatientIdentity {
    /// Same person: same ID, and no contradiction between issuers that are both given.
    pub fn is_same_person(&self, other: &Self) -> bool {
        self.id == other.id
            && (self.issuer == other.issuer || self.issuer.is_empty() || other.issuer.is_empty())
    }
}

impl std::fmt::Debug for PatientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PatientIdentity(***)")
    }
}

/// The header of one instance, the index row of the archive and the intake's whole view of it.
/// Everything that may be absent is an `Option`; nothing is defaulted.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct InstanceHeader {
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub transfer_syntax: Uid,
    pub study: Uid,
    pub series: Uid,
    pub patient: PatientIdentity,
    /// Modality (0008,0060); empty where the object gives none.
    pub modality: String,
    /// Image Type (0008,0008), all values.
    pub image_type: Vec<String>,
    pub series_description: Option<String>,
    pub series_number: Option<i64>,
    pub instance_number: Option<i64>,
    pub accession_number: Option<String>,
    pub study_date: Option<String>,
    pub frame_of_reference: Option<Uid>,
    /// Beginning of the acquisition in UTC: the first that is given of Acquisition DateTime and the
    /// dates and times of acquisition, content, series and study. `None` where none is given, and
    /// where the first that is given is malformed, lies in the hour that a change of clocks skips
    /// or repeats, or has a malformed zone: a later one would be another moment.
    pub acquired: Option<Timestamp>,
    /// Number of Frames (0028,0008), 1 where absent.
    pub frames: u32,
    pub rows: Option<u32>,
    pub columns: Option<u32>,
    /// Number of Slices (0054,0081) of legacy PET: how many instances the series declares.
    pub declared_slices: Option<u32>,
    /// Number of Time Slices (0054,0101) of legacy PET.
    pub declared_time_slices: Option<u32>,
    /// Image Position (Patient) projected on the slice normal, mm: completeness by geometry.
    pub slice_position_mm: Option<f64>,
    /// Manufacturer (0008,0070), model (0008,1090), station name (0008,1010).
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub station_name: Option<String>,
    /// Radionuclide as the object names it (code meaning, or the radiopharmaceutical's text).
    pub radionuclide: Option<String>,
    /// Series that this object says it was drawn on or derived from (RTSTRUCT, SEG, REG, RWVM, SR),
    /// in the order in which it names them.
    pub referenced_series: Vec<Uid>,
    /// Series-level tags that a plan's `match` globs may name, keyword to text.
    pub series_tags: std::collections::BTreeMap<String, String>,
}
