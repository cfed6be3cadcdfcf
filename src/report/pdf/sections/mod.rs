//! The twelve sections that a physicist expects of a report (EANM 2011 and 2024 guidance), in order.

mod acquired;
mod closing;
mod counts;
mod course;
mod dose;
mod identity;
mod regions;
mod therapy;

pub(super) use dose::picture_file;
pub(super) use identity::{date, person};

use super::picture::Scale;
use super::sheet::Section;
use crate::report::regions::RegionNumbers;
use crate::report::{CycleResult, RegionResult, ReportOptions};
use serde_json::Value;

/// Everything that sections are made from.
pub(super) struct Context<'a> {
    pub result: &'a CycleResult,
    pub options: &'a ReportOptions,
    /// The same result as `results.json`.
    pub json: Value,
    pub scale: Option<Scale>,
}

impl Context<'_> {
    /// Regions with their numbers, each finite or absent.
    fn regions(&self) -> impl Iterator<Item = (&RegionResult, RegionNumbers<'_>)> {
        self.result.regions.iter().map(|region| (region, RegionNumbers::of(region)))
    }

    /// Date and time in the zone of the report.
    pub(super) fn instant(&self, at: jiff::Timestamp) -> String {
        crate::report::modules::local(at, self.options)
            .strftime("%Y-%m-%d %H:%M:%S %:z")
            .to_string()
    }
}

pub(super) fn all(context: &Context<'_>) -> Vec<Section> {
    vec![
        Section { heading: "Identity and plan", blocks: identity::identity(context) },
        Section { heading: "Equipment", blocks: acquired::equipment(context) },
        Section { heading: "Acquisition", blocks: acquired::acquisition(context) },
        Section { heading: "Processing", blocks: acquired::processing(context) },
        Section { heading: "Regions", blocks: regions::regions(context) },
        Section { heading: "Activities and kinetics", blocks: regions::kinetics(context) },
        Section { heading: "Absorbed dose", blocks: dose::dose(context) },
        Section { heading: "Cumulative doses and limits", blocks: course::ledger(context) },
        Section { heading: "Prescription", blocks: course::prescription(context) },
        Section { heading: "Uncertainty", blocks: closing::uncertainty(context) },
        Section { heading: "Warnings, parameters, provenance", blocks: closing::warnings(context) },
        Section { heading: "Signature", blocks: closing::signature(context) },
    ]
}
