//! A table beside a plan: samples of blood, counts of the whole body, values of the laboratory.
//!
//! `NAME.csv` beside `NAME.yaml`, or the file that `measured_csv` names, in the same folder. One row a value; the
//! quantity's name says its unit, as keys of a plan do:
//!
//! ```text
//! quantity,value,hours,date,relative_uncertainty
//! blood_percent_per_ml,0.0125,2,,0.05
//! anterior,1050000,0,,
//! posterior,950000,0,,
//! platelets_giga_l,212,,2026-02-27,
//! ```

use super::PatientFacts;
use super::measured::{BloodSample, Measured, WholeBodyCount};
use crate::config::yaml::{Document, Fault};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// Rows of a table; more is another file.
const ROWS_MAX: usize = 10_000;

const COLUMNS: [&str; 5] = ["quantity", "value", "hours", "date", "relative_uncertainty"];
const BLOOD: [&str; 2] = ["blood_percent_per_ml", "blood_mbq_per_ml"];
const COUNTS: [&str; 4] = ["anterior", "posterior", "anterior_background", "posterior_background"];

/// The file as it was read: what a worker is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name, for messages.
    pub file: String,
    pub text: String,
}

/// The table beside a plan: the one it names, else that of its own name where there is one.
///
/// # Errors
/// The named table is in another folder, is not there or cannot be read.
pub fn beside(plan: &Path, text: &str) -> Result<Option<Table>, Fault> {
    #[derive(Deserialize)]
    struct Named {
        measured_csv: Option<String>,
    }
    // Faults of the plan itself are told when it is read.
    let named = text.contains("measured_csv").then(|| {
        Document::parse("", text).ok().and_then(|mut document| document.read::<Named>().0)
    });
    let path = match named.flatten().and_then(|named| named.measured_csv) {
        None => Some(plan.with_extension("csv")).filter(|path| path.is_file()),
        Some(name) if is_plain(&name) => Some(plan.with_file_name(name)),
        Some(name) => {
            let message =
                format!("measured_csv: `{name}` is no name of a file in the plan's own folder");
            return Err(Fault::of_file(&plan.display().to_string(), message));
        }
    };
    let Some(path) = path else { return Ok(None) };
    let text = crate::config::read_text(&path)?;
    Ok(Some(Table { file: path.display().to_string(), text }))
}

fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}

/// One row with everything that it says.
struct Row<'t> {
    line: usize,
    quantity: &'t str,
    value: f64,
    hours: Option<f64>,
    date: Option<Date>,
    relative_uncertainty: Option<f64>,
}

/// What a table adds to a plan.
pub(super) struct Samples {
    pub blood: Vec<BloodSample>,
    pub whole_body_counts: Vec<WholeBodyCount>,
    pub facts: BTreeMap<String, (f64, Option<Date>)>,
}

/// Faults with their places, of one table.
struct Reader<'t> {
    table: &'t Table,
    /// Place of each known column in a row.
    columns: BTreeMap<&'static str, usize>,
    faults: Vec<Fault>,
}

impl Table {
    /// Every row, or every fault.
    pub(super) fn read(&self) -> Result<Samples, Vec<Fault>> {
        let mut reader = Reader { table: self, columns: BTreeMap::new(), faults: Vec::new() };
        let rows = reader.records();
        let rows: Vec<Row<'_>> = rows.iter().filter_map(|cells| reader.row(cells)).collect();
        let samples = reader.samples(&rows);
        if reader.faults.is_empty() { Ok(samples) } else { Err(reader.faults) }
    }
}

/// Cells of a row, and the line it begins in.
type Record = (usize, csv::StringRecord);

impl<'t> Reader<'t> {
    fn fault(&mut self, line: usize, cell: usize, message: impl Into<String>) {
        let text = self.table.text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        self.faults.push(Fault {
            file: self.table.file.clone(),
            line: line as u64,
            column: column_of(text, cell) as u64,
            message: message.into(),
        });
    }

