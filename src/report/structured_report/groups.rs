//! Measurement groups (TID 1411 with TID 1502, 1419, 4019).

use super::super::anatomy::codes_of;
use super::super::regions::RegionNumbers;
use super::super::seg::tracking_uid;
use super::super::{
    Bed, CycleResult, DoseSpread, DoseStatistics, Effect, Identity, Kind, RegionResult,
    ReportOptions, TherapyEstimate,
};
use super::concepts as c;
use crate::biology::effect::MixedDose;
use crate::dicom::write::Code;
use crate::dicom::write::content::{Item, Relationship};
use crate::kinetics::Fit;
use crate::quantity::{Gray, Warning};
use Relationship::{Contains, HasConceptMod, HasObsContext, HasProperties, InferredFrom};

/// All groups: per region the numbers of the cycle, then its activity at each time point.
pub(super) fn measurement_groups(
    result: &CycleResult,
    options: &ReportOptions,
    identity: &Identity,
) -> Vec<Item> {
    let mut groups = Vec::new();
    for region in &result.regions {
        let numbers = RegionNumbers::of(region);
        groups.push(cycle_group(result, identity, region, &numbers));
        for (place, activity) in numbers.activity_mbq.iter().enumerate() {
            let measured = Item::number(&c::ACTIVITY, *activity, &c::MEGABECQUEREL);
            groups.extend(measured.map(|activity| {
                let context = time_point(result, options, place);
                opened(result, identity, region, context).child(Contains, activity)
            }));
        }
    }
    groups
}

/// A number for a sentence: six significant digits.
pub(super) fn rounded(value: f64) -> String {
    if !value.is_finite() {
        return "an unknown number of".into();
    }
    let digits = 5 - value.abs().max(1e-9).log10().floor() as i32;
    let scale = 10f64.powi(digits.clamp(0, 9));
    format!("{}", (value * scale).round() / scale)
}

pub(super) fn warning(warning: &Warning) -> Item {
    Item::text(&c::WARNING, &format!("{}: {}", warning.code, warning.text))
}

/// What every group of a region begins with: who, what, where, by which program.
fn opened(
    result: &CycleResult,
    identity: &Identity,
    region: &RegionResult,
    time_point: Vec<Item>,
) -> Item {
    let codes = codes_of(&region.name, region.anatomy.as_deref());
    let site = Item::code(&c::FINDING_SITE, &codes.property);
    let site = match &codes.laterality {
        Some(side) => site.child(HasConceptMod, Item::code(&c::LATERALITY, side)),
        None => site,
    };
    // Without voxels there is no segment of this result to name: TID 1501 asks for none.
    let template = if result.voxels.is_some() { "1411" } else { "1501" };
    let segment = result.voxels.as_ref().map(|_| {
        let segmentation = identity.reference(Kind::Segmentation);
        Item::image(Some(&c::REFERENCED_SEGMENT), &segmentation, Some(region.number))
    });
    let source = segment.as_ref().map(|_| Item::uid(&c::SOURCE_SERIES, &result.reference_series));
    let software = &result.software;
    let parameters = format!("sha256 {}", software.parameters_sha256);
    let made = region
        .made
        .as_ref()
        .map(|made| Item::text(&c::ALGORITHM_PARAMETERS, &format!("region: {}", made.description)));
    Item::container(&c::MEASUREMENT_GROUP, Some(template))
        .child(HasObsContext, Item::text(&c::ACTIVITY_SESSION, &format!("Cycle {}", result.cycle)))
        .child(HasObsContext, Item::text(&c::TRACKING_IDENTIFIER, &region.name))
        .child(HasObsContext, Item::uid(&c::TRACKING_UID, &tracking_uid(result, region)))
        .child(Contains, Item::code(&c::FINDING_CATEGORY, &codes.category))
        .child(Contains, Item::code(&c::FINDING, &codes.property))
        .children(HasObsContext, time_point)
        .children(Contains, segment)
        .children(Contains, source)
        .child(HasConceptMod, site)
        .child(HasConceptMod, Item::text(&c::ALGORITHM_NAME, software.name))
        .child(HasConceptMod, Item::text(&c::ALGORITHM_VERSION, software.version))
        .child(HasConceptMod, Item::text(&c::ALGORITHM_PARAMETERS, &parameters))
        .children(HasConceptMod, made)
}

