//! The modules that every result object shares: patient, study, series, equipment, SOP Common.

use super::identity::sop_class;
use super::{CycleResult, Identity, InputInstance, Kind, RESEARCH_MARK, ReportOptions};
use crate::dicom::write::reference::common_instance_reference;
use crate::dicom::write::{Code, DataSet, InstanceReference};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use jiff::{Timestamp, ZonedDateTime};

/// Modalities whose instances are images that a measurement can come from.
const IMAGE_MODALITIES: [&str; 4] = ["NM", "PT", "CT", "MR"];

/// An input as a reference.
pub(super) fn reference(input: &InputInstance) -> InstanceReference {
    InstanceReference {
        study: input.study.clone(),
        series: input.series.clone(),
        sop_class: input.sop_class.clone(),
        sop_instance: input.sop_instance.clone(),
    }
}

pub(super) fn references(result: &CycleResult) -> Vec<InstanceReference> {
    result.inputs.iter().map(reference).collect()
}

/// Inputs that are images, in UID order.
pub(super) fn images(result: &CycleResult) -> Vec<&InputInstance> {
    let mut images: Vec<&InputInstance> = result
        .inputs
        .iter()
        .filter(|input| IMAGE_MODALITIES.contains(&input.modality.as_str()))
        .collect();
    images.sort_by(|a, b| (&a.series, &a.sop_instance).cmp(&(&b.series, &b.sop_instance)));
    images
}

/// Images of the series whose grid the dose is on.
pub(super) fn reference_images(result: &CycleResult) -> Vec<InstanceReference> {
    let own = |input: &&&InputInstance| input.series == result.reference_series;
    images(result).iter().filter(own).map(|input| reference(input)).collect()
}

/// An instant in the zone that the report is written in.
pub(super) fn local(at: Timestamp, options: &ReportOptions) -> ZonedDateTime {
    at.to_zoned_datetime(options.utc_offset.to_time_zone())
}

pub(super) fn date(at: &ZonedDateTime) -> String {
    at.strftime("%Y%m%d").to_string()
}

pub(super) fn time(at: &ZonedDateTime) -> String {
    at.strftime("%H%M%S").to_string()
}

/// Everything around the content of an object of `kind`.
pub(super) fn shared(
    result: &CycleResult,
    options: &ReportOptions,
    identity: &Identity,
    kind: Kind,
) -> DataSet {
    patient_and_study(result, options, identity)
        .with(series_and_equipment(result, options, identity, kind))
        .with(sop_common(result, options, identity, kind))
}

fn patient_and_study(
    result: &CycleResult,
    options: &ReportOptions,
    identity: &Identity,
) -> DataSet {
    let patient = &result.patient;
    let mut study = result.study.clone();
    if study.study.is_none() {
        // A study of our own began when it was made.
        let made = local(result.computed_at, options);
        (study.date, study.time) = (date(&made), time(&made));
        study.id = format!("RPT C{}", result.cycle);
    }
    let set = DataSet::new()
        .text(tags::PATIENT_NAME, VR::PN, &patient.name)
        .text(tags::PATIENT_ID, VR::LO, &patient.id)
        .text(tags::PATIENT_BIRTH_DATE, VR::DA, &patient.birth_date)
        .text(tags::PATIENT_SEX, VR::CS, &patient.sex)
        .uid(tags::STUDY_INSTANCE_UID, identity.study())
        .text(tags::STUDY_DATE, VR::DA, &study.date)
        .text(tags::STUDY_TIME, VR::TM, &study.time)
        .text(tags::STUDY_ID, VR::SH, &study.id)
        .text(tags::ACCESSION_NUMBER, VR::SH, &study.accession_number)
        .text(tags::REFERRING_PHYSICIAN_NAME, VR::PN, &study.referring_physician);
    let some = |text: &'_ String| Some(text.clone()).filter(|text| !text.is_empty());
    set.with_some(some(&patient.issuer), |set, issuer| {
        set.text(tags::ISSUER_OF_PATIENT_ID, VR::LO, &issuer)
    })
    .with_some(some(&study.description), |set, text| {
        set.text(tags::STUDY_DESCRIPTION, VR::LO, &text)
    })
}

