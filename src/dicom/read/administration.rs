//! Radiopharmaceutical Radiation Dose SR, TID 10021 (PS3.16): what was given, and when.

use super::attribute::{Code, Object, code, items, malformed, missing, number, text, uid};
use super::error::ReadError;
use super::instance::Instance;
use super::time;
use crate::dicom::{PatientIdentity, Uid};
use crate::quantity::{Becquerel, Seconds};
use crate::report::InputInstance;
use dicom_dictionary_std::{tags, uids};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::path::Path;

/// An activity measured at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assay {
    pub activity: Becquerel,
    pub at: Option<Timestamp>,
}

/// One administration event.
#[derive(Debug, Clone, PartialEq)]
pub struct AdministrationReport {
    pub sop_instance: Uid,
    pub identity: PatientIdentity,
    pub source: InputInstance,
    /// Radiopharmaceutical agent.
    pub agent: Option<Code>,
    pub radionuclide: Option<Code>,
    /// Has Intent: therapeutic or diagnostic.
    pub intent: Option<Code>,
    pub route: Option<Code>,
    /// Radiopharmaceutical Administration Event UID: the link to images.
    pub event: Option<Uid>,
    /// Radiopharmaceutical Start DateTime: time zero of the kinetics.
    pub start: Timestamp,
    pub stop: Option<Timestamp>,
    /// Administered activity at `start`, the residual already taken off.
    pub stated: Option<Becquerel>,
    pub before: Option<Assay>,
    pub after: Option<Assay>,
    /// Name and serial number of the device that measured before.
    pub activity_meter: Option<String>,
    /// Who gave it.
    pub by: Option<String>,
}

impl AdministrationReport {
    /// Administered activity at `start`: as stated, else what was measured before less what was
    /// left after, both decayed with the nuclide's own half-life. `None` where neither is there.
    pub fn administered(&self, half_life: Seconds) -> Option<Becquerel> {
        let lambda = half_life.half_life_to_rate().value();
        let at_start = |assay: Assay| {
            let elapsed = time::seconds_between(assay.at?, self.start);
            Some(assay.activity * (-lambda * elapsed).exp())
        };
        let net = || Some(at_start(self.before?)? - at_start(self.after?)?);
        self.stated.or_else(net).filter(|a| a.is_finite() && a.value() > 0.0)
    }
}