    /// The rows below the heading, which must name the columns.
    fn records(&mut self) -> Vec<Record> {
        let mut parser = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(self.table.text.as_bytes());
        let mut records = Vec::new();
        for record in parser.records().take(ROWS_MAX + 2) {
            match record {
                Ok(cells) => {
                    let line = cells.position().map_or(0, |at| at.line() as usize);
                    records.push((line, cells));
                }
                Err(error) => {
                    let line = error.position().map_or(1, |at| at.line() as usize);
                    self.fault(line, 0, format!("cannot be read as a table ({error})"));
                    return Vec::new();
                }
            }
        }
        if records.is_empty() {
            self.fault(1, 0, format!("is empty; begin with the line `{}`", COLUMNS.join(",")));
            return records;
        }
        let (line, heading) = records.remove(0);
        self.heading(line, &heading);
        if records.len() > ROWS_MAX {
            self.fault(line, 0, format!("has more than {ROWS_MAX} rows; is this the right file?"));
            records.clear();
        }
        // Without its columns nothing of a row is understood.
        if self.faults.is_empty() { records } else { Vec::new() }
    }

    fn heading(&mut self, line: usize, heading: &csv::StringRecord) {
        for (cell, name) in heading.iter().enumerate() {
            match COLUMNS.iter().find(|column| **column == name) {
                Some(column) if !self.columns.contains_key(column) => {
                    self.columns.insert(column, cell);
                }
                Some(column) => self.fault(line, cell, format!("column `{column}` stands twice")),
                None => {
                    let hint = if name.contains(';') { "; separate columns by commas" } else { "" };
                    let known = COLUMNS.join(", ");
                    self.fault(line, cell, format!("`{name}` is no column; write {known}{hint}"));
                }
            }
        }
        for column in &COLUMNS[..2] {
            if self.faults.is_empty() && !self.columns.contains_key(column) {
                self.fault(line, 0, format!("column `{column}` is missing"));
            }
        }
    }

