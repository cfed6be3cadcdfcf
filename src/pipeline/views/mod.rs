//! A cycle that was imaged by planar views alone, without a CT: activities of outlined regions by the
//! conjugate view, doses of organs by S values, and counts of the whole body for the rules that read them.
//!
//! No voxel has a dose here, so there is no map, no segmentation and no histogram: the result holds means.
//! With a CT, `planar` unmixes the views over it and everything goes on as with a SPECT.

mod attenuation;
mod organ;
mod scan;

use super::curves::{Parts, Points};
use super::inputs::Inputs;
use super::{PipelineError, Request, planar, result};
use crate::config::Rule;
use crate::dicom::read::{Code, Planar};
use crate::kinetics::{CurvePoint, Fit};
use crate::quantify::CONSTANTS;
use crate::quantify::planar::covers_body;
use crate::quantity::{Becquerel, Measured, Warning};
use crate::report::{CycleResult, DoseStatistics, EngineReport, RegionResult};
use crate::uncertainty::{self, FIT};
use crate::volume::Occupancy;
use scan::Seen;

/// Is there nothing but views, and no CT to unmix them over?
pub fn are_alone(inputs: &Inputs) -> bool {
    inputs.emissions.is_empty() && !inputs.planar.is_empty() && inputs.cts.is_empty()
}

/// The whole result of such a cycle, but for the course.
///
/// # Errors
/// What a scan, an outline or the plan lacks parks the job.
pub fn result(inputs: &Inputs, request: &Request) -> Result<CycleResult, PipelineError> {
    planar::check_taken(request)?;
    let mut scans: Vec<&Planar> = inputs.planar.iter().collect();
    scans.sort_by_key(|scan| (scan.acquired, scan.series.clone()));
    let seen = scans
        .iter()
        .map(|scan| scan::see(inputs, scan, request))
        .collect::<Result<Vec<Seen>, _>>()?;
    scan::check_distinct(&seen)?;
    let names = names(&seen);
    let rule = request.plan.parameters.prescription.rule();
    if names.is_empty() && !rule.is_some_and(Rule::takes_whole_body_counts_alone) {
        return Err(PipelineError::Parked(
            "the views have neither a CT nor outlined regions, and the protocol's rule does not read counts of \
             the whole body; send a SEG drawn on the views, or the CT of the course with its regions"
                .into(),
        ));
    }
    let doses = organ::Doses::new(inputs, request);
    let mut regions = Vec::new();
    for (name, anatomy) in &names {
        let number = regions.len() as u16 + 1;
        regions.push(region(number, name, anatomy.as_ref(), &seen, &doses, request)?);
    }
    organ::warn_of_cross_fire(&doses, &mut regions);
    let mut warnings = request.notes.clone();
    warnings.extend(seen.iter().flat_map(|seen| seen.warnings.iter().cloned()));
    warnings
        .extend(seen.iter().any(|s| s.counts.is_some()).then(|| counts_warning(request)).flatten());
    if !regions.is_empty() {
        warnings.push(no_map_warning());
        warnings.extend((!inputs.transmissions.is_empty()).then(transmission_warning));
    }
    let engine = EngineReport {
        name: organ::ENGINE,
        chosen_because: format!(
            "all images are planar views without a CT; S values of {}",
            request.plan.parameters.biology.s_values_source()
        ),
        mass_source: doses.masses.into(),
        energy_per_decay_kev: None,
        histories: None,
        relative_uncertainty: None,
    };
    let facts = &request.plan.patient_facts;
    let more = serde_json::json!({
        "masses": request.plan.measured.masses, "sex": facts.sex, "weight_kg": facts.weight_kg,
    });
    let begun = result::begun(request, inputs, scans[0], engine, Some(more))?;
    Ok(CycleResult {
        whole_body_counts: seen.iter().filter_map(|seen| seen.counts).collect(),
        time_points: seen.into_iter().map(|seen| seen.point).collect(),
        regions,
        warnings: result::once_each(request, warnings),
        ..begun
    })
}

/// Every region's name with its anatomy, in the order in which they were first outlined.
fn names(seen: &[Seen]) -> Vec<(String, Option<Code>)> {
    let mut names: Vec<(String, Option<Code>)> = Vec::new();
    for region in seen.iter().flat_map(|seen| &seen.regions) {
        if !names.iter().any(|(name, _)| *name == region.name) {
            names.push((region.name.clone(), region.anatomy.clone()));
        }
    }
    names
}

