//! What stands on the pages, before anything is laid out: sections of facts, tables, charts and pictures.

use crate::report::number::four_digits;
use crate::report::plot::{Frame, Line, label};
use serde::Serialize;

/// What nobody said.
pub(super) const NOT_STATED: &str = "not stated";
/// What could not be had; a warning says why.
pub(super) const ABSENT: &str = "–";

#[derive(Debug, Serialize)]
pub(super) struct Section {
    pub heading: &'static str,
    pub blocks: Vec<Block>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Block {
    /// Name and value, one a line.
    Facts {
        rows: Vec<[String; 2]>,
    },
    Table {
        title: String,
        columns: Vec<Column>,
        rows: Vec<Vec<String>>,
    },
    Text {
        text: String,
    },
    /// What must not be overlooked.
    Notice {
        text: String,
    },
    List {
        items: Vec<String>,
    },
    Charts {
        caption: String,
        per_row: usize,
        charts: Vec<Chart>,
    },
    Pictures {
        caption: String,
        pictures: Vec<Picture>,
        bar: Bar,
    },
    /// Lines to write on.
    Signature {
        lines: Vec<&'static str>,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct Column {
    pub title: String,
    pub unit: String,
    /// Set to the right, on one line.
    pub is_number: bool,
}

/// One frame with its lines; places run from 0 to 1.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Drawn>,
    /// Names of lines are shown below.
    pub has_key: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Axis {
    pub name: &'static str,
    pub ticks: Vec<(f64, String)>,
}

#[derive(Debug, Serialize)]
pub(super) struct Drawn {
    pub name: String,
    pub curve: Vec<(f64, f64)>,
    /// Place, and the ends of the standard uncertainty where it is known.
    pub points: Vec<(f64, f64, Option<[f64; 2]>)>,
}

#[derive(Debug, Serialize)]
pub(super) struct Picture {
    pub file: String,
    pub title: String,
    /// Letters at the left, right, upper and lower border.
    pub borders: [&'static str; 4],
    /// Width and height in the patient.
    pub size_mm: [f64; 2],
}

/// The colours of a picture and what they mean.
#[derive(Debug, Serialize)]
pub(super) struct Bar {
    pub stops: Vec<String>,
    pub ticks: Vec<(f64, String)>,
}

pub(super) fn facts(rows: impl IntoIterator<Item = (&'static str, String)>) -> Block {
    Block::Facts { rows: rows.into_iter().map(|(name, value)| [name.into(), value]).collect() }
}

pub(super) fn text(text: impl Into<String>) -> Block {
    Block::Text { text: text.into() }
}

/// A column of words.
pub(super) fn words(title: &str) -> Column {
    Column { title: title.into(), unit: String::new(), is_number: false }
}

/// A column of numbers.
pub(super) fn numbers(title: &str, unit: &str) -> Column {
    Column { title: title.into(), unit: unit.into(), is_number: true }
}

pub(super) fn number(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map_or_else(|| ABSENT.into(), four_digits)
}

/// Hours as they name a time point: `4`, `24.5`.
pub(super) fn hours(value: f64) -> String {
    label((10.0 * value).round() / 10.0)
}

/// A part of 1 as percent.
pub(super) fn percent(value: Option<f64>) -> String {
    let value = value.filter(|value| value.is_finite());
    value.map_or_else(|| ABSENT.into(), |value| format!("{:.1}", 100.0 * value))
}

/// The text, or that nobody said it.
pub(super) fn stated(text: Option<&str>) -> String {
    text.filter(|text| !text.trim().is_empty()).unwrap_or(NOT_STATED).to_owned()
}

impl Chart {
    /// Lines in one frame.
    pub(super) fn of(
        title: &str,
        names: [&'static str; 2],
        logarithmic: bool,
        lines: &[Line],
    ) -> Option<Self> {
        let frame = Frame::of(logarithmic, lines)?;
        let ticks = |values: Vec<f64>, place: &dyn Fn(f64) -> f64| {
            values.into_iter().map(|value| (place(value), label(value))).collect()
        };
        let finite = |p: &&(f64, f64)| p.0.is_finite() && p.1.is_finite();
        let drawn = |line: &Line| Drawn {
            name: line.name.clone(),
            curve: line
                .curve
                .iter()
                .filter(finite)
                .map(|(x, y)| (frame.x(*x), frame.y(*y)))
                .collect(),
            points: line
                .points
                .iter()
                .filter(|(x, y, _)| x.is_finite() && y.is_finite())
                .map(|(x, y, error)| {
                    let ends = error.map(|u| [frame.y(y * (1.0 - u)), frame.y(y * (1.0 + u))]);
                    (frame.x(*x), frame.y(*y), ends)
                })
                .collect(),
        };
        Some(Self {
            title: title.into(),
            x: Axis { name: names[0], ticks: ticks(frame.x_ticks(), &|v| frame.x(v)) },
            y: Axis { name: names[1], ticks: ticks(frame.y_ticks(), &|v| frame.y(v)) },
            lines: lines.iter().map(drawn).collect(),
            has_key: lines.len() > 1,
        })
    }
}