    /// The text of a column in a row, where there is one.
    fn cell<'r>(&self, column: &str, cells: &'r csv::StringRecord) -> Option<&'r str> {
        let text = cells.get(*self.columns.get(column)?)?;
        (!text.is_empty()).then_some(text)
    }

    /// A number within its range.
    fn number(
        &mut self,
        column: &'static str,
        (line, cells): &Record,
        range: std::ops::RangeInclusive<f64>,
    ) -> Option<f64> {
        let text = self.cell(column, cells)?;
        let place = self.columns[column];
        match text.parse::<f64>() {
            Ok(value) if range.contains(&value) => return Some(value),
            Ok(value) => {
                let (low, high) = range.into_inner();
                self.fault(*line, place, format!("{value} is out of range; write {low} to {high}"));
            }
            Err(_) => {
                let message = format!("`{text}` is no number; write digits with a decimal point");
                self.fault(*line, place, message);
            }
        }
        None
    }

    fn row<'r>(&mut self, record: &'r Record) -> Option<Row<'r>> {
        let (line, cells) = record;
        let before = self.faults.len();
        if cells.len() > self.columns.len() {
            self.fault(*line, self.columns.len(), "the row has more cells than the heading");
        }
        let quantity = self.cell("quantity", cells);
        let value = self.number("value", record, 0.0..=1e12);
        let hours = self.number("hours", record, 0.0..=1e4);
        let relative_uncertainty = self.number("relative_uncertainty", record, 1e-4..=1.0);
        let date = self.cell("date", cells).map(str::parse::<Date>);
        if let Some(Err(_)) = date {
            self.fault(*line, self.columns["date"], "is no date; write it like 2026-02-27");
        }
        match (quantity, value) {
            (None, _) => self.fault(*line, self.columns["quantity"], "the quantity is missing"),
            (_, None) if self.faults.len() == before => {
                self.fault(*line, self.columns["value"], "the value is missing");
            }
            _ => {}
        }
        let date = date.and_then(Result::ok);
        (self.faults.len() == before).then_some(())?;
        Some(Row {
            line: *line,
            quantity: quantity?,
            value: value?,
            hours,
            date,
            relative_uncertainty,
        })
    }

    fn samples(&mut self, rows: &[Row<'_>]) -> Samples {
        let place = |column: &str| self.columns.get(column).copied().unwrap_or_default();
        let (name, time) = (place("quantity"), place("hours"));
        let place_of_value = place("value");
        let facts_known = PatientFacts::RANGES.map(|(key, ..)| key);
        let mut blood = Vec::new();
        let mut counts: BTreeMap<u64, (usize, BTreeMap<&str, f64>)> = BTreeMap::new();
        let mut facts: BTreeMap<String, (f64, Option<Date>)> = BTreeMap::new();
        for row in rows {
            let is_series = BLOOD.contains(&row.quantity) || COUNTS.contains(&row.quantity);
            if is_series != row.hours.is_some() {
                let message = match is_series {
                    true => "needs `hours` from the administration",
                    false => "has no `hours`; write its `date`",
                };
                self.fault(row.line, time, format!("`{}` {message}", row.quantity));
            } else if BLOOD.contains(&row.quantity) {
                let of = |unit: &str| (row.quantity == unit).then_some(row.value);
                blood.push(BloodSample {
                    hours: row.hours.unwrap_or_default(),
                    percent_per_ml: of(BLOOD[0]),
                    mbq_per_ml: of(BLOOD[1]),
                    relative_uncertainty: row.relative_uncertainty,
                });
            } else if COUNTS.contains(&row.quantity) {
                let hours = row.hours.unwrap_or_default();
                let (_, of_time) =
                    counts.entry(hours.to_bits()).or_insert((row.line, BTreeMap::new()));
                if of_time.insert(row.quantity, row.value).is_some() {
                    let message = format!("`{}` at {hours} h stands twice", row.quantity);
                    self.fault(row.line, name, message);
                }
            } else if facts_known.contains(&row.quantity) {
                match PatientFacts::implausible(row.quantity, row.value) {
                    Some(message) => self.fault(row.line, place_of_value, message),
                    None => self.fact(row, &mut facts),
                }
            } else {
                let known = [&BLOOD[..], &COUNTS[..], &facts_known[..]].concat();
                let message =
                    format!("`{}` is not known; write one of {}", row.quantity, known.join(", "));
                self.fault(row.line, name, message);
            }
        }
        blood.sort_by(|a, b| a.hours.total_cmp(&b.hours));
        let whole_body_counts = counts.into_iter().filter_map(|(hours, (line, of_time))| {
            let hours = f64::from_bits(hours);
            let pair = of_time.get("anterior").zip(of_time.get("posterior"));
            let Some((anterior, posterior)) = pair else {
                self.fault(line, name, format!("at {hours} h one of the two views is missing"));
                return None;
            };
            let background = |key: &str| of_time.get(key).copied().unwrap_or_default();
            Some(WholeBodyCount {
                hours,
                anterior: *anterior,
                posterior: *posterior,
                anterior_background: background("anterior_background"),
                posterior_background: background("posterior_background"),
            })
        });
        let whole_body_counts = whole_body_counts.collect();
        Samples { blood, whole_body_counts, facts }
    }

    /// The newest of several is in force; without dates none is.
    fn fact(&mut self, row: &Row<'_>, facts: &mut BTreeMap<String, (f64, Option<Date>)>) {
        let newest = facts.get(row.quantity).copied();
        match newest {
            Some((_, date)) if date.is_none() || row.date.is_none() || date == row.date => {
                let message = format!("`{}` stands twice; give each its own date", row.quantity);
                self.fault(row.line, self.columns["quantity"], message);
            }
            Some((_, date)) if date > row.date => {}
            _ => {
                facts.insert(row.quantity.to_owned(), (row.value, row.date));
            }
        }
    }
}

/// Where a cell begins in its line, 1-based, in characters.
fn column_of(line: &str, cell: usize) -> usize {
    let (mut seen, mut quoted) = (0, false);
    for (place, c) in line.chars().enumerate() {
        if seen == cell {
            return place + 1;
        }
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => seen += 1,
            _ => {}
        }
    }
    line.chars().count() + 1
}