fn region(
    number: u16,
    name: &str,
    anatomy: Option<&Code>,
    seen: &[Seen],
    doses: &organ::Doses<'_>,
    request: &Request,
) -> Result<RegionResult, PipelineError> {
    let found: Vec<Option<&scan::SeenRegion>> =
        seen.iter().map(|seen| seen.regions.iter().find(|region| region.name == name)).collect();
    let mut warnings = Vec::new();
    let missing: Vec<String> = seen
        .iter()
        .zip(&found)
        .filter(|(_, region)| region.is_none())
        .map(|(seen, _)| format!("{:.1} h", seen.point.after_administration.hours()))
        .collect();
    if !missing.is_empty() {
        warnings.push(Warning::new(
            "views-not-outlined",
            format!(
                "region {name} is not outlined on the views at {}, which are no points of its curve",
                missing.join(", ")
            ),
        ));
    }
    let assumed = request.plan.parameters.kinetics.relative_sigma.value;
    let activity: Vec<Option<Measured<Becquerel>>> = found
        .iter()
        .map(|region| {
            let activity = region.as_ref()?.activity;
            let counting = activity.relative_uncertainty.unwrap_or(0.0);
            Some(Measured { relative_uncertainty: Some(assumed.hypot(counting)), ..activity })
        })
        .collect();
    let fit = fit(name, seen, &activity, request, &mut warnings)?;
    let mass = doses.mass(name, &mut warnings);
    let dose = match (&fit, &mass) {
        (Some(fit), Some(mass)) => doses.of(name, mass, fit, &mut warnings),
        _ => None,
    };
    let anatomy_name = anatomy.map(|code| code.meaning.as_str());
    let bed = match (&dose, &fit) {
        (Some(dose), Some(fit)) if request.plan.parameters.biology.bed => {
            let whose = super::bed::Whose { name, anatomy: anatomy_name };
            super::bed::bed(&whose, *dose, fit, request, &mut warnings)
        }
        _ => None,
    };
    let systematic = |of: &dyn Fn(&scan::SeenRegion) -> Option<f64>| {
        let all: Vec<Option<f64>> = found.iter().flatten().map(|region| of(region)).collect();
        let known = all.iter().all(Option::is_some);
        known.then(|| all.into_iter().flatten().fold(0.0, f64::max))
    };
    let calibration = systematic(&|region| region.calibration);
    let attenuation = systematic(&|region| region.attenuation);
    let of_fit = fit.as_ref().and_then(|fit| fit.relative_uncertainty);
    let of_mass = mass.as_ref().map(|mass| mass.relative_uncertainty.map(|u| [0.0, -u]));
    let mut sources = vec![
        ("calibration", calibration.map(|u| [-u, -u])),
        ("attenuation", attenuation.map(|u| [u, u])),
        ("outlines", Some([of_outlines(name); 2])),
        (FIT, of_fit.map(|u| [u, u])),
    ];
    sources.extend(of_mass.map(|effects| ("mass", effects)));
    let budget = uncertainty::joined(&sources);
    if fit.is_some() {
        warnings.extend(unknown_sources(&budget.unknown));
    }
    Ok(RegionResult {
        name: name.to_owned(),
        number,
        anatomy: anatomy_name.map(str::to_owned),
        made: None,
        occupancy: Occupancy::default(),
        volume: None,
        mass: mass.map(|mass| mass.value),
        activity,
        recovery: None,
        uncertainty: budget.absorbed_dose.filter(|_| dose.is_some()),
        uncertainty_budget: fit.is_some().then_some(budget),
        fit,
        dose: dose.map(|mean| DoseStatistics { mean, spread: None }),
        alpha: None,
        therapy: None,
        bed,
        effect: Default::default(),
        warnings,
    })
}

/// The curve through the points that there are; none without activity.
fn fit(
    name: &str,
    seen: &[Seen],
    activity: &[Option<Measured<Becquerel>>],
    request: &Request,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Fit>, PipelineError> {
    let points: Vec<CurvePoint> = seen
        .iter()
        .zip(activity)
        .filter_map(|(seen, activity)| {
            let activity = activity.as_ref()?;
            Some(CurvePoint {
                time: seen.point.after_administration,
                activity: activity.value,
                relative_uncertainty: activity.relative_uncertainty,
            })
        })
        .collect();
    if points.iter().all(|point| point.activity.value() <= 0.0) {
        let text = format!("region {name} holds no activity in any view");
        warnings.push(Warning::new("region-without-activity", text));
        return Ok(None);
    }
    let physical = request.nuclide().decay()?.half_life.half_life_to_rate();
    let points = Points { region: name, within: None, points, physical, request };
    let (fit, _) = points.fit(&Parts::One, warnings)?;
    Ok(Some(fit))
}

/// What neither counting nor attenuation tell of a region on views: what lies before, behind and over it.
fn of_outlines(name: &str) -> f64 {
    match covers_body(name) {
        true => CONSTANTS.outlined_body_relative_uncertainty.value,
        false => CONSTANTS.outlined_relative_uncertainty.value,
    }
}

/// What the stated uncertainty does not hold, and how to have it held.
fn unknown_sources(unknown: &[&str]) -> Vec<Warning> {
    let all = [
        (
            "calibration",
            "calibration-uncertainty-unknown",
            "the stated uncertainty is without the sensitivity's: state `cameras: planar: relative_uncertainty`",
        ),
        (
            "attenuation",
            "attenuation-uncertainty-unknown",
            "the stated uncertainty is without the attenuation's: state `settings: quantification: views: \
             thickness_relative_uncertainty`",
        ),
        (
            "mass",
            "mass-uncertainty-unknown",
            "the stated uncertainty is without the mass's: state `measured: masses` with relative_uncertainty",
        ),
    ];
    let said = all.into_iter().filter(|(source, ..)| unknown.contains(source));
    said.map(|(_, code, text)| Warning::new(code, text)).collect()
}

/// Counts of views that a rule prescribes by are as the detectors saw them.
fn counts_warning(request: &Request) -> Option<Warning> {
    planar::reads_counts(&request.plan).then(|| {
        Warning::new(
            "whole-body-from-views",
            "whole-body counts are those of the planar views as they are: without a CT nothing frees them of \
             attenuation, so activity that moves to another depth seems to come or go, and no room background was \
             subtracted; state `measured: whole_body_counts` with backgrounds where it counts",
        )
    })
}

fn transmission_warning() -> Warning {
    Warning::new(
        "transmission-as-it-lies",
        "the transmission scan is taken to lie on every scan pixel for pixel: look at whether the patient lay alike",
    )
}

fn no_map_warning() -> Warning {
    Warning::new(
        "organ-doses",
        "doses are means of organs by S values, from views without a CT: no dose map, histogram or segmentation is \
         written, and masses are stated ones or those of a reference adult",
    )
}
