//! `results.json`: the result for scripts. Every number in the unit that its name says; what could
//! not be had is null with a warning that says why.

use super::regions::RegionNumbers;
use super::{CycleResult, DoseSpread, RegionResult, TherapyEstimate, TimePoint};
use crate::biology::effect::MixedDose;
use crate::kinetics::{Covariance, Fit};
use crate::quantity::Gray;
use serde_json::{Value, json};

/// The whole result as one object.
pub fn write(result: &CycleResult) -> Value {
    let given = &result.administration;
    let grid = result.voxels.as_ref().map(|voxels| voxels.gy.grid());
    let inputs: Vec<Value> = result
        .inputs
        .iter()
        .map(|input| {
            json!({
                "sop_instance_uid": input.sop_instance, "sop_class_uid": input.sop_class,
                "series_instance_uid": input.series, "study_instance_uid": input.study,
                "modality": input.modality, "sha256": input.sha256,
            })
        })
        .collect();
    json!({
        "research": super::RESEARCH_MARK,
        "software": result.software,
        "protocol": result.protocol,
        "protocol_version": result.protocol_version,
        "patient_id": result.patient.id,
        "cycle": result.cycle,
        "completeness": result.completeness,
        "computed_at": result.computed_at.to_string(),
        "radiopharmaceutical": result.radiopharmaceutical,
        "nuclide": result.nuclide.to_string(),
        "administered": {
            "activity_mbq": finite(result.administered.mbq()),
            "at": result.administered_at.to_string(),
            "event_uid": super::dose_reports::event(result),
            "measured_before_mbq": given.before.and_then(|assay| finite(assay.activity.mbq())),
            "residual_mbq": given.after.and_then(|assay| finite(assay.activity.mbq())),
            "activity_meter": given.meter_text(),
            "route": given.route.as_ref().map(|route| &route.meaning),
            "by": given.by,
            "co_medication": given.co_medication,
        },
        "inputs": inputs,
        "time_points": result.time_points.iter().map(time_point).collect::<Vec<_>>(),
        "whole_body_counts": result.whole_body_counts,
        "grid": grid.map(|grid| json!({
            "shape": grid.shape(),
            "spacing_mm": grid.spacing_mm(),
            "origin_lps_mm": grid.origin_lps_mm(),
            "direction": grid.direction(),
        })),
        "frame_of_reference_uid": result.voxels.as_ref().map(|voxels| &voxels.frame_of_reference),
        "engine": result.engine,
        "regions": result.regions.iter().map(|r| region(r, result)).collect::<Vec<_>>(),
        "prescription": result.prescription.clone().unwrap_or(Value::Null),
        "signed_results": result.signed_results,
        "warnings": result.warnings,
    })
}

/// JSON has no NaN: serde_json writes null for it, and this says so at the place.
fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

/// Seven significant digits: a histogram's edges without the tail of their binary form.
fn rounded(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}

fn time_point(point: &TimePoint) -> Value {
    json!({
        "acquired": point.acquired.to_string(),
        "hours": finite(point.after_administration.hours()),
        "series_instance_uid": point.series,
        "modality": point.modality,
        "planar": point.is_planar,
        "field_of_view_mbq": point.field_of_view.and_then(|activity| finite(activity.mbq())),
        "quantification": point.quantification,
    })
}

