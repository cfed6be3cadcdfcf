//! Absorbed and biologically effective dose of every region, and pictures of both.

use super::{Context, therapy};
use crate::report::number::four_digits;
use crate::report::pdf::picture::{WINDOW_HU, stops};
use crate::report::pdf::sheet::{
    Bar, Block, Chart, Picture, facts, number, numbers, percent, text, words,
};
use crate::report::plot::{label, volume_lines};

/// Histograms in one frame: as many as a reader can tell apart in grey.
const LINES_A_CHART: usize = 4;

/// Name of a picture's file for the template.
pub(in crate::report::pdf) fn picture_file(place: usize) -> String {
    format!("plane-{}.png", place + 1)
}

pub(super) fn dose(context: &Context<'_>) -> Vec<Block> {
    if context.result.regions.is_empty() {
        return vec![text("No region was outlined, so none has a dose.")];
    }
    let engine = &context.result.engine;
    let simulated = engine.histories.map(|n| {
        let u = percent(engine.relative_uncertainty);
        format!("; {n} decays simulated, at most {u} % (k = 1) of a region's mean by their number")
    });
    let energy = engine.energy_per_decay_kev.map_or_else(
        || "in the S values".to_owned(),
        |kev| format!("{} keV placed per decay", four_digits(kev)),
    );
    let mut blocks = vec![
        facts([
            ("Engine", format!("{}: {}", engine.name, engine.chosen_because)),
            ("Energy", format!("{energy}{}", simulated.unwrap_or_default())),
            ("Mass", engine.mass_source.clone()),
            (
                "Software",
                format!("{} {}", context.result.software.name, context.result.software.version),
            ),
        ]),
        absorbed(context),
        text(format!(
            "{} u: relative standard uncertainty of the mean, k = 1, of the sources that are known (section 10). An \
             effective dose is not given: it has no meaning in therapy.",
            match context.result.voxels {
                Some(_) => {
                    "Mean by mass (energy over mass), the rest by volume. D98 is the dose that 98 % of the volume \
                     receives at least."
                }
                None => "Means of organs by S values: nothing is known of the dose within one.",
            }
        )),
    ];
    blocks.extend(therapy::alphas(context));
    blocks.extend(therapy::estimates(context));
    blocks.extend(biology(context));
    blocks.extend(distribution(context));
    blocks.extend(histograms(context));
    blocks.extend(pictures(context));
    blocks
}

fn absorbed(context: &Context<'_>) -> Block {
    let administered_gbq = context.result.administered.mbq() / 1000.0;
    // Doses of organs are means alone.
    let varies = context.result.voxels.is_some();
    let rows = context.regions().map(|(region, numbers)| {
        let spread = numbers.dose.and_then(|dose| dose.spread.as_ref());
        let of = |pick: fn(&crate::report::DoseSpread) -> crate::quantity::Gray| {
            number(spread.map(|spread| pick(spread).value()))
        };
        let mut row = vec![
            region.name.clone(),
            number(numbers.dose.map(|dose| dose.mean.value())),
            percent(numbers.uncertainty),
            number(numbers.dose.map(|dose| dose.mean.value() / administered_gbq)),
        ];
        if varies {
            row.extend([
                of(|d| d.min),
                of(|d| d.d98),
                of(|d| d.d90),
                of(|d| d.d50),
                of(|d| d.d2),
                of(|d| d.max),
                of(|d| d.sd),
            ]);
        }
        row
    });
    let gray = |title| numbers(title, "Gy");
    let mut titles =
        vec![words("Region"), gray("Mean"), numbers("u", "%"), numbers("Mean/A", "Gy/GBq")];
    if varies {
        titles.extend(["Min", "D98", "D90", "D50", "D2", "Max", "SD"].map(gray));
    }
    Block::Table { title: "Absorbed dose".into(), columns: titles, rows: rows.collect() }
}

