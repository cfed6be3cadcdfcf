//! Comprehensive 3D SR, TID 1500 (PS3.16): the result for machines that read DICOM.
//!
//! One measurement group (TID 1411) a region with its dose, volume, mass, kinetics and biology;
//! one more a region and time point with its activity, because the time point is the context of a
//! whole group (TID 1502). Sums against limits and the proposal are groups of their own. Warnings, the state of the software, protocol and methods are texts.

pub(super) mod concepts;
pub(super) mod course;
mod groups;

use super::agents::PRIVATE_SCHEME;
use super::dose_reports;
use super::modules;
use super::{
    AdministrationFacts, Completeness, CycleResult, Identity, InputInstance, Kind, RESEARCH_MARK,
    ReportError, ReportOptions,
};
use crate::dicom::Uid;
use crate::dicom::write::DicomFile;
use crate::dicom::write::content::{Item, Relationship};
use crate::dicom::write::reference::hierarchical;
use crate::dicom::write::{DataSet, InstanceReference};
use concepts as c;
use dicom_core::VR;
use dicom_dictionary_std::tags;
use std::collections::BTreeMap;

/// The SR object of a result. It refers to the SEG and the RT Dose that the same result and
/// options give.
pub fn write(result: &CycleResult, options: &ReportOptions) -> Result<DicomFile, ReportError> {
    let identity = Identity::of(result, options);
    let set = modules::shared(result, options, &identity, Kind::StructuredReport)
        .with(document(result, &identity))
        .with(content(result, options, &identity).into_data());
    Ok(set.into_file()?)
}

/// Declaration of the private scheme, for every object that uses its codes.
pub(super) fn private_scheme() -> DataSet {
    let scheme = DataSet::new()
        .text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, PRIVATE_SCHEME)
        .uid(tags::CODING_SCHEME_UID, &Uid::derived(&["grayd", "coding scheme", "99RPT"]))
        .text(tags::CODING_SCHEME_NAME, VR::ST, "Radiopharmaceutical therapy dosimetry of grayd")
        .text(tags::CODING_SCHEME_RESPONSIBLE_ORGANIZATION, VR::ST, "The grayd project");
    DataSet::new().sequence(tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE, vec![scheme])
}

/// SR Document Series and SR Document General, with what it superseded.
fn document(result: &CycleResult, identity: &Identity) -> DataSet {
    let mut evidence = modules::references(result);
    if let Some(voxels) = &result.voxels {
        evidence.push(identity.reference(Kind::Segmentation));
        evidence.push(identity.reference(Kind::RtDose));
        let more = [
            (Kind::RtDoseError, voxels.error_gy.is_some()),
            (Kind::RtDoseEffective, voxels.bed.is_some()),
        ];
        evidence.extend(more.into_iter().filter(|m| m.1).map(|(kind, _)| identity.reference(kind)));
    }
    general(result, identity, evidence).with_some(result.predecessor.as_ref(), |set, previous| {
        let reference = InstanceReference {
            study: previous.study.clone(),
            series: Identity::series_of(&previous.sop_instance),
            sop_class: super::identity::sop_class(Kind::StructuredReport),
            sop_instance: previous.sop_instance.clone(),
        };
        set.sequence(tags::PREDECESSOR_DOCUMENTS_SEQUENCE, hierarchical(&[reference]))
    })
}

