//! A result's table on a terminal, from `results.json`, which is what everybody else sees too.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::Value;

/// Regions with mass, time-integrated activity, effective half-life, dose, BED and uncertainty, then
/// the warnings.
pub fn of(results: &Value) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header([
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
    let of_regions = results["regions"].as_array().into_iter().flatten().flat_map(|region| {
        let name = text(&region["name"]);
        list(&region["warnings"]).map(move |warning| format!("{name}: {warning}"))
    });
    let warnings: Vec<String> = list(&results["warnings"]).chain(of_regions).collect();
    lines.extend(warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.join("\n")
}

fn list(warnings: &Value) -> impl Iterator<Item = String> + '_ {
    warnings.as_array().into_iter().flatten().map(|warning| match &warning["text"] {
        Value::String(text) => text.clone(),
        _ => text(warning),
    })
}

fn percent(fraction: &Value) -> Value {
    fraction.as_f64().map_or(Value::Null, |u| (100.0 * u).into())
}

fn number(value: &Value, decimals: usize) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}
