//! All stages' values as one result.

use super::activity::TimePointImage;
use super::alignment::Alignment;
use super::bed::{Whose, bed};
use super::curves::Curve;
use super::engine::EngineDose;
use super::inputs::Inputs;
use super::placement::{Placed, PlacedRegion};
use super::voxels::VoxelTia;
use super::{PipelineError, Request};
use crate::biology::dvh::statistics;
use crate::dicom::Uid;
use crate::dicom::read::Scan;
use crate::dose::density::VoxelMass;
use crate::dose::local::air_below_density;
use crate::kinetics::HYBRID;
use crate::quantity::{Gram, Millilitre, Millimetre, Warning};
use crate::report::planes;
use crate::report::{
    Acquisition, CtUse, CycleResult, EngineReport, Kind, Predecessor, RegionResult,
    RegisteredSpace, Software, StructureSetReference, TimePoint, VoxelMap, VoxelResult,
};
use crate::uncertainty::{Budget, Chain, Outline, Recovery, budget};
use crate::volume::Occupancy;
use sha2::{Digest, Sha256};

/// What the voxel stages made, for the report.
pub struct Voxels {
    pub tia: VoxelTia,
    pub masses: VoxelMass,
    pub dose: EngineDose,
}

pub fn assemble(
    request: &Request,
    inputs: &Inputs,
    images: &[TimePointImage],
    placed: &Placed,
    curves: &[Curve],
    voxels: Voxels,
) -> Result<CycleResult, PipelineError> {
    let reference = &inputs.emissions[placed.reference];
    let (frame_of_reference, reference_series) = dose_frame(inputs, placed);
    let frame_of_reference = frame_of_reference.cloned().ok_or_else(|| {
        PipelineError::Parked(format!(
            "image series {reference_series} has no Frame of Reference UID (0020,0052), so a dose could \
             not be placed on it; send the series with one"
        ))
    })?;
    let regions: Vec<RegionResult> = placed
        .regions
        .iter()
        .zip(curves)
        .enumerate()
        .map(|(n, (region, curve))| {
            region_result(n, region, curve, placed, images, &voxels, request)
        })
        .collect();
    let warnings = warnings(inputs, images, placed, &voxels, request);
    let ct = placed.ct.as_ref().map(|(index, to_ct)| (&inputs.cts[*index], to_ct));
    let behind = ct.map(|(ct, to_ct)| (&ct.hu, to_ct));
    let planes = planes::cut(&voxels.dose.gy, behind, &regions);
    let Voxels { masses, dose, tia } = voxels;
    let map = VoxelResult {
        frame_of_reference,
        structure_set: structure_set(inputs, placed),
        gy: dose.gy,
        error_gy: dose.standard_error_gy,
        bed: None,
        maps: maps(tia),
        ct: ct.map(|(ct, _)| CtUse {
            series: ct.series.clone(),
            station_name: ct.station_name.clone(),
            kvp: ct.kvp,
        }),
        planes,
    };
    let engine = EngineReport {
        name: dose.name,
        chosen_because: dose.because,
        mass_source: masses.source,
        energy_per_decay_kev: Some(dose.energy_per_decay_kev),
        histories: dose.histories,
        relative_uncertainty: dose.relative_uncertainty.iter().flatten().copied().reduce(f64::max),
    };
    Ok(CycleResult {
        time_points: time_points(inputs, images),
        whole_body_counts: super::planar::whole_body_counts(inputs, images),
        reference_series: reference_series.clone(),
        voxels: Some(map),
        registrations: registrations(inputs),
        regions,
        warnings,
        ..begun(request, inputs, reference, engine, None)?
    })
}

