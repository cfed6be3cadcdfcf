//! The course in the report: sums against limits and the proposal as measurement groups (TID 1501), the
//! ledger and what holds as texts.

use super::super::anatomy::codes_of;
use super::super::{CycleResult, ReportOptions, modules};
use super::concepts as c;
use super::groups::rounded;
use crate::dicom::Uid;
use crate::dicom::write::Code;
use crate::dicom::write::content::{Item, Relationship};
use Relationship::{Contains, HasConceptMod, HasObsContext};
use serde_json::Value;

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// One group a limited tissue, and one for the proposal; none where the protocol has neither.
pub(super) fn groups(result: &CycleResult) -> Vec<Item> {
    let Some(course) = &result.prescription else { return Vec::new() };
    let mut groups: Vec<Item> = list(&course["tissues"]).map(|t| tissue(result, t)).collect();
    let proposal = &course["proposal"];
    if !proposal.is_null() {
        groups.push(proposed(result, proposal, course["next_cycle"].as_u64().unwrap_or_default()));
    }
    groups
}

fn opened(result: &CycleResult, name: &str) -> Item {
    let patient = &result.patient;
    let tracked = ["course", &patient.id, &patient.issuer, &result.protocol, name];
    Item::container(&c::MEASUREMENT_GROUP, Some("1501"))
        .child(HasObsContext, Item::text(&c::ACTIVITY_SESSION, &format!("Cycle {}", result.cycle)))
        .child(HasObsContext, Item::text(&c::TRACKING_IDENTIFIER, name))
        .child(HasObsContext, Item::uid(&c::TRACKING_UID, &Uid::derived(&tracked)))
}

fn tissue(result: &CycleResult, tissue: &Value) -> Item {
    let name = word(&tissue["tissue"]);
    let finding = Item::code(&c::FINDING, &codes_of(name, None).property);
    let gray =
        |concept: &'static Code, key: &str| Item::number(concept, tissue[key].as_f64(), &c::GRAY);
    let above = tissue["probability_above_dose_limit"].as_f64().map(|p| 100.0 * p);
    let numbers = [
        gray(&c::CUMULATIVE_DOSE, "absorbed_dose_gy"),
        gray(&c::CUMULATIVE_UNCERTAINTY, "uncertainty_gy"),
        gray(&c::DOSE_LIMIT, "dose_limit_gy"),
        gray(&c::DOSE_LEFT, "remaining_dose_gy"),
        Item::number(&c::ABOVE_LIMIT, above, &c::PERCENT),
        gray(&c::CUMULATIVE_BED, "bed_gy"),
        gray(&c::BED_LIMIT, "bed_limit_gy"),
        gray(&c::BED_LEFT, "remaining_bed_gy"),
    ];
    opened(result, name).child(Contains, finding).children(Contains, numbers.into_iter().flatten())
}

fn proposed(result: &CycleResult, proposal: &Value, cycle: u64) -> Item {
    let mbq = |concept: &'static Code, value: &Value| {
        Item::number(concept, value.as_f64(), &c::MEGABECQUEREL)
    };
    let allowed = list(&proposal["constraints"]).filter_map(|constraint| {
        let name = Item::text(&c::CONSTRAINT, word(&constraint["name"]));
        let item = mbq(&c::ALLOWED_ACTIVITY, &constraint["activity_mbq"])?;
        Some(item.child(HasConceptMod, name))
    });
    opened(result, &format!("Proposal of cycle {cycle}"))
        .children(Contains, mbq(&c::PROPOSED_ACTIVITY, &proposal["activity_mbq"]))
        .children(Contains, mbq(&c::UNROUNDED_ACTIVITY, &proposal["unrounded_mbq"]))
        .children(Contains, allowed)
        .child(Contains, Item::text(&c::VERDICT, word(&proposal["verdict"])))
        .child(Contains, Item::text(&c::LIMITING, word(&proposal["limiting"])))
}

/// Who signed which activity of which cycle, and when; or that nobody did. None where nothing is proposed.
pub(in crate::report) fn signature(course: &Value, options: &ReportOptions) -> Option<String> {
    if course["proposal"].is_null() {
        return None;
    }
    let signature = &course["signature"];
    let Some(by) = signature["by"].as_str() else {
        return Some(format!(
            "cycle {}: unsigned, a proposal only; a named person decides",
            course["next_cycle"]
        ));
    };
    let activity = signature["activity_mbq"].as_f64().map(|mbq| format!(", {} MBq,", rounded(mbq)));
    let at = signature["at"]
        .as_str()
        .and_then(|at| at.parse().ok())
        .map(|at| modules::local(at, options).strftime(" on %Y-%m-%d %H:%M:%S %:z").to_string());
    Some(format!(
        "cycle {}{} signed by {by}{} in the plan",
        signature["cycle"],
        activity.unwrap_or_default(),
        at.unwrap_or_else(|| ", time not stated,".into())
    ))
}

/// Names under results of cycles before, given on the pages of the node.
pub(in crate::report) fn signed_results(
    result: &CycleResult,
    options: &ReportOptions,
) -> Vec<String> {
    let text = |signed: &crate::report::SignedResult| {
        let at = modules::local(signed.at, options);
        let at = at.strftime("%Y-%m-%d %H:%M:%S %:z");
        format!(
            "result of cycle {} signed by {} on {at} on the pages of the node",
            signed.cycle, signed.by
        )
    };
    result.signed_results.iter().map(text).collect()
}

/// State, ledger, what holds and what has to be looked at.
pub(super) fn statements(result: &CycleResult, options: &ReportOptions) -> Vec<Item> {
    let Some(course) = &result.prescription else { return Vec::new() };
    let mut items = vec![Item::text(
        &c::COURSE_STATE,
        &format!("{}; {}", word(&course["state"]), word(&course["is"])),
    )];
    items.extend(signature(course, options).map(|text| Item::text(&c::SIGNATURE, &text)));
    items.extend(list(&course["ledger"]).map(|entry| {
        let number = |key: &str| entry[key].as_f64().map_or_else(|| "unknown".into(), rounded);
        let text = format!(
            "cycle {}, {}: {} {} Gy, BED {} Gy; {}",
            entry["cycle"],
            word(&entry["radiopharmaceutical"]),
            word(&entry["tissue"]),
            number("absorbed_dose_gy"),
            number("bed_gy"),
            word(&entry["method"])
        );
        Item::text(&c::LEDGER, &text)
    }));
    items.extend(list(&course["holds"]).map(|hold| {
        Item::text(&c::HOLD, &format!("{}: {}", word(&hold["code"]), word(&hold["reason"])))
    }));
    items.extend(list(&course["notes"]).map(|note| Item::text(&c::COURSE_NOTE, word(note))));
    items
}