/// A concept by its codes: DCM or SCT, and the SNOMED-RT code of older templates.
#[derive(Clone, Copy)]
struct Concept(&'static str, &'static str, &'static str);

const ADMINISTRATION: Concept = Concept("113502", "DCM", "");
const AGENT: Concept = Concept("349358000", "SCT", "F-61FDB");
const RADIONUCLIDE: Concept = Concept("89457008", "SCT", "C-10072");
const ASSOCIATED_PROCEDURE: Concept = Concept("363589002", "SCT", "G-C2D0");
const INTENT: Concept = Concept("363703001", "SCT", "G-C0E8");
const ROUTE: Concept = Concept("410675002", "SCT", "G-C340");
const EVENT: Concept = Concept("113503", "DCM", "");
const START: Concept = Concept("123003", "DCM", "");
const STOP: Concept = Concept("123004", "DCM", "");
const ADMINISTERED: Concept = Concept("113507", "DCM", "");
const BEFORE: Concept = Concept("113508", "DCM", "");
const AFTER: Concept = Concept("113509", "DCM", "");
const DEVICE_NAME: Concept = Concept("121013", "DCM", "");
const DEVICE_SERIAL: Concept = Concept("121016", "DCM", "");
const PERSON: Concept = Concept("113870", "DCM", "");

/// Designators under which SNOMED-RT codes were written.
const SNOMED_RT: [&str; 3] = ["SRT", "SNM3", "99SDM"];

/// The content item of a concept directly below `parent`.
fn child(parent: &Object, concept: Concept) -> Option<&Object> {
    let Concept(value, scheme, old) = concept;
    items(parent, tags::CONTENT_SEQUENCE).iter().find(|item| {
        code(item, tags::CONCEPT_NAME_CODE_SEQUENCE).is_some_and(|name| {
            name.is_any(&[(value, scheme)])
                || (!old.is_empty() && SNOMED_RT.iter().any(|s| name.is_any(&[(old, s)])))
        })
    })
}

/// Name and serial number of the device that an assay was made with (TID 1004).
fn device(assay: &Object) -> Option<String> {
    let says = |concept| child(assay, concept).and_then(|item| text(item, tags::TEXT_VALUE));
    let words: Vec<String> = [DEVICE_NAME, DEVICE_SERIAL].into_iter().filter_map(says).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn coded_value(parent: &Object, concept: Concept) -> Option<Code> {
    child(parent, concept).and_then(|item| code(item, tags::CONCEPT_CODE_SEQUENCE))
}

/// A NUM item as an activity.
fn activity(item: &Object) -> Result<Option<Becquerel>, ReadError> {
    let Some(measured) = items(item, tags::MEASURED_VALUE_SEQUENCE).first() else {
        return Ok(None);
    };
    let Some(value) = number(measured, tags::NUMERIC_VALUE)? else { return Ok(None) };
    let unit = code(measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE).ok_or_else(|| {
        missing(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, "the activity has no unit")
    })?;
    let becquerel = match unit.value.as_str() {
        "Bq" => 1.0,
        "kBq" => 1e3,
        "MBq" => 1e6,
        "GBq" => 1e9,
        "mCi" => 37e6,
        "uCi" => 37e3,
        "Ci" => 37e9,
        other => {
            let reason = format!("{other} is no unit of activity that is known");
            return Err(malformed(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, reason));
        }
    };
    if value < 0.0 {
        return Err(malformed(tags::NUMERIC_VALUE, "an activity below zero"));
    }
    Ok(Some(Becquerel::new(value * becquerel)))
}

/// Reads a Radiopharmaceutical Radiation Dose SR with one administration. `default_zone` is for
/// times without an offset.
///
/// # Errors
/// Another SOP class; not exactly one administration; no start date and time.
pub fn administration(
    path: &Path,
    default_zone: &TimeZone,
) -> Result<AdministrationReport, ReadError> {
    let instance = Instance::open(path)?;
    if instance.sop_class.as_str() != uids::RADIOPHARMACEUTICAL_RADIATION_DOSE_SR_STORAGE {
        return Err(ReadError::WrongKind {
            found: format!("an instance of SOP class {}", instance.sop_class),
            wanted: "a Radiopharmaceutical Radiation Dose SR is wanted",
        });
    }
    let root = instance.data_set();
    let zone = time::zone_of(root, default_zone)?;
    let event = child(root, ADMINISTRATION).ok_or_else(|| {
        missing(tags::CONTENT_SEQUENCE, "no Radiopharmaceutical Administration is reported")
    })?;
    let instant = |concept| -> Result<Option<Timestamp>, ReadError> {
        match child(event, concept) {
            Some(item) => time::datetime(item, tags::DATE_TIME, &zone),
            None => Ok(None),
        }
    };
    let start = instant(START)?
        .ok_or_else(|| missing(tags::DATE_TIME, "the time of administration is not known"))?;
    let assay = |concept| -> Result<Option<Assay>, ReadError> {
        let Some(item) = child(event, concept) else { return Ok(None) };
        let at = time::datetime(item, tags::OBSERVATION_DATE_TIME, &zone)?;
        Ok(activity(item)?.map(|activity| Assay { activity, at }))
    };
    let agent = child(event, AGENT);
    Ok(AdministrationReport {
        sop_instance: instance.source.sop_instance.clone(),
        identity: instance.identity(),
        source: instance.source.clone(),
        agent: agent.and_then(|item| code(item, tags::CONCEPT_CODE_SEQUENCE)),
        radionuclide: agent.and_then(|item| coded_value(item, RADIONUCLIDE)),
        intent: child(root, ASSOCIATED_PROCEDURE).and_then(|item| coded_value(item, INTENT)),
        route: coded_value(event, ROUTE),
        event: match child(event, EVENT) {
            Some(item) => uid(item, tags::UID)?,
            None => None,
        },
        start,
        stop: instant(STOP)?,
        stated: child(event, ADMINISTERED).map(activity).transpose()?.flatten(),
        before: assay(BEFORE)?,
        after: assay(AFTER)?,
        activity_meter: child(event, BEFORE).and_then(device),
        by: child(event, PERSON).and_then(|item| text(item, tags::PERSON_NAME)),
    })
}
