//! Equipment, acquisition and processing of every time point.

use super::Context;
use crate::quantity::Becquerel;
use crate::report::number::four_digits;
use crate::report::pdf::sheet::{
    Block, NOT_STATED, facts, hours, number, numbers, stated, text, words,
};
use crate::report::{Acquisition, TimePoint};

/// Number of a time point and its hours after administration.
fn name(place: usize, point: &TimePoint) -> String {
    format!("{}: {} h", place + 1, hours(point.after_administration.hours()))
}

fn rows(
    context: &Context<'_>,
    row: impl Fn(&TimePoint, &Acquisition) -> Vec<String>,
) -> Vec<Vec<String>> {
    let points = context.result.time_points.iter().enumerate();
    points
        .map(|(n, point)| {
            std::iter::once(name(n, point)).chain(row(point, &point.acquisition)).collect()
        })
        .collect()
}

fn day(date: Option<jiff::civil::Date>) -> String {
    date.map_or_else(|| NOT_STATED.into(), |date| date.to_string())
}

pub(super) fn equipment(context: &Context<'_>) -> Vec<Block> {
    let joined = |parts: [&Option<String>; 2]| {
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        stated(Some(&parts.join(" ")))
    };
    let cameras = rows(context, |point, acquired| {
        vec![
            point.modality.clone(),
            joined([&acquired.manufacturer, &acquired.model]),
            stated(acquired.station_name.as_deref()),
            stated(acquired.collimator.as_deref()),
            day(acquired.calibrated_on),
            day(acquired.checked_on),
        ]
    });
    let ct = context.result.voxels.as_ref().and_then(|voxels| voxels.ct.as_ref());
    let ct = match ct {
        None => "none used".into(),
        Some(ct) => format!(
            "station {}, tube voltage {}",
            stated(ct.station_name.as_deref()),
            ct.kvp.map_or_else(|| NOT_STATED.into(), |kvp| format!("{} kV", four_digits(kvp)))
        ),
    };
    vec![
        Block::Table {
            title: "Cameras by time point".into(),
            columns: [
                "Time point",
                "Modality",
                "Maker and model",
                "Station",
                "Collimator",
                "Calibrated on",
                "Quality control on",
            ]
            .map(words)
            .into(),
            rows: cameras,
        },
        facts([
            ("CT", ct),
            ("Well counter", stated(context.result.administration.well_counter.as_deref())),
        ]),
    ]
}

pub(super) fn acquisition(context: &Context<'_>) -> Vec<Block> {
    let rows = rows(context, |point, acquired| {
        let windows: Vec<String> = acquired
            .energy_windows_kev
            .iter()
            .map(|(low, high)| format!("{}–{}", four_digits(*low), four_digits(*high)))
            .collect();
        let matrix = acquired.matrix.map(|(shape, spacing)| {
            let spacing = spacing.map(|mm| format!("{mm:.2}"));
            format!("{} × {} × {} of {} mm", shape[0], shape[1], shape[2], spacing.join(" × "))
        });
        vec![
            context.instant(point.acquired),
            acquired.duration.map_or_else(
                || NOT_STATED.into(),
                |duration| format!("{} s", four_digits(duration.value())),
            ),
            stated(Some(&windows.join(", "))),
            stated(matrix.as_deref()),
            acquired.views.map_or_else(|| NOT_STATED.into(), |views| views.to_string()),
            number(point.field_of_view.map(Becquerel::mbq)),
        ]
    });
    let mut columns: Vec<_> =
        ["Time point", "Begun", "Scan time", "Energy windows, keV", "Matrix", "Views"]
            .map(words)
            .into();
    columns.push(numbers("In the field of view", "MBq"));
    vec![
        Block::Table { title: "Images".into(), columns, rows },
        text(
            "Hours count from the administration to the beginning of the acquisition, and activities are of \
             that instant. Bed or scan speed: not stated.",
        ),
    ]
}

pub(super) fn processing(context: &Context<'_>) -> Vec<Block> {
    let rows = rows(context, |point, acquired| {
        vec![
            stated(acquired.series_description.as_deref()),
            stated(acquired.reconstruction.as_deref()),
            stated(Some(&acquired.corrections.join(", "))),
            point.quantification.clone(),
        ]
    });
    vec![
        Block::Table {
            title: "From stored values to activity".into(),
            columns: [
                "Time point",
                "Series",
                "Reconstruction",
                "Corrections named",
                "How values became Bq/ml",
            ]
            .map(words)
            .into(),
            rows,
        },
        text(
            "Corrections are those that the images name in Corrected Image (0028,0051). Dead time is corrected only \
             where a line above says so, partial volume only where section 6 states a coefficient.",
        ),
    ]
}