fn cycle_group(
    result: &CycleResult,
    identity: &Identity,
    region: &RegionResult,
    numbers: &RegionNumbers,
) -> Item {
    let volume = Item::number(&c::VOLUME, numbers.volume_ml, &c::CUBIC_CENTIMETRE)
        .map(|item| item.child(HasConceptMod, Item::code(&c::METHOD, &c::SEGMENTED_VOXELS)));
    let relative = numbers.uncertainty.map(|u| u * 100.0);
    let group = opened(result, identity, region, Vec::new())
        .children(Contains, dose_items(numbers.dose, result.administered.mbq()))
        .children(Contains, volume)
        .children(Contains, Item::number(&c::MASS, numbers.mass_g, &c::GRAM))
        .children(Contains, kinetic_items(numbers, result.administered.mbq()))
        .children(Contains, region.alpha.iter().flat_map(alpha_items))
        .children(Contains, region.therapy.as_ref().and_then(therapy_item))
        .children(Contains, numbers.bed.and_then(bed_item))
        .children(Contains, effect_items(&region.effect))
        .children(Contains, Item::number(&c::UNCERTAINTY, relative, &c::PERCENT))
        .children(Contains, contributions(region));
    let unknown = region.uncertainty_budget.iter().flat_map(|budget| &budget.unknown);
    let unknown = unknown.map(|source| Item::text(&c::UNCERTAINTY_UNKNOWN, source));
    let group = group.children(Contains, unknown);
    let texts = numbers.fit.map(fit_text).into_iter();
    let bias = numbers.fit.and_then(|fit| fit.bias.as_ref());
    let texts = texts.chain(bias.map(|bias| Item::text(&c::KINETIC_BIAS, &bias.statement)));
    let texts = texts.chain(region.recovery.map(recovery_text));
    let texts = texts.chain(numbers.bed.map(|bed| Item::text(&c::BIOLOGY_SOURCE, &bed.provenance)));
    let warnings = numbers.warnings.iter().cloned().chain(numbers.missing());
    group.children(Contains, texts).children(Contains, warnings.map(|w| warning(&w)))
}

/// Who contributes how much to the uncertainty of the mean dose, each named.
fn contributions(region: &RegionResult) -> Vec<Item> {
    let parts = region.uncertainty_budget.iter().flat_map(|budget| &budget.contributions);
    let item = |part: &crate::uncertainty::Contribution| {
        let percent = Some(100.0 * part.absorbed_dose.abs());
        let source = Item::text(&c::UNCERTAINTY_SOURCE, part.source);
        let item = Item::number(&c::UNCERTAINTY_PART, percent, &c::PERCENT)?;
        Some(item.child(HasConceptMod, source))
    };
    parts.filter_map(item).collect()
}

/// TID 1502: which time point a group belongs to.
fn time_point(result: &CycleResult, options: &ReportOptions, place: usize) -> Vec<Item> {
    let label = match result.time_points.get(place) {
        Some(point) => {
            let at = super::super::modules::local(point.acquired, options);
            let hours = rounded(point.after_administration.hours());
            format!("{hours} h after administration, {}", at.strftime("%Y-%m-%d %H:%M:%S %:z"))
        }
        None => format!("time point {}", place + 1),
    };
    let order = Item::number(&c::TIME_POINT_ORDER, Some((place + 1) as f64), &c::UNITY);
    [Item::text(&c::TIME_POINT, &label)].into_iter().chain(order).collect()
}

/// Absorbed dose: mean by mass, the others by volume.
fn dose_items(dose: Option<&DoseStatistics>, administered_mbq: f64) -> Vec<Item> {
    let mean = dose.map(|dose| dose.mean.value());
    let spread = dose.and_then(|dose| dose.spread.as_ref());
    let value = |pick: fn(&DoseSpread) -> Gray| spread.map(|spread| pick(spread).value());
    let derived = |derivation: &'static Code, number: Option<f64>| {
        Item::number(&c::ABSORBED_DOSE, number, &c::GRAY)
            .map(|item| item.child(HasConceptMod, Item::code(&c::DERIVATION, derivation)))
    };
    let at_volume = |concept: &'static Code, percent: f64, number: Option<f64>| {
        let part = Item::number(&c::VOLUME_PERCENTAGE, Some(percent), &c::PERCENT);
        Item::number(concept, number, &c::GRAY).map(|item| item.children(InferredFrom, part))
    };
    let per_gbq = mean.map(|mean| mean / administered_mbq * 1e3);
    let items = [
        derived(&c::MEAN, mean),
        derived(&c::MINIMUM, value(|d| d.min)),
        derived(&c::MAXIMUM, value(|d| d.max)),
        derived(&c::MEDIAN, value(|d| d.median)),
        derived(&c::STANDARD_DEVIATION, value(|d| d.sd)),
        at_volume(&c::D98, 98.0, value(|d| d.d98)),
        at_volume(&c::D95, 95.0, value(|d| d.d95)),
        at_volume(&c::D90, 90.0, value(|d| d.d90)),
        at_volume(&c::D50, 50.0, value(|d| d.d50)),
        at_volume(&c::D2, 2.0, value(|d| d.d2)),
        Item::number(&c::DOSE_PER_ACTIVITY, per_gbq, &c::GRAY_PER_GBQ),
    ];
    items.into_iter().flatten().collect()
}

