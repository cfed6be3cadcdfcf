//! Counts of the whole body by views, which some rules prescribe by.

use super::Context;
use crate::config::plan::WholeBodyCount;
use crate::prescribe::geometric_mean;
use crate::report::pdf::sheet::{Block, hours, number, numbers, percent};

/// None where no view scanned the whole body.
pub(super) fn counts(context: &Context<'_>) -> Option<Block> {
    let counts = &context.result.whole_body_counts;
    let net = |count: &WholeBodyCount| {
        let anterior = count.anterior - count.anterior_background;
        let posterior = count.posterior - count.posterior_background;
        geometric_mean(anterior, posterior).ok()
    };
    let first = net(counts.first()?);
    let row = |count: &WholeBodyCount| {
        vec![
            hours(count.hours),
            number(Some(count.anterior)),
            number(Some(count.posterior)),
            number(net(count)),
            percent(net(count).zip(first).map(|(net, first)| net / first)),
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
