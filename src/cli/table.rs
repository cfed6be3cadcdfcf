//! A result's table on a terminal, from `results.json`, which is what everybody else sees too.

use crate::dicom::visible;
use crate::report::warnings::{Grouped, grouped};
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::Value;

/// Regions with mass, time-integrated activity, effective half-life, dose, BED and uncertainty, then
/// the warnings.
pub fn of(results: &Value) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header([
        "region",
        "mass g",
        "TIA MBq·h",
        "T eff h",
        "dose Gy",
        "BED Gy",
        "u %",
        "fit",
    ]);
    for region in results["regions"].as_array().into_iter().flatten() {
        let cells = [
            number(&region["mass_g"], 1),
            number(&region["tia_mbq_h"], 1),
            number(&region["effective_half_life_h"], 1),
            number(&region["absorbed_dose_gy"]["mean"], 3),
            number(&region["bed_gy"], 3),
            number(&percent(&region["uncertainty"]), 1),
        ];
        let right = |text| Cell::new(text).set_alignment(CellAlignment::Right);
        let mut row = vec![Cell::new(text(&region["name"]))];
        row.extend(cells.into_iter().map(right));
        row.push(Cell::new(text(&region["fit"]["model"])));
        table.add_row(row);
    }
    let mut lines = vec![table.to_string()];
    lines.push(engine(&results["engine"]));
    lines.extend(therapy(results));
    lines.extend(course(&results["prescription"]));
    lines.extend(warnings(results));
    lines.join("\n")
}

/// The engine that made the dose and why it was that one.
fn engine(engine: &Value) -> String {
    let histories = engine["histories"].as_u64().map(|n| format!(", {n} decays simulated"));
    format!(
        "engine: {} ({}){}",
        text(&engine["name"]),
        text(&engine["chosen_because"]),
        histories.unwrap_or_default()
    )
}

/// What a tracer's regions say of the therapy.
fn therapy(results: &Value) -> Vec<String> {
    let regions = results["regions"].as_array().into_iter().flatten();
    let line = |region: &Value| {
        let therapy = &region["therapy"];
        let drug = therapy["radiopharmaceutical"].as_str()?;
        Some(format!(
            "{}: {} Gy/GBq of {} (u {} %)",
            text(&region["name"]),
            number(&therapy["gy_per_gbq"], 4),
            visible(drug),
            number(&percent(&therapy["uncertainty"]), 1),
        ))
    };
    regions.filter_map(line).collect()
}

/// The state of the course and what is proposed, where the protocol has limits or a rule.
fn course(prescription: &Value) -> Vec<String> {
    let Some(state) = prescription["state"].as_str() else { return Vec::new() };
    let mut lines = vec![format!("course: {state}")];
    for tissue in prescription["tissues"].as_array().into_iter().flatten() {
        lines.push(format!(
            "{}: {} Gy so far, {} Gy left; BED {} Gy, {} Gy left",
            text(&tissue["tissue"]),
            number(&tissue["absorbed_dose_gy"], 3),
            number(&tissue["remaining_dose_gy"], 3),
            number(&tissue["bed_gy"], 3),
            number(&tissue["remaining_bed_gy"], 3),
        ));
    }
    let proposal = &prescription["proposal"];
    if let Some(verdict) = proposal["verdict"].as_str() {
        lines.push(format!(
            "cycle {}: {verdict} {} MBq, limiting: {} (a proposal; a named person decides)",
            prescription["next_cycle"],
            number(&proposal["activity_mbq"], 0),
            text(&proposal["limiting"]),
        ));
    }
    for hold in prescription["holds"].as_array().into_iter().flatten() {
        lines.push(format!("HOLD: {}", text(&hold["reason"])));
    }
    let notes = prescription["notes"].as_array().into_iter().flatten();
    lines.extend(notes.map(|note| format!("note: {}", text(note))));
    lines
}

/// Each warning once, with the regions that it is about.
fn warnings(results: &Value) -> Vec<String> {
    let line = |warning: Grouped| match warning.regions.len() {
        0 => format!("warning: {}", visible(&warning.text)),
        _ => format!(
            "warning: {} [{}]",
            visible(&warning.text),
            visible(&warning.regions.join(", "))
        ),
    };
    grouped(results).into_iter().map(line).collect()
}

/// Decays of each region beside the truth of a digital patient, which no dose engine touches.
pub fn beside_truth(results: &Value, truth: &Value) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header([
        "region",
        "TIA MBq·h",
        "truth MBq·h",
        "off %",
    ]);
    for known in truth["regions"].as_array().into_iter().flatten() {
        let regions = results["regions"].as_array().into_iter().flatten();
        let Some(region) = regions.clone().find(|region| region["name"] == known["name"]) else {
            continue;
        };
        let (found, expected) = (&region["tia_mbq_h"], &known["tia_mbq_h"]);
        let off = found.as_f64().zip(expected.as_f64()).map(|(f, e)| 100.0 * (f / e - 1.0));
        let off = off.map_or_else(|| "-".to_owned(), |off| format!("{off:+.3}"));
        let right = |text| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row(vec![
            Cell::new(text(&known["name"])),
            right(number(found, 1)),
            right(number(expected, 1)),
            right(off),
        ]);
    }
    table.to_string()
}

fn percent(fraction: &Value) -> Value {
    fraction.as_f64().map_or(Value::Null, |u| (100.0 * u).into())
}

fn number(value: &Value, decimals: usize) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

fn text(value: &Value) -> String {
    visible(value.as_str().unwrap_or("-")).into_owned()
}