/// What every result says, whatever its stages find: who, what was given, by which program. `more` is what steers the
/// numbers beside parameters, cameras and administration.
///
/// # Errors
/// A cycle that the plan does not have.
pub fn begun<I>(
    request: &Request,
    inputs: &Inputs,
    reference: &Scan<I>,
    engine: EngineReport,
    more: Option<serde_json::Value>,
) -> Result<CycleResult, PipelineError> {
    let cycle = request.plan.cycle(request.cycle).ok_or_else(|| {
        PipelineError::Parked(format!("the plan has no cycle {}; add it", request.cycle))
    })?;
    Ok(CycleResult {
        software: software(request, more),
        protocol: request.plan.protocol.clone(),
        protocol_version: request.protocol_version.clone(),
        patient: reference.identity.clone(),
        predecessor: predecessor(request, reference.study.study.as_ref()),
        study: reference.study.clone(),
        cycle: request.cycle,
        completeness: request.completeness,
        radiopharmaceutical: request.plan.radiopharmaceutical_of(request.cycle).to_owned(),
        nuclide: request.nuclide().clone(),
        administered: cycle.administered.activity,
        administered_at: cycle.administered.at,
        administration: super::administered::facts(inputs, request)?,
        inputs: inputs.instances(),
        time_points: Vec::new(),
        whole_body_counts: Vec::new(),
        reference_series: reference.series.clone(),
        voxels: None,
        registrations: Vec::new(),
        engine,
        regions: Vec::new(),
        warnings: Vec::new(),
        prescription: None,
        signed_results: request.signed_results.clone(),
        computed_at: request.computed_at,
    })
}

/// The result that this one supersedes, taken to lie in this one's study: right while both have their
/// reference image in one study.
fn predecessor(request: &Request, study: Option<&Uid>) -> Option<Predecessor> {
    let (sop_instance, study) = (request.predecessor.clone()?, study?.clone());
    Some(Predecessor { study, sop_instance })
}

fn time_points(inputs: &Inputs, images: &[TimePointImage]) -> Vec<TimePoint> {
    inputs
        .emissions
        .iter()
        .zip(images)
        .map(|(emission, image)| TimePoint {
            acquired: image.map.at,
            after_administration: image.after_administration,
            series: emission.series.clone(),
            modality: emission.modality.clone(),
            is_planar: inputs.planar_point(&emission.series).is_some(),
            field_of_view: (!image.is_relative).then_some(image.map.field_of_view),
            quantification: image.map.quantification.clone(),
            acquisition: Acquisition {
                calibrated_on: image.calibrated_on,
                checked_on: image.checked_on,
                ..emission.acquisition.clone()
            },
        })
        .collect()
}

/// Frame of reference of the dose grid, and the series that it comes from.
fn dose_frame<'a>(inputs: &'a Inputs, placed: &Placed) -> (Option<&'a Uid>, &'a Uid) {
    let reference = &inputs.emissions[placed.reference];
    match &placed.dose_grid {
        Some(own) => (inputs.cts[own.ct].frame_of_reference.as_ref(), &inputs.cts[own.ct].series),
        None => (reference.frame_of_reference.as_ref(), &reference.series),
    }
}

/// What was registered here, for the Spatial Registration object.
fn registrations(inputs: &Inputs) -> Vec<RegisteredSpace> {
    let of = |alignment: &Alignment| RegisteredSpace {
        registered_frame: alignment.registered_frame.clone(),
        moving_frame: alignment.moving.frame.clone(),
        moving_images: alignment.moving.images.clone(),
        moving_to_registered: alignment.start.matrix(),
        motion: alignment.motion.clone(),
        images: alignment.images,
        metric: alignment.metric,
        score: alignment.score,
        overlap: alignment.overlap,
    };
    inputs.alignments.iter().map(of).collect()
}

/// The structure set that most regions were drawn in, where it lies in the dose's frame.
fn structure_set(inputs: &Inputs, placed: &Placed) -> Option<StructureSetReference> {
    let (frame, _) = dose_frame(inputs, placed);
    let in_frame = |index: &usize| {
        inputs.structure_sets[*index].rois.iter().any(|r| r.frame_of_reference.as_ref() == frame)
    };
    let rois_of = |index: usize| -> Vec<(u16, i32)> {
        placed
            .regions
            .iter()
            .enumerate()
            .filter_map(|(n, region)| {
                let (_, roi) = region.roi.filter(|(set, _)| *set == index)?;
                Some((n as u16 + 1, i32::try_from(roi).ok()?))
            })
            .collect()
    };
    let best = (0..inputs.structure_sets.len())
        .filter(in_frame)
        .max_by_key(|&index| (rois_of(index).len(), std::cmp::Reverse(index)))?;
    let roi_numbers = rois_of(best);
    if roi_numbers.is_empty() {
        return None;
    }
    let set = &inputs.structure_sets[best].source;
    Some(StructureSetReference {
        sop_instance: set.sop_instance.clone(),
        series: set.series.clone(),
        study: set.study.clone(),
        roi_numbers,
    })
}