/// SR Document Series and SR Document General of any report about a result.
pub(super) fn general(
    result: &CycleResult,
    identity: &Identity,
    evidence: Vec<InstanceReference>,
) -> DataSet {
    let (completion, preliminary) = match result.completeness {
        Completeness::Provisional => ("PARTIAL", "PRELIMINARY"),
        Completeness::Final => ("COMPLETE", "FINAL"),
    };
    let (current, other): (Vec<_>, Vec<_>) =
        evidence.into_iter().partition(|reference| &reference.study == identity.study());
    let mut set = DataSet::new()
        .text(tags::MODALITY, VR::CS, "SR")
        .sequence(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, vec![])
        .sequence(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, vec![])
        .text(tags::COMPLETION_FLAG, VR::CS, completion)
        .text(tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED")
        .text(tags::PRELIMINARY_FLAG, VR::CS, preliminary)
        .with(private_scheme());
    for (tag, references) in [
        (tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, current),
        (tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE, other),
    ] {
        if !references.is_empty() {
            set = set.sequence(tag, hierarchical(&references));
        }
    }
    set
}

/// The tree from the root down.
fn content(result: &CycleResult, options: &ReportOptions, identity: &Identity) -> Item {
    use Relationship::{Contains, HasConceptMod};
    let mut groups = groups::measurement_groups(result, options, identity);
    groups.extend(course::groups(result));
    let procedure = match result.time_points.iter().any(|point| point.modality == "PT") {
        true => &c::PET_PROCEDURE,
        false => &c::NM_PROCEDURE,
    };
    let root = Item::container(&c::REPORT, Some("1500"))
        .child(HasConceptMod, Item::code(&c::LANGUAGE, &c::ENGLISH));
    observer(root, result, options)
        .child(HasConceptMod, Item::code(&c::PROCEDURE_REPORTED, procedure))
        .child(Contains, image_library(result, options))
        .child(Contains, Item::container(&c::IMAGING_MEASUREMENTS, None).children(Contains, groups))
        .child(Contains, statements(result, options))
}

/// The device that observed (TID 1002, 1004).
pub(super) fn observer(root: Item, result: &CycleResult, options: &ReportOptions) -> Item {
    let device = Uid::derived(&[
        "grayd",
        "device",
        &options.device_serial_number,
        &options.station_name,
        &options.institution,
    ]);
    let context = [
        Item::code(&c::OBSERVER_TYPE, &c::DEVICE),
        Item::uid(&c::DEVICE_UID, &device),
        Item::text(&c::DEVICE_NAME, &options.station_name),
        Item::text(&c::DEVICE_MANUFACTURER, result.software.name),
        Item::text(
            &c::DEVICE_MODEL,
            &format!("{} {}", result.software.name, result.software.version),
        ),
        Item::text(&c::DEVICE_SERIAL, &options.device_serial_number),
    ];
    root.children(Relationship::HasObsContext, context)
}

/// TID 1600: one group a series of images.
fn image_library(result: &CycleResult, options: &ReportOptions) -> Item {
    use Relationship::{Contains, HasAcqContext};
    let mut series = BTreeMap::<&Uid, Vec<&InputInstance>>::new();
    for image in modules::images(result) {
        series.entry(&image.series).or_default().push(image);
    }
    let group = |(uid, images): (&Uid, Vec<&InputInstance>)| {
        let modality = match images[0].modality.as_str() {
            "PT" => &c::MODALITY_PT,
            "CT" => &c::MODALITY_CT,
            "MR" => &c::MODALITY_MR,
            _ => &c::MODALITY_NM,
        };
        let item = Item::container(&c::IMAGE_LIBRARY_GROUP, None)
            .child(HasAcqContext, Item::code(&c::MODALITY, modality));
        let acquired = result.time_points.iter().find(|point| &point.series == uid);
        let item = acquired.iter().fold(item, |item, point| {
            let at = modules::local(point.acquired, options);
            item.child(HasAcqContext, Item::date(&c::ACQUISITION_DATE, &at))
                .child(HasAcqContext, Item::time(&c::ACQUISITION_TIME, &at))
        });
        let entries = images.into_iter().map(|i| Item::image(None, &modules::reference(i), None));
        item.children(Contains, entries)
    };
    Item::container(&c::IMAGE_LIBRARY, Some("1600"))
        .children(Contains, series.into_iter().map(group))
}

/// Route, instrument and co-medication, where somebody says them.
fn how_given(facts: &AdministrationFacts) -> Vec<Item> {
    let route = facts.route.as_ref().map(|route| Item::code(&c::ROUTE, route));
    let meter = facts.meter_text().map(|text| Item::text(&c::ACTIVITY_METER, &text));
    let beside = facts.co_medication.iter().map(|text| Item::text(&c::CO_MEDICATION, text));
    route.into_iter().chain(meter).chain(beside).collect()
}

/// What a reader must know beside the numbers.
fn statements(result: &CycleResult, options: &ReportOptions) -> Item {
    let given = modules::local(result.administered_at, options);
    let administration = format!(
        "{} MBq of {} ({}) at {}, cycle {}; administration event {}",
        groups::rounded(result.administered.mbq()),
        result.radiopharmaceutical,
        result.nuclide,
        given.strftime("%Y-%m-%d %H:%M:%S %:z"),
        result.cycle,
        dose_reports::event(result)
    );
    let engine = &result.engine;
    let histories = engine.histories.map(|n| format!(", {n} histories")).unwrap_or_default();
    let energy = engine.energy_per_decay_kev;
    let energy = energy.map(|kev| format!("; {} keV deposited per decay", groups::rounded(kev)));
    let energy = energy.unwrap_or_default();
    let method = format!(
        "{} ({}); mass from {}{energy}{histories}",
        engine.name, engine.chosen_because, engine.mass_source,
    );
    let software = &result.software;
    let protocol = format!("{} {}", result.protocol, result.protocol_version);
    let mut items = vec![
        Item::text(&c::RESEARCH, RESEARCH_MARK),
        Item::text(&c::ADMINISTRATION, &administration),
    ];
    items.extend(how_given(&result.administration));
    items.extend([
        Item::text(&c::PROTOCOL, &protocol),
        Item::text(&c::ENGINE, &method),
        Item::text(&c::ALGORITHM_NAME, software.name),
        Item::text(&c::ALGORITHM_VERSION, software.version),
        Item::text(&c::ALGORITHM_PARAMETERS, &format!("sha256 {}", software.parameters_sha256)),
    ]);
    items.extend(result.time_points.iter().map(|point| {
        let held = point.field_of_view.map_or(String::new(), |activity| {
            format!("{} MBq in the field of view; ", groups::rounded(activity.mbq()))
        });
        let text = format!(
            "{} h after administration: {held}{}",
            groups::rounded(point.after_administration.hours()),
            point.quantification
        );
        Item::text(&c::QUANTIFICATION, &text)
    }));
    items.extend(course::statements(result, options));
    let signed = course::signed_results(result, options);
    items.extend(signed.iter().map(|text| Item::text(&c::SIGNATURE, text)));
    items.extend(result.warnings.iter().map(groups::warning));
    Item::container(&c::QUALITATIVE, None).children(Relationship::Contains, items)
}
