//! Regions with their masses, and the curves through their activities.

use super::Context;
use crate::kinetics::{CONSTANTS, Fit};
use crate::report::RegionResult;
use crate::report::number::four_digits;
use crate::report::pdf::sheet::{
    ABSENT, Block, Chart, Column, hours, number, numbers, percent, stated, text, words,
};
use crate::report::plot::activity_lines;

/// Time points side by side in one table.
const POINTS_ACROSS: usize = 8;

pub(super) fn regions(context: &Context<'_>) -> Vec<Block> {
    let result = context.result;
    if result.regions.is_empty() {
        return vec![text("No region was outlined: the rule reads counts of the whole body.")];
    }
    let rows = context.regions().map(|(region, numbers)| {
        vec![
            region.name.clone(),
            stated(region.anatomy.as_deref()),
            source(context, region),
            number(numbers.volume_ml),
            number(numbers.mass_g),
        ]
    });
    let mut blocks = vec![
        Block::Table {
            title: "Volumes and masses".into(),
            columns: vec![
                words("Region"),
                words("Anatomy"),
                words("Outline"),
                numbers("Volume", "mL"),
                numbers("Mass", "g"),
            ],
            rows: rows.collect(),
        },
        text(format!(
            "{} from {}. Who drew a region and how: not stated.",
            if result.voxels.is_some() { "Mass of voxels" } else { "Masses" },
            result.engine.mass_source
        )),
    ];
    let registered = result.registrations.iter().map(|space| {
        let frame = space.moving_frame.as_ref().map_or("images without one", |uid| uid.as_str());
        format!(
            "{} images in frame of reference {frame}: {} registration made here, {} {:.3}, overlap {:.2}{}",
            space.images,
            space.motion.name(),
            space.metric,
            space.score,
            space.overlap,
            space.motion.jacobian()
        )
    });
    let items: Vec<String> = registered.collect();
    if items.is_empty() {
        blocks.push(text(
            "Registration: none was computed; time points were joined by their frames of reference and \
             received registration objects.",
        ));
    } else {
        blocks.push(Block::List { items });
    }
    blocks
}

fn source(context: &Context<'_>, region: &RegionResult) -> String {
    if region.name == crate::report::REMAINDER {
        return "what no region holds".into();
    }
    if let Some(made) = &region.made {
        return format!("made here: {}", made.description);
    }
    let set = context.result.voxels.as_ref().and_then(|voxels| voxels.structure_set.as_ref());
    let roi =
        set.and_then(|set| set.roi_numbers.iter().find(|(number, _)| *number == region.number));
    match roi {
        Some((_, roi)) => format!("RT Structure Set, ROI {roi}"),
        None => "segmentation or structure set among the inputs".into(),
    }
}

pub(super) fn kinetics(context: &Context<'_>) -> Vec<Block> {
    let counts = super::counts::counts(context);
    if context.result.regions.is_empty() {
        return counts.into_iter().collect();
    }
    let mut blocks = activities(context);
    blocks.push(text(format!(
        "Each activity enters the fit with a relative standard uncertainty (k = 1) of {}; error bars show it.",
        stated_uncertainties(context)
    )));
    blocks.push(models(context));
    blocks.push(text(format!(
        "A(t) = Σ a·exp(−ln 2 · t/T), t from the administration; T are effective half-lives. RC: recovery coefficient \
         that activities were divided by. TIA: time-integrated \
         activity; TIAC: the same per administered activity; u: relative standard uncertainty, k = 1, of the \
         integral by the fit alone. “Before” and “after” are the parts of the integral before the first and after \
         the last point; ▲ marks more than {:.0} % after it.",
        100.0 * CONSTANTS.extrapolated_fraction_warn.value
    )));
    blocks.extend(biases(context));
    blocks.extend(ranks(context));
    blocks.extend(curves(context));
    blocks.extend(counts);
    blocks
}

/// The one that all activities have, or the least and the largest.
fn stated_uncertainties(context: &Context<'_>) -> String {
    let regions = context.result.regions.iter();
    let stated: Vec<f64> = regions
        .flat_map(|region| region.activity.iter().flatten())
        .filter_map(|activity| activity.relative_uncertainty)
        .collect();
    let least = stated.iter().copied().reduce(f64::min).map(|u| percent(Some(u)));
    let most = stated.iter().copied().reduce(f64::max).map(|u| percent(Some(u)));
    match (least, most) {
        (Some(least), Some(most)) if least != most => format!("{least} to {most} %"),
        (Some(one), _) => format!("{one} %"),
        (None, _) => "unknown size".into(),
    }
}

/// Activities of all regions, some time points to a table.
fn activities(context: &Context<'_>) -> Vec<Block> {
    let points = &context.result.time_points;
    let tables = points.chunks(POINTS_ACROSS).enumerate().map(|(n, part)| {
        let first = n * POINTS_ACROSS;
        let hours = part.iter().map(|point| {
            let hours = hours(point.after_administration.hours());
            numbers(&format!("{hours} h"), "MBq")
        });
        let rows = context.regions().map(|(region, numbers)| {
            let values = (first..first + part.len())
                .map(|place| number(numbers.activity_mbq.get(place).copied().flatten()));
            std::iter::once(region.name.clone()).chain(values).collect()
        });
        Block::Table {
            title: "Activity in each region".into(),
            columns: std::iter::once(words("Region")).chain(hours).collect(),
            rows: rows.collect(),
        }
    });
    tables.collect()
}

