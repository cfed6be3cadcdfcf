//! Patient Radiation Dose SR (PS3.3 A.35.18; TID 10030): one estimate an organ or lesion, with the method
//! that it was made by and the reports and maps that it rests on.

use super::concepts as d;
use crate::dicom::write::content::{Item, Relationship};
use crate::dicom::write::{Code, DicomFile};
use crate::report::regions::RegionNumbers;
use crate::report::structured_report::{self, concepts as c};
use crate::report::{
    CycleResult, Identity, Kind, REMAINDER, RESEARCH_MARK, RegionResult, ReportError,
    ReportOptions, codes_of, modules,
};
use Relationship::{Contains, HasConceptMod, HasProperties};

/// None where no region has a dose, or where doses are of organs: what the report says is the model of voxels'.
pub(super) fn write(
    result: &CycleResult,
    options: &ReportOptions,
    identity: &Identity,
) -> Result<Option<DicomFile>, ReportError> {
    let estimates: Vec<Item> = result
        .regions
        .iter()
        .filter(|region| region.name != REMAINDER)
        .filter_map(|region| estimate(result, identity, region))
        .collect();
    if estimates.is_empty() || result.voxels.is_none() {
        return Ok(None);
    }
    let mut evidence = super::administrations(result, identity);
    evidence.extend([Kind::Segmentation, Kind::RtDose].map(|kind| identity.reference(kind)));
    let mut comments = vec![RESEARCH_MARK.to_owned()];
    comments.extend(modules::warnings(result));
    let root = super::root(Item::container(&d::PATIENT_REPORT, Some("10030")));
    let root = structured_report::observer(root, result, options)
        .children(Contains, estimates)
        .child(Contains, Item::text(&d::COMMENT, &comments.join("\n")));
    let set = modules::shared(result, options, identity, Kind::PatientDoseReport)
        .with(structured_report::general(result, identity, evidence))
        .with(root.into_data());
    Ok(Some(set.into_file()?))
}

/// TID 10031 of one region; none without a dose.
fn estimate(result: &CycleResult, identity: &Identity, region: &RegionResult) -> Option<Item> {
    let numbers = RegionNumbers::of(region);
    let dose = numbers.dose?;
    let codes = codes_of(&region.name, region.anatomy.as_deref());
    let side = codes.laterality.as_ref().map(|side| Item::code(&c::LATERALITY, side));
    let site = Item::code(&c::FINDING_SITE, &codes.property).children(HasConceptMod, side);
    let gray = |concept: &Code, value: f64| Item::number(concept, Some(value), &c::GRAY);
    let mean = gray(&d::MEAN_DOSE, dose.mean.value())?;
    let mean = uncertain(mean, numbers.uncertainty);
    let spread = dose.spread.iter().flat_map(|spread| {
        [
            gray(&d::MINIMUM_DOSE, spread.min.value()),
            gray(&d::MEDIAN_DOSE, spread.median.value()),
            gray(&d::MAXIMUM_DOSE, spread.max.value()),
        ]
    });
    let name = format!("{}, cycle {}", region.name, result.cycle);
    Some(
        Item::container(&d::ESTIMATE, None)
            .child(HasConceptMod, site)
            .child(Contains, Item::text(&d::ESTIMATE_NAME, &name))
            .child(Contains, mean)
            .children(Contains, spread.flatten())
            .child(Contains, representation(identity))
            .child(Contains, methodology(result, identity, region)),
    )
}

/// A mean dose with its standard uncertainty and how that was found.
fn uncertain(mean: Item, relative: Option<f64>) -> Item {
    let percent = relative.map(|relative| 100.0 * relative);
    let Some(number) = Item::number(&c::UNCERTAINTY, percent, &c::PERCENT) else { return mean };
    let method = "Law of propagation of uncertainty (GUM; EANM guidance of 2018)";
    mean.child(HasProperties, number)
        .child(HasProperties, Item::text(&d::UNCERTAINTY_METHOD, method))
}

/// TID 10032: the map that the estimate was read from.
fn representation(identity: &Identity) -> Item {
    Item::container(&d::REPRESENTATION, None)
        .child(Contains, Item::code(&d::DISTRIBUTION, &d::DOSE_MAP))
        .child(
            Contains,
            Item::composite(&d::REPRESENTATION_DATA, &identity.reference(Kind::RtDose)),
        )
}

/// TID 10033.
fn methodology(result: &CycleResult, identity: &Identity, region: &RegionResult) -> Item {
    let used = super::administrations(result, identity);
    let used = used.iter().map(|report| Item::composite(&d::SR_USED, report));
    let segmentation = identity.reference(Kind::Segmentation);
    let segment = Item::image(Some(&d::MODEL_DATA), &segmentation, Some(region.number));
    let model = Item::container(&d::MODEL, None)
        .child(Contains, Item::code(&d::MODEL_TYPE, &d::SEGMENTED_MODEL))
        .child(Contains, Item::code(&d::TRANSPORT_TYPE, &d::VOXELIZED))
        .child(Contains, segment)
        .child(Contains, Item::container(&d::DEMOGRAPHICS, None));
    let engine = &result.engine;
    let kind = match engine.name {
        "monte-carlo" => &d::MONTE_CARLO,
        "kernel" => &d::TABULAR,
        _ => &d::ANALYTICAL,
    };
    let software = &result.software;
    let reference = format!(
        "{} {}, engine {}; mass from {}; protocol {} {}; parameters sha256 {}",
        software.name,
        software.version,
        engine.name,
        engine.mass_source,
        result.protocol,
        result.protocol_version,
        software.parameters_sha256
    );
    let method = Item::container(&d::METHOD, None)
        .child(Contains, Item::code(&d::METHOD_TYPE, kind))
        .child(Contains, Item::text(&d::METHOD_REFERENCE, &reference));
    Item::container(&d::METHODOLOGY, None)
        .children(Contains, used)
        .child(Contains, model)
        .child(Contains, method)
}