fn region_result(
    index: usize,
    region: &PlacedRegion,
    curve: &Curve,
    placed: &Placed,
    images: &[TimePointImage],
    voxels: &Voxels,
    request: &Request,
) -> RegionResult {
    let grid = voxels.dose.gy.grid();
    let mut warnings = region.warnings.clone();
    warnings.extend(curve.warnings.iter().cloned());
    // Numbers of a region that its camera cannot resolve would be read as measured.
    let fit = curve.fit.as_ref().filter(|_| curve.is_quantifiable);
    let occupancy = if region.is_remainder {
        tissue(placed.on_dose_grid(region), voxels)
    } else {
        placed.on_dose_grid(region).clone()
    };
    // Without a CT nothing says where the body ends: the remainder has activity but no mass.
    let has_mass = !region.is_remainder || placed.ct.is_some();
    if !has_mass {
        warnings.push(Warning::new(
            "no-body-outline",
            "without a CT the body's outline is not known: mass and dose of the remainder are not given",
        ));
    }
    let mut dose = None;
    if has_mass && fit.is_some() {
        match statistics(&voxels.dose.gy, &voxels.masses.mass_g, &occupancy) {
            Ok(statistics) => dose = Some(statistics),
            Err(error) => warnings.push(Warning::new("no-dose", error.to_string())),
        }
    }
    let bed = match (&dose, fit) {
        (Some(dose), Some(fit)) if request.plan.parameters.biology.bed => {
            let anatomy = region.anatomy.as_ref().map(|code| code.meaning.as_str());
            let whose = Whose { name: &region.name, anatomy };
            bed(&whose, dose.mean, fit, request, &mut warnings)
        }
        _ => None,
    };
    let volume = occupancy.volume(grid);
    // Of a hybrid curve only the SPECT's scale counts.
    let hybrid = curve.fit.as_ref().is_some_and(|fit| fit.model == HYBRID);
    let scaled_by = if hybrid { std::slice::from_ref(&images[placed.reference]) } else { images };
    let known = known(
        request,
        (!region.is_remainder).then_some(volume),
        curve,
        scaled_by,
        voxels.dose.relative_uncertainty[index],
    );
    let budget = budget(&known);
    if fit.is_some() {
        warnings.extend(unknown_sources(&budget));
    }
    RegionResult {
        name: region.name.clone(),
        number: index as u16 + 1,
        anatomy: region.anatomy.as_ref().map(|code| code.meaning.clone()),
        made: region.made.clone(),
        volume: Some(volume),
        mass: has_mass.then(|| mass(&occupancy, &voxels.masses)),
        activity: curve.activity.iter().map(|a| curve.is_quantifiable.then_some(*a)).collect(),
        recovery: curve.recovery,
        uncertainty: budget.absorbed_dose.filter(|_| fit.is_some()),
        uncertainty_budget: fit.is_some().then_some(budget),
        fit: fit.cloned(),
        occupancy,
        dose,
        alpha: None,
        therapy: None,
        effect: Default::default(),
        bed,
        warnings,
    }
}

/// The part of a region that is not air.
fn tissue(occupancy: &Occupancy, voxels: &Voxels) -> Occupancy {
    let grid = voxels.masses.mass_g.grid();
    let least = (air_below_density().value() * grid.voxel_volume().value()) as f32;
    let masses = voxels.masses.mass_g.as_slice();
    Occupancy::new(
        occupancy.iter().filter(|(n, _)| masses[*n] >= least).map(|(n, f)| (n as u32, f)).collect(),
    )
}

fn mass(occupancy: &Occupancy, masses: &VoxelMass) -> Gram {
    let values = masses.mass_g.as_slice();
    Gram::new(occupancy.iter().map(|(n, f)| f64::from(values[n]) * f64::from(f)).sum())
}

