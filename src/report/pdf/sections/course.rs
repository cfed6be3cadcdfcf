//! What every tissue has received, what is left of its limits, and the next activity.

use super::Context;
use crate::report::pdf::sheet::{
    ABSENT, Block, NOT_STATED, facts, number, numbers, percent, text, words,
};
use serde_json::Value;

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn words_of(value: &Value) -> String {
    value.as_str().unwrap_or(NOT_STATED).to_owned()
}

fn strings(value: &Value) -> Vec<String> {
    list(value).filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(super) fn ledger(context: &Context<'_>) -> Vec<Block> {
    let course = &context.json["prescription"];
    if course.is_null() {
        return vec![text(
            "The protocol has no limits and no rule, so no sum over cycles was made: not stated.",
        )];
    }
    let mut blocks = Vec::new();
    let rows: Vec<Vec<String>> = list(&course["ledger"])
        .map(|entry| {
            let cycle = entry["cycle"].as_u64().unwrap_or_default();
            vec![
                if cycle == 0 { "before".into() } else { cycle.to_string() },
                words_of(&entry["tissue"]),
                words_of(&entry["radiopharmaceutical"]),
                number(entry["activity_mbq"].as_f64()),
                number(entry["absorbed_dose_gy"].as_f64()),
                percent(entry["uncertainty"].as_f64()),
                number(entry["bed_gy"].as_f64()),
                number(entry["effective_half_life_h"].as_f64()),
                words_of(&entry["half_life_source"]),
                words_of(&entry["method"]),
            ]
        })
        .collect();
    if rows.is_empty() {
        blocks.push(text("Nothing was measured so far."));
    } else {
        blocks.push(Block::Table {
            title: "Ledger of the course".into(),
            columns: vec![
                words("Cycle"),
                words("Tissue"),
                words("Agent"),
                numbers("A", "MBq"),
                numbers("Dose", "Gy"),
                numbers("u", "%"),
                numbers("BED", "Gy"),
                numbers("T_eff", "h"),
                words("T_eff from"),
                words("Dose from"),
            ],
            rows,
        });
    }
    let rows: Vec<Vec<String>> = list(&course["tissues"])
        .map(|tissue| {
            let of = |key: &str| number(tissue[key].as_f64());
            vec![
                words_of(&tissue["tissue"]),
                of("absorbed_dose_gy"),
                of("uncertainty_gy"),
                of("dose_limit_gy"),
                of("remaining_dose_gy"),
                percent(tissue["probability_above_dose_limit"].as_f64()),
                of("bed_gy"),
                of("bed_limit_gy"),
                of("remaining_bed_gy"),
                of("gy_per_gbq"),
            ]
        })
        .collect();
    if !rows.is_empty() {
        blocks.push(Block::Table {
            title: "Sums and limits".into(),
            columns: vec![
                words("Tissue"),
                numbers("Dose", "Gy"),
                numbers("u", "Gy"),
                numbers("Limit", "Gy"),
                numbers("Left", "Gy"),
                numbers("P(D > limit)", "%"),
                numbers("BED", "Gy"),
                numbers("Limit", "Gy"),
                numbers("Left", "Gy"),
                numbers("D/A", "Gy/GBq"),
            ],
            rows,
        });
        blocks.push(text(
            "Doses and BEDs of cycles add; random uncertainties add in quadrature, common ones linearly (k = 1). \
             P(D > limit) takes the sum as normally distributed. D/A is of the last measured cycle.",
        ));
    }
    blocks
}

pub(super) fn prescription(context: &Context<'_>) -> Vec<Block> {
    let course = &context.json["prescription"];
    if course.is_null() {
        return vec![text("The protocol proposes no activity.")];
    }
    let cycle = course["next_cycle"].as_u64().unwrap_or_default();
    let mut blocks = vec![facts([("State of the course", words_of(&course["state"]))])];
    for hold in list(&course["holds"]) {
        let text = format!("HOLD ({}): {}", words_of(&hold["code"]), words_of(&hold["reason"]));
        blocks.push(Block::Notice { text });
    }
    let proposal = &course["proposal"];
    if proposal.is_null() {
        blocks.push(text(format!("No activity is proposed for cycle {cycle}.")));
    } else {
        blocks.extend(proposed(context, proposal, cycle));
    }
    let decision = &course["another_cycle"];
    if !decision.is_null() {
        let may = match decision["may_be_given"].as_bool() {
            Some(true) => "may be given",
            _ => "is not to be given",
        };
        let because = words_of(&decision["because"]);
        blocks.push(text(format!("Another cycle of the fixed activity {may}: {because}.")));
    }
    blocks.extend(alternatives(course));
    let notes = strings(&course["notes"]);
    if !notes.is_empty() {
        blocks.push(Block::List { items: notes });
    }
    blocks.push(text("A proposal: a named person decides."));
    blocks
}

fn proposed(context: &Context<'_>, proposal: &Value, cycle: u64) -> Vec<Block> {
    let result = context.result;
    let activity = match proposal["activity_mbq"].as_f64() {
        Some(mbq) => format!("{} MBq", number(Some(mbq))),
        None => "none".into(),
    };
    let facts = facts([
        ("Proposed", format!("cycle {cycle}: {activity} ({})", words_of(&proposal["verdict"]))),
        ("Limiting", words_of(&proposal["limiting"])),
        (
            "Before rounding",
            format!(
                "{} MBq; rounded down to the protocol's step",
                number(proposal["unrounded_mbq"].as_f64())
            ),
        ),
        (
            "Formula",
            format!(
                "the rule of protocol {} {}: the least of what the constraints below allow \
                 (docs/methods/prescription.md); dose per activity as in section 8",
                result.protocol, result.protocol_version
            ),
        ),
    ]);
    let rows: Vec<Vec<String>> = list(&proposal["constraints"])
        .map(|constraint| {
            let name = words_of(&constraint["name"]);
            let limits = constraint["name"] == proposal["limiting"];
            vec![
                name,
                number(constraint["limit_gy"].as_f64()),
                number(constraint["activity_mbq"].as_f64()),
                number(constraint["after_gy"].as_f64()),
                if limits { "▲ limiting".into() } else { ABSENT.into() },
            ]
        })
        .collect();
    let mut blocks = vec![facts];
    if !rows.is_empty() {
        blocks.push(Block::Table {
            title: "What each constraint alone allows".into(),
            columns: vec![
                words("Constraint or cap"),
                numbers("Limit", "Gy"),
                numbers("Allows", "MBq"),
                numbers("Sum after the proposal", "Gy"),
                words("Limiting"),
            ],
            rows,
        });
    }
    let notes = strings(&proposal["notes"]);
    if !notes.is_empty() {
        blocks.push(Block::List { items: notes });
    }
    blocks
}

/// What else could be given: the fixed regime, and vials by the hour.
fn alternatives(course: &Value) -> Vec<Block> {
    let mut blocks = Vec::new();
    let rows: Vec<Vec<String>> = list(&course["fixed_regime"])
        .map(|fixed| {
            vec![
                words_of(&fixed["tissue"]),
                fixed["cycles"].as_u64().map_or_else(|| ABSENT.into(), |n| n.to_string()),
                number(fixed["activity_mbq"].as_f64()),
                number(fixed["absorbed_dose_gy"].as_f64()),
                number(fixed["limit_gy"].as_f64()),
            ]
        })
        .collect();
    if !rows.is_empty() {
        blocks.push(Block::Table {
            title: "Alternative: what the fixed regime would give".into(),
            columns: vec![
                words("Tissue"),
                numbers("Cycles", ""),
                numbers("A each", "MBq"),
                numbers("Dose", "Gy"),
                numbers("Limit", "Gy"),
            ],
            rows,
        });
    }
    let rows: Vec<Vec<String>> = list(&course["vials"])
        .map(|vial| {
            vec![
                number(vial["vial_mbq"].as_f64()),
                number(vial["slot_h"].as_f64()),
                number(vial["activity_mbq"].as_f64()),
                percent(vial["deviation"].as_f64()),
                number(vial["exact_at_h"].as_f64()),
                if vial["within_tolerance"] == true { "yes".into() } else { "no".into() },
            ]
        })
        .collect();
    if !rows.is_empty() {
        blocks.push(Block::Table {
            title: "Vials".into(),
            columns: vec![
                numbers("Vial", "MBq"),
                numbers("Slot", "h"),
                numbers("Activity then", "MBq"),
                numbers("Off", "%"),
                numbers("Exact at", "h"),
                words("Within tolerance"),
            ],
            rows,
        });
    }
    blocks
}
