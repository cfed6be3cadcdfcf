//! How well it is known, what is doubtful, what it was made with, and who answers for it.

use super::Context;
use crate::report::RESEARCH_MARK;
use crate::report::pdf::sheet::{ABSENT, Block, facts, numbers, percent, text, words};
use crate::report::structured_report::course::{signature as signature_of, signed_results};
use crate::report::warnings::grouped;
use std::collections::BTreeMap;

pub(super) fn uncertainty(context: &Context<'_>) -> Vec<Block> {
    // Sources in the order of the propagation, as they first occur.
    let mut sources: Vec<&'static str> = Vec::new();
    for (region, _) in context.regions() {
        for one in region.uncertainty_budget.iter().flat_map(|budget| &budget.contributions) {
            if !sources.contains(&one.source) {
                sources.push(one.source);
            }
        }
    }
    let rows: Vec<Vec<String>> = context
        .regions()
        .filter_map(|(region, numbers)| {
            let budget = region.uncertainty_budget.as_ref()?;
            let mut row = vec![region.name.clone()];
            row.extend(sources.iter().map(|source| {
                let found = budget.contributions.iter().find(|one| one.source == *source);
                percent(found.map(|one| one.absorbed_dose.abs()))
            }));
            row.push(percent(budget.time_integrated_activity));
            row.push(percent(numbers.uncertainty));
            row.push(match budget.unknown.is_empty() {
                true => ABSENT.into(),
                false => budget.unknown.join(", "),
            });
            Some(row)
        })
        .collect();
    if rows.is_empty() {
        return vec![text("No region has a propagated uncertainty: not stated.")];
    }
    let mut columns = vec![words("Region")];
    columns.extend(sources.iter().map(|source| numbers(source, "%")));
    columns.extend([
        numbers("u(TIA)", "%"),
        numbers("u(dose)", "%"),
        words("Not known, not included"),
    ]);
    vec![
        Block::Table { title: "Contributions to the mean absorbed dose".into(), columns, rows },
        text(
            "Relative standard uncertainties, k = 1, propagated by the law of propagation of uncertainty (GUM; EANM \
             2018). The totals hold the sources that are known and are too small where one is not. The \
             probability that a sum is above its limit is in section 8.",
        ),
    ]
}

pub(super) fn warnings(context: &Context<'_>) -> Vec<Block> {
    let result = context.result;
    let all = grouped(&context.json);
    let everywhere = result.regions.len();
    let rows = all.iter().map(|warning| {
        let about = match warning.regions.len() {
            0 => "the whole result".into(),
            n if n == everywhere && n > 1 => "every region".into(),
            _ => warning.regions.join(", "),
        };
        vec![about, warning.text.clone(), warning.code.clone()]
    });
    let mut blocks = vec![if all.is_empty() {
        text("No warning goes with this result.")
    } else {
        Block::Table {
            title: "Deviations and warnings".into(),
            columns: vec![words("About"), words("What"), words("Code")],
            rows: rows.collect(),
        }
    }];
    let unconfirmed = context.json["prescription"]["unconfirmed"].as_array();
    let unconfirmed: Vec<&str> =
        unconfirmed.into_iter().flatten().filter_map(|key| key.as_str()).collect();
    if !unconfirmed.is_empty() {
        blocks.push(text(format!(
            "Parameters of the protocol that no physicist has confirmed (provenance M): {}.",
            unconfirmed.join(", ")
        )));
    }
    let software = &result.software;
    let frame = result.voxels.as_ref().map(|voxels| voxels.frame_of_reference.to_string());
    blocks.push(facts([
        ("Software", format!("{} {}", software.name, software.version)),
        ("Computed", context.instant(result.computed_at)),
        ("Parameters, SHA-256", software.parameters_sha256.clone()),
        ("Frame of reference", frame.unwrap_or_else(|| "none: doses are of organs".into())),
        ("State", RESEARCH_MARK.into()),
    ]));
    // Many series, each of many instances: the DICOM objects of the result name every one.
    let mut series: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for input in &result.inputs {
        *series.entry((input.modality.as_str(), input.series.as_str())).or_default() += 1;
    }
    let rows = series.iter().map(|((modality, uid), instances)| {
        vec![(*modality).to_owned(), (*uid).to_owned(), instances.to_string()]
    });
    blocks.push(Block::Table {
        title: "Inputs".into(),
        columns: vec![words("Modality"), words("Series Instance UID"), numbers("Instances", "")],
        rows: rows.collect(),
    });
    blocks
}

pub(super) fn signature(context: &Context<'_>) -> Vec<Block> {
    let course = &context.json["prescription"];
    let mut blocks = vec![text(
        "This result is a proposal. It counts as checked when a named medical physicist and the responsible \
         physician have signed it here or in the system that keeps it.",
    )];
    blocks.push(match signature_of(course, context.options) {
        Some(text) => facts([("Activity of the next cycle", text)]),
        None => text("No activity is proposed, so there is none to sign."),
    });
    let signed = signed_results(context.result, context.options);
    if !signed.is_empty() {
        blocks.push(Block::List { items: signed });
    }
    blocks.push(Block::Signature { lines: vec!["Medical physicist", "Physician"] });
    blocks
}
