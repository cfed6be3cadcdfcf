//! Reports for dose registries: what was given (Radiopharmaceutical Radiation Dose SR, TID 10021) and the
//! doses of organs and lesions (Patient Radiation Dose SR, TID 10030).
//!
//! Written only where a destination asks for them. The second has to name an instance of the first: the
//! received one, else the one written here from the plan's administration.

mod administration;
mod concepts;
mod patient;

use super::modules;
use super::structured_report::concepts as c;
use super::{CycleResult, Identity, Kind, ReportError, ReportOptions};
use crate::dicom::Uid;
use crate::dicom::write::content::{Item, Relationship};
use crate::dicom::write::{DicomFile, InstanceReference};

/// In place of a name that nobody stated: the participant is mandatory.
pub const NOBODY: &str = "Not^stated";

/// Objects with the names of their files.
pub(super) type Named = (Kind, &'static str, DicomFile);

/// UID of the administration: the received report's, else one that follows from who was given what and
/// when, whatever is computed of it.
pub fn event(result: &CycleResult) -> Uid {
    let received = result.administration.reports.iter().find_map(|report| report.event.clone());
    received.unwrap_or_else(|| {
        let patient = &result.patient;
        let at = result.administered_at.to_string();
        let drug = &result.radiopharmaceutical;
        Uid::derived(&["grayd", "administration", &patient.id, &patient.issuer, drug, &at])
    })
}

/// Both reports; the first only where none was received, the second only where a region has a dose.
pub(super) fn write(
    result: &CycleResult,
    options: &ReportOptions,
) -> Result<Vec<Named>, ReportError> {
    let identity = Identity::of(result, options);
    let mut objects = Vec::new();
    if result.administration.reports.is_empty() {
        let object = administration::write(result, options, &identity)?;
        objects.push((Kind::AdministrationReport, "administration-report.dcm", object));
    }
    if let Some(object) = patient::write(result, options, &identity)? {
        objects.push((Kind::PatientDoseReport, "patient-dose-report.dcm", object));
    }
    Ok(objects)
}

/// Reports of the administration that doses are computed from.
fn administrations(result: &CycleResult, identity: &Identity) -> Vec<InstanceReference> {
    let received = &result.administration.reports;
    if received.is_empty() {
        return vec![identity.reference(Kind::AdministrationReport)];
    }
    received.iter().map(|report| modules::reference(&report.instance)).collect()
}

/// A root with its language.
fn root(item: Item) -> Item {
    item.child(Relationship::HasConceptMod, Item::code(&c::LANGUAGE, &c::ENGLISH))
}
