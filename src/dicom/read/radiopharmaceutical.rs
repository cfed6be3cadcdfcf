//! What an image says was injected (PS3.3 C.8.4.11, C.8.9.2). Doubtful units become a warning and
//! an absent activity, never a guess; a time without a date never becomes an instant for therapy.

use super::attribute::{Code, Object, code, items, number, text, uid};
use super::error::ReadError;
use super::time;
use crate::dicom::Uid;
use crate::quantify::{EmissionKind, Injection};
use crate::quantity::{Becquerel, Seconds, Warning};
use dicom_dictionary_std::tags;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The radiopharmaceutical of a series, as its images name it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Radiopharmaceutical {
    /// Radiopharmaceutical (0018,0031) or its code's meaning.
    pub agent: Option<String>,
    /// Radionuclide Code Sequence (0054,0300).
    pub nuclide: Option<Code>,
    pub injection: Injection,
    /// Positron fraction (0018,1076).
    pub positron_fraction: Option<f64>,
    /// Radiopharmaceutical Administration Event UID (0008,3012): the link to the dose report.
    pub event: Option<Uid>,
}

/// Unit of Radionuclide Total Dose (0018,1074), which depends on the SOP class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoseUnit {
    /// NM, Enhanced PET.
    Megabecquerel,
    /// PET Image.
    Becquerel,
}

/// A total dose above this cannot be MBq (100 GBq), and below it cannot be Bq (0.1 MBq).
const BQ_OR_MBQ: f64 = 1e5;

/// A therapy with 177Lu of less than this many MBq is not given; as many mCi are.
const LU177_MCI_PLAUSIBLE: f64 = 400.0;

/// Above this half-life a start time without date is not put on the day of the scan.
const SAME_DAY_HALF_LIFE_S: f64 = 86_400.0;

/// Reads Radiopharmaceutical Information Sequence (0054,0016). Several items that name different
/// nuclides leave everything absent, with a warning.
pub fn read(
    root: &Object,
    unit: DoseUnit,
    kind: EmissionKind,
    acquired: Timestamp,
    zone: &TimeZone,
    warnings: &mut Vec<Warning>,
) -> Result<Radiopharmaceutical, ReadError> {
    let all = items(root, tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE);
    let Some(item) = all.first() else { return Ok(Radiopharmaceutical::default()) };
    let nuclide = code(item, tags::RADIONUCLIDE_CODE_SEQUENCE);
    if all.iter().any(|other| code(other, tags::RADIONUCLIDE_CODE_SEQUENCE) != nuclide) {
        warnings.push(Warning::new(
            "several-radiopharmaceuticals",
            "the image names several radionuclides; none of its injection data is used",
        ));
        return Ok(Radiopharmaceutical::default());
    }
    let agent = text(item, tags::RADIOPHARMACEUTICAL)
        .or_else(|| code(item, tags::RADIOPHARMACEUTICAL_CODE_SEQUENCE).map(|c| c.meaning));
    let half_life = number(item, tags::RADIONUCLIDE_HALF_LIFE)?.filter(|t| *t > 0.0);
    // The offset of the instance holds for the times in its sequences.
    let zone = time::zone_of(root, zone)?;
    let names_177 = [nuclide.as_ref().map(|c| c.meaning.as_str()), agent.as_deref()]
        .into_iter()
        .flatten()
        .any(|name| name.contains("177"));
    let total = number(item, tags::RADIONUCLIDE_TOTAL_DOSE)?.filter(|v| *v > 0.0);
    let total = total.and_then(|v| total_dose(v, unit, names_177, warnings));
    let start = time::datetime(item, tags::RADIOPHARMACEUTICAL_START_DATE_TIME, &zone)?;
    let same_day =
        kind == EmissionKind::Positron && half_life.is_some_and(|t| t < SAME_DAY_HALF_LIFE_S);
    let start_within_a_day = if same_day && start.is_none() {
        let clock = tags::RADIOPHARMACEUTICAL_START_TIME;
        time::time_within_the_day_before(item, clock, acquired, &zone)?
    } else {
        None
    };
    Ok(Radiopharmaceutical {
        agent,
        nuclide,
        injection: Injection {
            total,
            start,
            start_within_a_day,
            half_life: half_life.map(Seconds::new),
        },
        positron_fraction: number(item, tags::RADIONUCLIDE_POSITRON_FRACTION)?,
        event: uid(item, tags::RADIOPHARMACEUTICAL_ADMINISTRATION_EVENT_UID)?,
    })
}

fn total_dose(
    value: f64,
    unit: DoseUnit,
    names_177: bool,
    warnings: &mut Vec<Warning>,
) -> Option<Becquerel> {
    const ATTRIBUTE: &str = "Radionuclide Total Dose (0018,1074)";
    match unit {
        DoseUnit::Megabecquerel if value > BQ_OR_MBQ => {
            warnings.push(Warning::new(
                "administered-activity-unit",
                format!("{ATTRIBUTE} of {value} cannot be MBq and was read as Bq"),
            ));
            Some(Becquerel::new(value))
        }
        DoseUnit::Megabecquerel if names_177 && value < LU177_MCI_PLAUSIBLE => {
            warnings.push(Warning::new(
                "administered-activity-unit",
                format!(
                    "{ATTRIBUTE} of {value} may be mCi and was not used; the plan's activity holds"
                ),
            ));
            None
        }
        DoseUnit::Megabecquerel => Some(Becquerel::from_mbq(value)),
        DoseUnit::Becquerel if value < BQ_OR_MBQ => {
            warnings.push(Warning::new(
                "administered-activity-unit",
                format!(
                    "{ATTRIBUTE} of {value} cannot be Bq and was not used; the plan's activity \
                     holds"
                ),
            ));
            None
        }
        DoseUnit::Becquerel => Some(Becquerel::new(value)),
    }
}