fn biology(context: &Context<'_>) -> Option<Block> {
    let rows: Vec<Vec<String>> = context
        .regions()
        .filter_map(|(region, numbers)| {
            let bed = numbers.bed?;
            let half_life = numbers.fit.and_then(|fit| fit.effective_half_life);
            Some(vec![
                region.name.clone(),
                number(Some(bed.value.value())),
                number(region.effect.eqd2.map(|gray| gray.value())),
                number(region.effect.mean_of_voxel_bed.map(|gray| gray.value())),
                number(Some(bed.alpha_beta.value())),
                number(Some(bed.repair_half_time.hours())),
                number(half_life.map(|t| t.hours())),
                bed.provenance.clone(),
            ])
        })
        .collect();
    (!rows.is_empty()).then(|| Block::Table {
        title:
            "Biologically effective dose of the mean (linear-quadratic model, falling dose rate)"
                .into(),
        columns: vec![
            words("Region"),
            numbers("BED", "Gy"),
            numbers("EQD2", "Gy"),
            numbers("Mean of voxels' BED", "Gy"),
            numbers("α/β", "Gy"),
            numbers("T_rep", "h"),
            numbers("T_eff", "h"),
            words("Provenance of α/β and T_rep"),
        ],
        rows,
    })
}

/// What was asked for about the whole distribution: equivalent uniform dose, parts of the volume.
fn distribution(context: &Context<'_>) -> Option<Block> {
    let regions: Vec<_> = context.regions().map(|(region, _)| region).collect();
    let asked =
        regions.iter().find(|r| r.effect.eud.is_some() || !r.effect.volumes_at.is_empty())?;
    let mut columns = vec![words("Region"), numbers("EUD", "Gy"), numbers("α of the EUD", "1/Gy")];
    let above =
        |(gray, _): &(crate::quantity::Gray, f64)| numbers(&format!("V({} Gy)", gray.value()), "%");
    columns.extend(asked.effect.volumes_at.iter().map(above));
    let row = |region: &&crate::report::RegionResult| {
        let eud = region.effect.eud;
        let parts = region.effect.volumes_at.iter().map(|(_, part)| percent(Some(*part)));
        let mut row = vec![
            region.name.clone(),
            number(eud.map(|eud| eud.dose.value())),
            number(eud.map(|eud| eud.alpha_per_gy)),
        ];
        row.extend(parts);
        row.resize(columns.len(), number(None));
        row
    };
    let rows = regions.iter().map(row).collect();
    let title =
        "Equivalent uniform dose, and parts of the volume that receive at least a dose".into();
    Some(Block::Table { title, columns, rows })
}

fn histograms(context: &Context<'_>) -> Option<Block> {
    let names = ["absorbed dose, Gy", "volume, %"];
    let charts: Vec<Chart> = volume_lines(&context.json)
        .chunks(LINES_A_CHART)
        .filter_map(|lines| Chart::of("", names, false, lines))
        .collect();
    (!charts.is_empty()).then(|| Block::Charts {
        caption: "Cumulative dose-volume histograms: volume that receives at least that dose."
            .into(),
        per_row: 2,
        charts,
    })
}

fn pictures(context: &Context<'_>) -> Option<Block> {
    let (planes, scale) = (&context.result.voxels.as_ref()?.planes, context.scale.as_ref()?);
    let first = planes.first()?;
    let behind = match first.hu {
        Some(_) => format!("over CT ({} to {} HU)", WINDOW_HU.0, WINDOW_HU.1).replace('-', "−"),
        None => "without a CT".to_owned(),
    };
    let levels: Vec<String> = scale.levels.iter().map(|gy| label(*gy)).collect();
    let picture = |(place, plane): (usize, &crate::report::planes::Plane)| {
        let grid = plane.gy.grid();
        let [_, rows, columns] = grid.shape();
        let pixel = grid.spacing_mm();
        let axis = match plane.view {
            crate::report::planes::View::Axial => "z",
            crate::report::planes::View::Coronal => "y",
            crate::report::planes::View::Sagittal => "x",
        };
        Picture {
            file: picture_file(place),
            title: format!("{}, {axis} = {:.1} mm", plane.view.name(), plane.at_mm),
            borders: plane.view.borders(),
            size_mm: [columns as f64 * pixel[0], rows as f64 * pixel[1]],
        }
    };
    Some(Block::Pictures {
        caption: format!(
            "Absorbed dose {behind} through its highest value in {}, the region of the highest mean. Lines at {} Gy. \
             Patient coordinates (LPS); R, L, A, P, H, F are the patient's sides.",
            first.region,
            levels.join(", ")
        ),
        pictures: planes.iter().enumerate().map(picture).collect(),
        bar: Bar {
            stops: stops(),
            ticks: scale.levels.iter().map(|gy| (gy / scale.top, label(*gy))).collect(),
        },
    })
}
