//! The modules that every object of the digital patient shares.

use super::{DigitalPatient, PhantomOptions};
use crate::dicom::Uid;
use crate::dicom::write::{Code, DataSet, InstanceReference};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use jiff::{Timestamp, ZonedDateTime};

pub(super) const ISSUER: &str = "GRAYD-PHANTOM";

/// What stands around the content of one series.
pub(super) struct Series<'a> {
    pub patient: &'a DigitalPatient,
    /// Index of the imaging session.
    pub session: usize,
    /// `spect`, `ct`, `structures`, `segmentation`.
    pub name: &'static str,
    pub sop_class: &'static str,
    pub number: i64,
    pub description: String,
    pub model: &'static str,
}

pub(super) fn patient_id(patient: &DigitalPatient) -> String {
    format!("PHANTOM-{}", patient.options.seed)
}

/// As stated, else `177Lu-PHANTOM` for `Lu-177`.
pub(super) fn radiopharmaceutical_of(options: &PhantomOptions) -> String {
    if let Some(stated) = &options.radiopharmaceutical {
        return stated.clone();
    }
    let name = options.nuclide.to_string();
    let (symbol, mass) = name.split_once('-').unwrap_or((&name, ""));
    format!("{mass}{symbol}-PHANTOM")
}

/// A UID that is a function of the options and `name`.
pub(super) fn uid(patient: &DigitalPatient, name: &str) -> Uid {
    Uid::derived(&["phantom", &format!("{:?}", patient.options), name])
}

/// One frame of reference for all sessions, unless the patient is placed anew.
pub(super) fn frame_of_reference(patient: &DigitalPatient, session: usize) -> Uid {
    match patient.options.moved {
        false => uid(patient, "frame of reference"),
        true => uid(patient, &format!("frame of reference {session}")),
    }
}

pub(super) fn local(patient: &DigitalPatient, at: Timestamp) -> ZonedDateTime {
    at.to_zoned_datetime(patient.options.utc_offset.to_time_zone())
}

pub(super) fn date(at: &ZonedDateTime) -> String {
    at.strftime("%Y%m%d").to_string()
}

pub(super) fn time(at: &ZonedDateTime) -> String {
    at.strftime("%H%M%S").to_string()
}

impl Series<'_> {
    /// Study, series, class and UID of the instance `number` (1-based).
    pub fn reference(&self, number: usize) -> InstanceReference {
        let series = format!("{} {}", self.name, self.session);
        InstanceReference {
            study: uid(self.patient, &format!("study {}", self.session)),
            series: uid(self.patient, &series),
            sop_class: Uid::parse(self.sop_class).expect("a UID of the standard's registry"),
            sop_instance: uid(self.patient, &format!("{series} {number}")),
        }
    }

    /// Patient, study, series, equipment and SOP Common of the instance `number`.
    pub fn shared(&self, number: usize) -> DataSet {
        let at = local(self.patient, self.patient.acquired(self.session));
        let reference = self.reference(number);
        DataSet::new()
            .text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192")
            .text(tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, &at.strftime("%z").to_string())
            .uid(tags::SOP_CLASS_UID, &reference.sop_class)
            .uid(tags::SOP_INSTANCE_UID, &reference.sop_instance)
            .text(tags::INSTANCE_CREATION_DATE, VR::DA, &date(&at))
            .text(tags::INSTANCE_CREATION_TIME, VR::TM, &time(&at))
            .text(tags::PATIENT_NAME, VR::PN, "Phantom^Digital")
            .text(tags::PATIENT_ID, VR::LO, &patient_id(self.patient))
            .text(tags::ISSUER_OF_PATIENT_ID, VR::LO, ISSUER)
            .text(tags::PATIENT_BIRTH_DATE, VR::DA, "19700101")
            .text(tags::PATIENT_SEX, VR::CS, "O")
            .uid(tags::STUDY_INSTANCE_UID, &reference.study)
            .text(tags::STUDY_DATE, VR::DA, &date(&at))
            .text(tags::STUDY_TIME, VR::TM, &time(&at))
            .text(tags::STUDY_ID, VR::SH, &format!("PH{}", self.session + 1))
            .text(tags::STUDY_DESCRIPTION, VR::LO, "Digital patient")
            .text(tags::ACCESSION_NUMBER, VR::SH, &format!("PHANTOM{}", self.session + 1))
            .empty(tags::REFERRING_PHYSICIAN_NAME, VR::PN)
            .uid(tags::SERIES_INSTANCE_UID, &reference.series)
            .integer(tags::SERIES_NUMBER, self.number)
            .text(tags::SERIES_DATE, VR::DA, &date(&at))
            .text(tags::SERIES_TIME, VR::TM, &time(&at))
            .text(tags::SERIES_DESCRIPTION, VR::LO, &self.description)
            .integer(tags::INSTANCE_NUMBER, number as i64)
            .text(tags::MANUFACTURER, VR::LO, "grayd")
            .text(tags::MANUFACTURER_MODEL_NAME, VR::LO, self.model)
            .text(tags::STATION_NAME, VR::SH, "PHANTOM")
            .text(tags::DEVICE_SERIAL_NUMBER, VR::LO, "phantom")
            .text(tags::SOFTWARE_VERSIONS, VR::LO, env!("CARGO_PKG_VERSION"))
            .uid(tags::FRAME_OF_REFERENCE_UID, &frame_of_reference(self.patient, self.session))
            .empty(tags::POSITION_REFERENCE_INDICATOR, VR::LO)
    }

    /// General Image of an acquired image: content and acquisition times.
    pub fn acquired(&self) -> DataSet {
        let at = local(self.patient, self.patient.acquired(self.session));
        DataSet::new()
            .text(tags::BODY_PART_EXAMINED, VR::CS, "ABDOMEN")
            .text(tags::CONTENT_DATE, VR::DA, &date(&at))
            .text(tags::CONTENT_TIME, VR::TM, &time(&at))
            .text(tags::ACQUISITION_DATE, VR::DA, &date(&at))
            .text(tags::ACQUISITION_TIME, VR::TM, &time(&at))
    }
}

/// Supine, head first (NM/PET Patient Orientation module).
pub(super) fn supine_head_first() -> DataSet {
    static RECUMBENT: Code = Code::new("102538003", "SCT", "recumbent");
    static SUPINE: Code = Code::new("40199007", "SCT", "supine");
    static HEAD_FIRST: Code = Code::new("102540001", "SCT", "headfirst");
    let orientation =
        RECUMBENT.item().code(tags::PATIENT_ORIENTATION_MODIFIER_CODE_SEQUENCE, &SUPINE);
    DataSet::new()
        .sequence(tags::PATIENT_ORIENTATION_CODE_SEQUENCE, vec![orientation])
        .code(tags::PATIENT_GANTRY_RELATIONSHIP_CODE_SEQUENCE, &HEAD_FIRST)
}