fn kinetic_items(numbers: &RegionNumbers, administered_mbq: f64) -> Vec<Item> {
    let fit = numbers.fit;
    let half_life = fit.and_then(|f| f.effective_half_life).map(|t| t.hours());
    let integral = fit.map(|f| f.time_integrated_activity.mbq_h());
    let items = [
        Item::number(&c::TIA, integral, &c::MEGABECQUEREL_HOUR),
        Item::number(&c::TIAC, numbers.tiac_h(administered_mbq), &c::HOUR),
        Item::number(&c::EFFECTIVE_HALF_LIFE, half_life, &c::HOUR),
    ];
    items.into_iter().flatten().collect()
}

/// The curve in words: A(t) = sum of amplitude times exp(-rate t).
fn fit_text(fit: &Fit) -> Item {
    let term = |t: &crate::kinetics::Exponential| {
        let rate = t.rate.value() * 3600.0;
        format!("{} MBq exp(-{} t/h)", rounded(t.amplitude.mbq()), rounded(rate))
    };
    let terms: Vec<String> = fit.terms.iter().map(term).collect();
    let tail = rounded(fit.extrapolated_fraction * 100.0);
    let text = format!(
        "{}: A(t) = {}; {tail} % of the integral after the last point",
        fit.model,
        terms.join(" + ")
    );
    Item::text(&c::KINETIC_MODEL, &text)
}

/// What the activities were divided by.
fn recovery_text(recovered: crate::quantify::Recovered) -> Item {
    let known = recovered.relative_uncertainty.map_or("unknown uncertainty".into(), |u| {
        format!("relative standard uncertainty {} %", rounded(100.0 * u))
    });
    let coefficient = rounded(recovered.coefficient);
    Item::text(&c::RECOVERY, &format!("activities divided by {coefficient}; {known}"))
}

/// Alphas apart from the rest, and both together by every stated effectiveness.
fn alpha_items(dose: &MixedDose) -> Vec<Item> {
    let gray = |concept, gray: Gray| Item::number(concept, Some(gray.value()), &c::GRAY);
    let parts = [gray(&c::ALPHA_DOSE, dose.alpha), gray(&c::ELECTRON_DOSE, dose.electron)];
    let weighted = dose.by_rbe().map(|(rbe, weighted)| {
        let by = Item::number(&c::RBE, Some(rbe), &c::UNITY);
        Some(gray(&c::WEIGHTED_DOSE, weighted)?.children(InferredFrom, by))
    });
    parts.into_iter().chain(weighted).flatten().collect()
}

fn effect_items(effect: &Effect) -> Vec<Item> {
    let gray = |concept, gray: Option<Gray>| {
        Item::number(concept, gray.map(|gray| gray.value()), &c::GRAY)
    };
    let eud = effect.eud.and_then(|eud| {
        let alpha = Item::number(&c::EUD_ALPHA, Some(eud.alpha_per_gy), &c::PER_GRAY);
        Some(gray(&c::EUD, Some(eud.dose))?.children(InferredFrom, alpha))
    });
    let parts =
        [gray(&c::EQD2, effect.eqd2), eud, gray(&c::MEAN_VOXEL_BED, effect.mean_of_voxel_bed)];
    let volumes = effect.volumes_at.iter().map(|(dose, part)| {
        let item = Item::number(&c::VOLUME_AT, Some(100.0 * part), &c::PERCENT)?;
        Some(item.children(InferredFrom, gray(&c::AT_DOSE, Some(*dose))))
    });
    parts.into_iter().chain(volumes).flatten().collect()
}

fn therapy_item(therapy: &TherapyEstimate) -> Option<Item> {
    let per_gbq = Some(therapy.dose_per_gbq.value());
    let item = Item::number(&c::THERAPY_DOSE, per_gbq, &c::GRAY_PER_GBQ)?;
    let relative = therapy.relative_uncertainty.map(|u| 100.0 * u);
    Some(
        item.child(HasConceptMod, Item::text(&c::THERAPY, &therapy.radiopharmaceutical))
            .children(HasProperties, Item::number(&c::UNCERTAINTY, relative, &c::PERCENT)),
    )
}

fn bed_item(bed: &Bed) -> Option<Item> {
    let item = Item::number(&c::BED, Some(bed.value.value()), &c::GRAY)?;
    let ratio = Item::number(&c::ALPHA_BETA, Some(bed.alpha_beta.value()), &c::GRAY);
    let repair = Item::number(&c::REPAIR_HALF_TIME, Some(bed.repair_half_time.hours()), &c::HOUR);
    Some(
        item.child(HasConceptMod, Item::code(&c::METHOD, &c::LQ_LOW_DOSE_RATE))
            .children(InferredFrom, ratio)
            .children(InferredFrom, repair),
    )
}