fn series_and_equipment(
    result: &CycleResult,
    options: &ReportOptions,
    identity: &Identity,
    kind: Kind,
) -> DataSet {
    let (offset, words) = match kind {
        Kind::RtDose => (0, "Absorbed dose"),
        Kind::Segmentation => (1, "Regions"),
        Kind::StructuredReport | Kind::Json => (2, "Dosimetry report"),
        Kind::StructureSet => (3, "Structure set"),
        Kind::RtDoseError => (4, "Standard error of dose"),
        Kind::TimeIntegratedActivityMap => (5, "Time-integrated activity"),
        Kind::EffectiveHalfLifeMap => (6, "Effective half-life"),
        Kind::Registration => (7, "Registration"),
        Kind::RtDoseEffective => (11, "Biologically effective dose"),
        Kind::DeformableRegistration => (12, "Deformable registration"),
        Kind::Document | Kind::Pages => (8, "Report for people"),
        Kind::AdministrationReport => (9, "Administration"),
        Kind::PatientDoseReport => (10, "Dose report"),
    };
    let description = format!("RPT {words} {} C{}", result.nuclide, result.cycle);
    let number = i64::from(options.first_series_number) + offset;
    let made = local(result.computed_at, options);
    let set = DataSet::new()
        .uid(tags::SERIES_INSTANCE_UID, &Identity::series_of(&identity.instance(kind)))
        .integer(tags::SERIES_NUMBER, number)
        .text(tags::SERIES_DATE, VR::DA, &date(&made))
        .text(tags::SERIES_TIME, VR::TM, &time(&made))
        .text(tags::SERIES_DESCRIPTION, VR::LO, &description)
        .text(tags::MANUFACTURER, VR::LO, result.software.name)
        .text(tags::MANUFACTURER_MODEL_NAME, VR::LO, result.software.name)
        .text(tags::DEVICE_SERIAL_NUMBER, VR::LO, &options.device_serial_number)
        .text(tags::SOFTWARE_VERSIONS, VR::LO, result.software.version)
        .text(tags::STATION_NAME, VR::SH, &options.station_name);
    let site = Some(&options.institution).filter(|name| !name.is_empty());
    set.with_some(site, |set, name| set.text(tags::INSTITUTION_NAME, VR::LO, name))
}

fn sop_common(
    result: &CycleResult,
    options: &ReportOptions,
    identity: &Identity,
    kind: Kind,
) -> DataSet {
    let made = local(result.computed_at, options);
    // A structure set has dates of its own and no General Image module.
    let content = match kind {
        Kind::StructureSet => DataSet::new(),
        _ => DataSet::new().text(tags::CONTENT_DATE, VR::DA, &date(&made)).text(
            tags::CONTENT_TIME,
            VR::TM,
            &time(&made),
        ),
    };
    content
        .text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192")
        .text(tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, &made.strftime("%z").to_string())
        .uid(tags::SOP_CLASS_UID, &sop_class(kind))
        .uid(tags::SOP_INSTANCE_UID, &identity.instance(kind))
        .integer(tags::INSTANCE_NUMBER, 1)
        .text(tags::INSTANCE_CREATION_DATE, VR::DA, &date(&made))
        .text(tags::INSTANCE_CREATION_TIME, VR::TM, &time(&made))
        .sequence(
            tags::CONTRIBUTING_EQUIPMENT_SEQUENCE,
            vec![processing_equipment(result, options, &made)],
        )
}

/// This program, what it ran and with which parameters.
fn processing_equipment(
    result: &CycleResult,
    options: &ReportOptions,
    made: &ZonedDateTime,
) -> DataSet {
    static PURPOSE: Code = Code::new("109102", "DCM", "Processing Equipment");
    let software = &result.software;
    let description = format!(
        "{RESEARCH_MARK} {} {}: protocol {} {}, engine {} ({}), mass from {}, parameters sha256 {}",
        software.name,
        software.version,
        result.protocol,
        result.protocol_version,
        result.engine.name,
        result.engine.chosen_because,
        result.engine.mass_source,
        software.parameters_sha256,
    );
    DataSet::new()
        .code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, &PURPOSE)
        .text(tags::MANUFACTURER, VR::LO, software.name)
        .text(tags::MANUFACTURER_MODEL_NAME, VR::LO, software.name)
        .text(tags::DEVICE_SERIAL_NUMBER, VR::LO, &options.device_serial_number)
        .text(tags::SOFTWARE_VERSIONS, VR::LO, software.version)
        .text(tags::CONTRIBUTION_DATE_TIME, VR::DT, &made.strftime("%Y%m%d%H%M%S%z").to_string())
        .text(tags::CONTRIBUTION_DESCRIPTION, VR::ST, &description)
}

/// References to every input, and to what else the object names.
pub(super) fn input_references(
    result: &CycleResult,
    identity: &Identity,
    more: &[InstanceReference],
) -> DataSet {
    let mut all = references(result);
    all.extend_from_slice(more);
    common_instance_reference(&all, identity.study())
}

/// Every warning of the result and of its regions, one line each.
pub(super) fn warnings(result: &CycleResult) -> Vec<String> {
    let of_cycle = result.warnings.iter().map(|w| format!("{}: {}", w.code, w.text));
    let of_regions = result.regions.iter().flat_map(|region| {
        let own = super::regions::RegionNumbers::of(region).warnings;
        own.into_iter().map(|w| format!("{}: {}: {}", region.name, w.code, w.text))
    });
    of_cycle.chain(of_regions).collect()
}

/// Research mark and warnings: what a reader of the object must know. Where an attribute holds
/// fewer characters it is cut at the end; the SR has every warning.
pub(super) fn comments(result: &CycleResult) -> String {
    let mut lines = vec![RESEARCH_MARK.to_owned()];
    lines.extend(warnings(result));
    lines.join("\n")
}