/// How well a region's inputs are known: its outline, the calibration that all points share, its
/// curve, and the engine's own.
fn known(
    request: &Request,
    volume: Option<Millilitre>,
    curve: &Curve,
    scaled_by: &[TimePointImage],
    engine: Option<f64>,
) -> Chain {
    let stated = &request.plan.parameters.uncertainty;
    let mm = |value: &Option<crate::config::Sourced<f64>>| {
        value.as_ref().map(|value| Millimetre::new(value.value))
    };
    let outline = || {
        Some(Outline {
            volume: volume?,
            voxel: mm(&stated.outline_voxel_mm)?,
            fwhm: mm(&stated.outline_fwhm_mm)?,
        })
    };
    Chain {
        outline: outline(),
        emission_fwhm: mm(&stated.emission_fwhm_mm),
        recovery: curve.recovery.map(|recovered| Recovery {
            slope: recovered.slope,
            relative_uncertainty: recovered.relative_uncertainty,
        }),
        calibration: scaled_by
            .iter()
            .filter_map(|image| image.map.relative_uncertainty)
            .reduce(f64::max),
        fit: curve.fit.as_ref().and_then(|fit| fit.relative_uncertainty),
        dose: engine,
    }
}

/// What the stated uncertainty does not hold, and how to have it held.
fn unknown_sources(budget: &Budget) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if budget.unknown.contains(&"calibration") {
        warnings.push(Warning::new(
            "calibration-uncertainty-unknown",
            "the images do not say how well their scale is known: the stated uncertainty is without \
             the calibration's",
        ));
    }
    if budget.unknown.contains(&"recovery") {
        warnings.push(Warning::new(
            "recovery-uncertainty-unknown",
            "the stated uncertainty is without the recovery coefficient's: state \
             relative_uncertainty of cameras: recovery (or resolution) in the configuration",
        ));
    }
    if budget.unknown.contains(&"volume") {
        warnings.push(Warning::new(
            "outline-uncertainty-unknown",
            "the stated uncertainty is without the outline's: state `uncertainty: outline_voxel_mm, \
             outline_fwhm_mm, emission_fwhm_mm` in the protocol or the plan's settings",
        ));
    }
    warnings
}

/// Maps that are written beside the dose.
fn maps(tia: super::voxels::VoxelTia) -> Vec<VoxelMap> {
    let Some(own) = tia.own_curves else { return Vec::new() };
    vec![
        VoxelMap { kind: Kind::TimeIntegratedActivityMap, values: own.tia_mbq_h_per_ml },
        VoxelMap { kind: Kind::EffectiveHalfLifeMap, values: own.half_life_h },
    ]
}

fn warnings(
    inputs: &Inputs,
    images: &[TimePointImage],
    placed: &Placed,
    voxels: &Voxels,
    request: &Request,
) -> Vec<Warning> {
    let mut all: Vec<Warning> = request.notes.clone();
    all.extend(images.iter().flat_map(|image| image.map.warnings.clone()));
    if inputs.planar_point(&inputs.emissions[placed.reference].series).is_some() {
        all.push(super::planar::uniform_warning());
    }
    if !(inputs.transmissions.is_empty() && inputs.view_outlines.is_empty()) {
        all.push(Warning::new(
            "views-over-ct",
            "transmission scans and outlines on views were not used: the views are unmixed over the CT",
        ));
    }
    if let Some((index, _)) = placed.ct {
        all.extend(inputs.cts[index].warnings.clone());
    }
    all.extend(placed.warnings.clone());
    all.extend(voxels.tia.warnings.clone());
    all.extend(voxels.masses.warnings.clone());
    all.extend(voxels.dose.warnings.clone());
    once_each(request, all)
}

/// Each warning once, and one for every parameter that nobody confirmed.
pub fn once_each(request: &Request, mut all: Vec<Warning>) -> Vec<Warning> {
    all.extend(request.plan.parameters.unconfirmed.iter().map(|constant| {
        let text = format!("parameter not confirmed: {constant} (provenance M)");
        Warning::new("unconfirmed-constant", text)
    }));
    let mut unique: Vec<Warning> = Vec::new();
    for warning in all {
        if !unique.contains(&warning) {
            unique.push(warning);
        }
    }
    unique
}

/// Hash of everything that steers the numbers beside the inputs themselves.
fn software(request: &Request, more: Option<serde_json::Value>) -> Software {
    let mut steering = serde_json::json!({
        "parameters": request.plan.parameters,
        "nuclide": request.nuclide().to_string(),
        "administered": request.plan.cycle(request.cycle),
        "cameras": request.cameras,
    });
    if let Some(more) = more {
        steering["more"] = more;
    }
    let digest = Sha256::digest(steering.to_string());
    Software {
        name: "grayd",
        version: env!("CARGO_PKG_VERSION"),
        parameters_sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