fn models(context: &Context<'_>) -> Block {
    let administered = context.result.administered.mbq();
    let rows = context.regions().map(|(region, numbers)| {
        let fit = numbers.fit;
        let of = |value: fn(&Fit) -> f64| fit.map(value);
        let after = of(|fit| fit.extrapolated_fraction);
        let much = after.is_some_and(|part| part > CONSTANTS.extrapolated_fraction_warn.value);
        vec![
            region.name.clone(),
            number(region.recovery.map(|recovery| recovery.coefficient)),
            fit.map_or_else(|| ABSENT.into(), |fit| fit.model.to_owned()),
            fit.map_or_else(|| ABSENT.into(), terms),
            number(fit.and_then(|fit| fit.effective_half_life).map(|t| t.hours())),
            number(of(|fit| fit.time_integrated_activity.mbq_h())),
            number(numbers.tiac_h(administered)),
            percent(fit.and_then(|fit| fit.relative_uncertainty)),
            percent(of(|fit| fit.interpolated_fraction)),
            format!("{}{}", if much { "▲ " } else { "" }, percent(after)),
        ]
    });
    Block::Table {
        title: "Fitted curves".into(),
        columns: vec![
            words("Region"),
            numbers("RC", ""),
            words("Model"),
            Column { unit: "MBq; h".into(), ..words("a; T of each term") },
            numbers("T_eff", "h"),
            numbers("TIA", "MBq·h"),
            numbers("TIAC", "h"),
            numbers("u", "%"),
            numbers("Before", "%"),
            numbers("After", "%"),
        ],
        rows: rows.collect(),
    }
}

fn terms(fit: &Fit) -> String {
    let term = |term: &crate::kinetics::Exponential| {
        let half_life_h = std::f64::consts::LN_2 / (term.rate.value() * 3600.0);
        let half_life = match half_life_h.is_finite() {
            true => four_digits(half_life_h),
            false => "∞".into(),
        };
        format!("{}; {half_life}", four_digits(term.amplitude.mbq()))
    };
    match fit.terms.is_empty() {
        true => "no formula".into(),
        false => fit.terms.iter().map(term).collect::<Vec<_>>().join(" / "),
    }
}

/// Sign and size of what a method with an assumption may be off by.
fn biases(context: &Context<'_>) -> Vec<Block> {
    let of = |(region, numbers): (&RegionResult, crate::report::regions::RegionNumbers<'_>)| {
        let bias = numbers.fit?.bias.as_ref()?;
        Some(format!("{}: {}", region.name, bias.statement))
    };
    let items: Vec<String> = context.regions().filter_map(of).collect();
    match items.is_empty() {
        true => Vec::new(),
        false => vec![
            text(
                "What a half-life from elsewhere, or another assumption of the method, may do to the integral:",
            ),
            Block::List { items },
        ],
    }
}

/// Models that were tried, where there was a choice.
fn ranks(context: &Context<'_>) -> Option<Block> {
    let rows: Vec<Vec<String>> = context
        .regions()
        .filter_map(|(region, numbers)| Some((region, numbers.fit?)))
        .filter(|(_, fit)| !fit.candidates.is_empty())
        .map(|(region, fit)| {
            let mut ranked: Vec<_> = fit.candidates.iter().collect();
            ranked.sort_by(|a, b| b.weight.total_cmp(&a.weight));
            let candidate = |c: &&crate::kinetics::Candidate| {
                format!("{} {} ({} %)", c.model, number(Some(c.aicc)), percent(Some(c.weight)))
            };
            let known = fit.checks.as_ref().map_or(ABSENT, |checks| {
                match checks.uncertainty_passed && checks.correlation_passed {
                    true => "yes",
                    false => "no",
                }
            });
            let all = ranked.iter().map(candidate).collect::<Vec<_>>().join("; ");
            vec![region.name.clone(), all, known.into()]
        })
        .collect();
    (!rows.is_empty()).then(|| Block::Table {
        title: "Models by corrected Akaike criterion (weight)".into(),
        columns: vec![words("Region"), words("Models, best first"), words("Parameters known")],
        rows,
    })
}

fn curves(context: &Context<'_>) -> Option<Block> {
    let lines = activity_lines(&context.json);
    let names = ["hours after administration", "MBq"];
    let charts: Vec<Chart> = lines
        .iter()
        .filter_map(|line| {
            let alone = std::slice::from_ref(line);
            Chart::of(&line.name, names, true, alone)
        })
        .collect();
    (!charts.is_empty()).then(|| Block::Charts {
        caption: "Activity in each region over time: marks are measured, lines are as fitted."
            .into(),
        per_row: 3,
        charts,
    })
}