fn region(region: &RegionResult, result: &CycleResult) -> Value {
    let numbers = RegionNumbers::of(region);
    let activity: Vec<Value> = result
        .time_points
        .iter()
        .zip(&numbers.activity_mbq)
        .zip(&region.activity)
        .map(|((point, value), measured)| {
            let uncertainty = measured.and_then(|measured| measured.relative_uncertainty);
            json!({
                "hours": finite(point.after_administration.hours()),
                "value": value,
                "relative_uncertainty": uncertainty.and_then(finite),
            })
        })
        .collect();
    let fit = numbers.fit;
    let spread = numbers.dose.and_then(|dose| dose.spread.as_ref());
    let of = |pick: fn(&DoseSpread) -> Gray| spread.map(pick);
    let dose = numbers.dose.map(|dose| {
        json!({
            "mean": dose.mean, "min": of(|d| d.min), "max": of(|d| d.max), "median": of(|d| d.median),
            "sd": of(|d| d.sd), "d98": of(|d| d.d98), "d95": of(|d| d.d95), "d90": of(|d| d.d90),
            "d50": of(|d| d.d50), "d2": of(|d| d.d2),
        })
    });
    let dvh = spread.map(|d| {
        let pairs = d.dvh.iter().map(|(gray, ml)| [rounded(gray.value()), rounded(ml.value())]);
        pairs.collect::<Vec<_>>()
    });
    let bed = numbers.bed.map(|b| {
        json!({
            "alpha_beta_gy": b.alpha_beta,
            "repair_half_time_h": b.repair_half_time.hours(),
            "provenance": b.provenance,
        })
    });
    let tiac = numbers.tiac_h(result.administered.mbq());
    json!({
        "name": region.name,
        "number": region.number,
        "made": region.made,
        "volume_ml": numbers.volume_ml,
        "mass_g": numbers.mass_g,
        "activity_mbq": activity,
        "recovery": region.recovery,
        "fit": fit.map(fit_value),
        "tia_mbq_h": fit.map(|f| f.time_integrated_activity.mbq_h()),
        "tiac_h": tiac,
        "effective_half_life_h": fit.and_then(|f| f.effective_half_life).map(|t| t.hours()),
        "absorbed_dose_gy": dose,
        "dvh": dvh,
        "alpha": region.alpha.as_ref().map(alpha),
        "therapy": region.therapy.as_ref().map(therapy),
        "bed_gy": numbers.bed.map(|b| b.value),
        "bed_assumptions": bed,
        "eqd2_gy": region.effect.eqd2.and_then(|gray| finite(gray.value())),
        "eud": region.effect.eud.and_then(|eud| Some(json!({
            "gy": finite(eud.dose.value())?, "alpha_per_gy": eud.alpha_per_gy,
        }))),
        "mean_of_voxel_bed_gy": region.effect.mean_of_voxel_bed.and_then(|g| finite(g.value())),
        "volumes_at": region.effect.volumes_at.iter().map(|(gray, part)| json!({
            "gy": gray.value(), "fraction": finite(*part),
        })).collect::<Vec<_>>(),
        "uncertainty": numbers.uncertainty,
        "uncertainty_budget": region.uncertainty_budget,
        "warnings": numbers.warnings.iter().cloned().chain(numbers.missing()).collect::<Vec<_>>(),
    })
}

/// Alphas and the rest, and both together by the stated effectivenesses.
fn alpha(dose: &MixedDose) -> Value {
    let weighted = dose.by_rbe();
    let weighted = weighted.map(|(rbe, gray)| json!({ "rbe": rbe, "gy": finite(gray.value()) }));
    json!({
        "alpha_gy": finite(dose.alpha.value()),
        "electron_gy": finite(dose.electron.value()),
        "weighted": weighted.collect::<Vec<_>>(),
    })
}

fn therapy(therapy: &TherapyEstimate) -> Value {
    let biological = therapy.biological.iter().map(|(fraction, rate)| {
        json!({ "fraction": finite(*fraction), "rate_per_h": finite(rate.value() * 3600.0) })
    });
    json!({
        "radiopharmaceutical": therapy.radiopharmaceutical,
        "gy_per_gbq": finite(therapy.dose_per_gbq.value()),
        "alpha_per_gbq": therapy.alpha.as_ref().map(alpha),
        "uncertainty": therapy.relative_uncertainty.and_then(finite),
        "residence_h": finite(therapy.residence.hours()),
        "biological": biological.collect::<Vec<_>>(),
        "method": therapy.method,
    })
}

fn fit_value(fit: &Fit) -> Value {
    let terms: Vec<Value> = fit
        .terms
        .iter()
        .map(|term| {
            json!({
                "amplitude_mbq": term.amplitude.mbq(),
                "rate_per_h": term.rate.value() * 3600.0,
            })
        })
        .collect();
    let candidates: Vec<Value> = fit
        .candidates
        .iter()
        .map(|c| json!({ "model": c.model, "aicc": finite(c.aicc), "weight": finite(c.weight) }))
        .collect();
    json!({
        "model": fit.model,
        "parameters": {
            "terms": terms,
            "relative_uncertainty": fit.relative_uncertainty,
            "interpolated_fraction": fit.interpolated_fraction,
            "extrapolated_fraction": fit.extrapolated_fraction,
        },
        "candidates": candidates,
        "covariance": fit.covariance.as_ref().map(covariance),
        "checks": fit.checks,
        "bias": fit.bias,
    })
}

/// Rows of ln |amplitude| and ln rate of each term in turn.
fn covariance(covariance: &Covariance) -> Vec<Vec<f64>> {
    let row = |r| (0..covariance.size()).map(|c| covariance.get(r, c)).collect();
    (0..covariance.size()).map(row).collect()
}
