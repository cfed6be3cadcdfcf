//! Doses that are more than one number: of alphas apart from the rest, and of a tracer's therapy.

use super::Context;
use crate::biology::effect::MixedDose;
use crate::report::pdf::sheet::{Block, number, numbers, percent, text, words};

/// What alphas deposited, what the rest, and both together by every stated effectiveness.
pub(super) fn alphas(context: &Context<'_>) -> Option<Block> {
    let regions = context.regions();
    let rows: Vec<(String, &MixedDose)> = regions
        .filter_map(|(region, _)| Some((region.name.clone(), region.alpha.as_ref()?)))
        .collect();
    table("Absorbed dose by what deposited it, and weighted", "Gy", rows)
}

fn table(title: &str, unit: &'static str, rows: Vec<(String, &MixedDose)>) -> Option<Block> {
    let rbes: Vec<f64> = rows.first()?.1.by_rbe().map(|(rbe, _)| rbe).collect();
    let mut columns = vec![words("Region"), numbers("Alphas", unit), numbers("Electrons", unit)];
    columns.extend(rbes.iter().map(|rbe| numbers(&format!("RBE {rbe}"), unit)));
    let row = |(name, dose): (String, &MixedDose)| {
        let parts = [dose.alpha, dose.electron].into_iter();
        let doses = parts.chain(dose.by_rbe().map(|(_, gray)| gray));
        std::iter::once(name).chain(doses.map(|gray| number(Some(gray.value())))).collect()
    };
    Some(Block::Table { title: title.into(), columns, rows: rows.into_iter().map(row).collect() })
}

/// Dose per activity of the therapy that a tracer stands for.
pub(super) fn estimates(context: &Context<'_>) -> Vec<Block> {
    let of = context.regions().filter_map(|(region, _)| Some((region, region.therapy.as_ref()?)));
    let of: Vec<_> = of.collect();
    let Some((_, first)) = of.first() else { return Vec::new() };
    let rows = of.iter().map(|(region, therapy)| {
        vec![
            region.name.clone(),
            number(Some(therapy.dose_per_gbq.value())),
            percent(therapy.relative_uncertainty),
            number(Some(therapy.residence.hours())),
        ]
    });
    let mut blocks = vec![
        Block::Table {
            title: format!("{} by these images", first.radiopharmaceutical),
            columns: vec![
                words("Region"),
                numbers("Dose/A", "Gy/GBq"),
                numbers("u", "%"),
                numbers("Residence", "h"),
            ],
            rows: rows.collect(),
        },
        text(format!("Of the therapy, before it is given: {}.", first.method)),
    ];
    let alphas = of.iter();
    let alphas = alphas.filter_map(|(r, t)| Some((r.name.clone(), t.alpha.as_ref()?))).collect();
    blocks.extend(table("The same by what deposits it, and weighted", "Gy/GBq", alphas));
    blocks
}