impl Samples {
    /// Joins a plan's own values; what stands in both is a fault: the key in the plan and why.
    pub(super) fn join(
        self,
        facts: &mut PatientFacts,
        dates: &mut BTreeMap<String, Date>,
        measured: &mut Measured,
    ) -> Vec<(Vec<String>, String)> {
        let mut faults = Vec::new();
        let twice = "stands in the plan and in the table beside it; remove one".to_owned();
        for (key, (value, date)) in self.facts {
            let Some(place) = facts.number_mut(&key) else { continue };
            if place.is_some() {
                faults.push((vec!["patient_facts".to_owned(), key], twice.clone()));
                continue;
            }
            *place = Some(value);
            dates.extend(date.map(|date| (key, date)));
        }
        for (key, is_in_table, is_in_plan) in [
            ("blood_samples", !self.blood.is_empty(), !measured.blood_samples.is_empty()),
            (
                "whole_body_counts",
                !self.whole_body_counts.is_empty(),
                !measured.whole_body_counts.is_empty(),
            ),
        ] {
            if is_in_table && is_in_plan {
                faults.push((vec!["measured".to_owned(), key.to_owned()], twice.clone()));
            }
        }
        if measured.blood_samples.is_empty() {
            measured.blood_samples = self.blood;
        }
        if measured.whole_body_counts.is_empty() {
            measured.whole_body_counts = self.whole_body_counts;
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Samples, Vec<String>> {
        let table = Table { file: "p.csv".into(), text: text.into() };
        table.read().map_err(|faults| faults.iter().map(Fault::to_string).collect())
    }

    #[test]
    fn series_and_facts_are_read_in_any_order_of_rows_and_columns() {
        let samples = read(
            "# drawn by the ward\ndate,quantity,hours,value\n,anterior,72,620000\n\
             ,blood_percent_per_ml,24,0.002\n,blood_mbq_per_ml,2,0.9\n,posterior,72,570000\n\
             2026-02-27,platelets_giga_l,,212\n2026-01-05,platelets_giga_l,,180\n\
             ,\"haematocrit\",,0.41\n",
        );
        let samples = samples.unwrap();
        assert_eq!(samples.blood[0].hours, 2.0);
        assert_eq!(samples.blood[0].mbq_per_ml, Some(0.9));
        assert_eq!(samples.blood[1].percent_per_ml, Some(0.002));
        assert_eq!(samples.whole_body_counts[0].posterior, 570_000.0);
        let date = jiff::civil::date(2026, 2, 27);
        assert_eq!(samples.facts["platelets_giga_l"], (212.0, Some(date)), "the newest");
        assert_eq!(samples.facts["haematocrit"], (0.41, None));
    }

    #[test]
    fn every_fault_names_line_and_column() {
        let faults = |text: &str| read(text).err().unwrap_or_default();
        let all = faults(
            "quantity,value,hours\nblood_mbq_per_ml,\"0,9\",2\nblood_percent_per_ml,0.1,\n\
             platelets_giga_l,212,3\nhaemoglobin,14,\nanterior,5,1\nhaematocrit,0.4,\n\
             haematocrit,0.5,\nanterior,,2\n",
        );
        for expected in [
            "p.csv:2:18: `0,9` is no number; write digits with a decimal point",
            "p.csv:3:26: `blood_percent_per_ml` needs `hours` from the administration",
            "p.csv:4:22: `platelets_giga_l` has no `hours`; write its `date`",
            "p.csv:5:1: `haemoglobin` is not known",
            "p.csv:6:1: at 1 h one of the two views is missing",
            "p.csv:8:1: `haematocrit` stands twice",
            "p.csv:9:10: the value is missing",
        ] {
            assert!(all.iter().any(|fault| fault.starts_with(expected)), "{expected}: {all:#?}");
        }
        assert_eq!(all.len(), 7, "{all:#?}");
        assert!(faults("quantity;value\n")[0].contains("separate columns by commas"));
        assert!(faults("")[0].starts_with("p.csv:1:1: is empty"));
        assert!(faults("quantity,hours\n")[0].contains("`value` is missing"));
        assert!(faults("quantity,value\nhaematocrit,0.4,7\n")[0].starts_with("p.csv:2:17:"));
    }
}
