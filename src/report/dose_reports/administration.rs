//! Radiopharmaceutical Radiation Dose SR (PS3.3 A.35.14; TID 10021 and 10022, whose order is significant):
//! one administration, as the plan states it.

use super::NOBODY;
use super::concepts as d;
use crate::dicom::read::Assay;
use crate::dicom::write::content::{Item, Relationship};
use crate::dicom::write::{Code, DicomFile};
use crate::quantity::Becquerel;
use crate::report::structured_report::{self, concepts as c};
use crate::report::{
    CycleResult, Identity, Kind, RESEARCH_MARK, ReportError, ReportOptions, agents, modules,
};
use Relationship::{Contains, HasConceptMod, HasObsContext, HasProperties};

pub(super) fn write(
    result: &CycleResult,
    options: &ReportOptions,
    identity: &Identity,
) -> Result<DicomFile, ReportError> {
    let kind = Kind::AdministrationReport;
    let set = modules::shared(result, options, identity, kind)
        .with(structured_report::general(result, identity, Vec::new()))
        .with(content(result, options)?.into_data());
    Ok(set.into_file()?)
}

fn content(result: &CycleResult, options: &ReportOptions) -> Result<Item, ReportError> {
    let procedure = Item::code(&d::ASSOCIATED_PROCEDURE, &d::RADIONUCLIDE_THERAPY)
        .child(HasConceptMod, Item::code(&d::HAS_INTENT, &d::THERAPEUTIC));
    let root = super::root(Item::container(&d::ADMINISTRATION_REPORT, Some("10021")));
    let root = structured_report::observer(root, result, options)
        .child(HasConceptMod, procedure)
        .child(Contains, administration(result, options)?);
    let comment = format!("Written from the treatment plan. {RESEARCH_MARK}");
    Ok(root.child(Contains, Item::text(&d::COMMENT, &comment)))
}

fn administration(result: &CycleResult, options: &ReportOptions) -> Result<Item, ReportError> {
    let facts = &result.administration;
    let half_life = result.nuclide.decay().map_err(|_| ReportError::Administered)?.half_life;
    let nuclide = agents::radionuclide(&result.nuclide);
    let agent = agents::radiopharmaceutical(&result.radiopharmaceutical, &result.nuclide);
    let agent = Item::code(&d::AGENT, &agent)
        .child(HasProperties, Item::code(&d::RADIONUCLIDE, &nuclide))
        .children(HasProperties, Item::number(&d::HALF_LIFE, Some(half_life.value()), &d::SECOND));
    let start = modules::local(result.administered_at, options);
    let participant = Item::person(&d::PERSON_NAME, &person_name(facts.by.as_deref()))
        .child(HasProperties, Item::code(&d::PERSON_ROLE, &d::ADMINISTERING));
    Ok(Item::container(&d::ADMINISTRATION, None)
        .child(Contains, agent)
        .child(Contains, Item::uid(&d::EVENT, &super::event(result)))
        .child(Contains, Item::datetime(&d::START, &start))
        .children(Contains, activity(&d::ADMINISTERED, result.administered))
        .children(Contains, assay(&d::BEFORE, facts.before, result, options))
        .children(Contains, assay(&d::AFTER, facts.after, result, options))
        .child(Contains, route(facts.route.as_ref()))
        .child(HasObsContext, participant))
}

/// A name as people write it, in the components of DICOM: `Meyer, Anna` and `Anna Meyer` are the same.
fn person_name(stated: Option<&str>) -> String {
    let name = stated.unwrap_or(NOBODY).trim();
    if name.contains('^') {
        return name.to_owned();
    }
    let parts = name.split_once(',').or_else(|| name.rsplit_once(' ').map(|(a, b)| (b, a)));
    parts.map_or(name.to_owned(), |(family, given)| format!("{}^{}", family.trim(), given.trim()))
}

fn activity(concept: &Code, value: Becquerel) -> Option<Item> {
    Item::number(concept, Some(value.mbq()), &c::MEGABECQUEREL)
}

/// What was measured, when and with which instrument.
fn assay(
    concept: &Code,
    assay: Option<Assay>,
    result: &CycleResult,
    options: &ReportOptions,
) -> Option<Item> {
    let assay = assay?;
    let item = activity(concept, assay.activity)?;
    let item = match assay.at {
        Some(at) => item.observed(&modules::local(at, options)),
        None => item,
    };
    let meter = result.administration.activity_meter.as_ref();
    let device = meter.map(|meter| {
        [
            Item::code(&d::MEASUREMENT_DEVICE, &d::DOSE_CALIBRATOR),
            Item::code(&c::OBSERVER_TYPE, &c::DEVICE),
            Item::uid(&c::DEVICE_UID, &crate::dicom::Uid::derived(&["activity meter", meter])),
            Item::text(&c::DEVICE_NAME, meter),
        ]
    });
    Some(item.children(HasObsContext, device.into_iter().flatten()))
}

/// The site of a puncture is asked for and not known.
fn route(stated: Option<&Code>) -> Item {
    let item = Item::code(&c::ROUTE, stated.unwrap_or(&d::UNKNOWN));
    let is_puncture =
        stated.is_some_and(|route| [&d::INTRAVENOUS, &d::INTRAMUSCULAR].contains(&route));
    let site = is_puncture.then(|| Item::code(&d::SITE_OF, &d::UNKNOWN));
    item.children(HasProperties, site)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_components_however_they_are_written() {
        for (written, name) in [
            ("Meyer, Anna", "Meyer^Anna"),
            ("Anna Meyer", "Meyer^Anna"),
            ("Meyer^Anna^^Dr.", "Meyer^Anna^^Dr."),
            ("Meyer", "Meyer"),
        ] {
            assert_eq!(person_name(Some(written)), name);
        }
        assert_eq!(person_name(None), "Not^stated");
    }
}
