//! Counts of the whole body by views, which some rules prescribe by.

use super::Context;
use crate::report::pdf::sheet::{Block, hours, number, numbers, percent};

/// None where no view scanned the whole body.
pub(super) fn counts(context: &Context<'_>) -> Option<Block> {
    let counts = &context.result.whole_body_counts;
    let net = |count: &crate::config::plan::WholeBodyCount| {
        let anterior = count.anterior - count.anterior_background;
        let posterior = count.posterior - count.posterior_background;
        (anterior * posterior).sqrt()
    };
    let first = net(counts.first()?);
    let row = |count: &crate::config::plan::WholeBodyCount| {
        vec![
            hours(count.hours),
            number(Some(count.anterior)),
            number(Some(count.posterior)),
            number(Some(net(count))),
            percent(Some(net(count) / first)),
        ]
    };
    Some(Block::Table {
        title: "Counts of the whole body by views".into(),
        columns: vec![
            numbers("After administration", "h"),
            numbers("Anterior", "cps"),
            numbers("Posterior", "cps"),
            numbers("Geometric mean", "cps"),
            numbers("Of the first", "%"),
        ],
        rows: counts.iter().map(row).collect(),
    })
}
