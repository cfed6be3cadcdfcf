//! Planar scans as activity images: every region's activity by unmixing the views over the CT, spread
//! evenly over the region.
//!
//! After this a planar scan is a time point as any other: it has a grid, a frame of reference and a map
//! of Bq/ml. What such a map does not know, the distribution within a region, its warning says.

mod geometry;

use super::activity::{self, TimePointImage};
use super::error::parked;
use super::inputs::Inputs;
use super::placement::{self, Share};
use super::space::Space;
use super::{PipelineError, Request};
use crate::config::camera::PlanarSettings;
use crate::config::plan::WholeBodyCount;
use crate::config::{CameraSettings, PlanarUse};
use crate::dicom::Uid;
use crate::dicom::read::{Emission, Planar};
use crate::quantify::planar::{
    Projector, RateParameters, Template, Unmixed, WindowRoles, net_rates, unmix, window_roles,
};
use crate::quantify::{
    CONSTANTS, DecayCorrection, EmissionImage, EmissionKind, ImageUnit, SliceTiming,
};
use crate::quantity::nuclide::{Nuclide, Radiation};
use crate::quantity::{Becquerel, KiloElectronvolt, Measured, Millimetre, Warning};
use crate::volume::{Grid, Volume};
use geometry::Scene;
use ndarray::Array3;
use std::collections::BTreeMap;

/// What a planar time point knows beside its map.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanarPoint {
    pub series: Uid,
    /// Activity of each region at the beginning of the scan, with the uncertainty (k = 1) of counting and
    /// unmixing. The map spreads it over voxels that regions share, and does not hold it as exactly.
    pub regions: BTreeMap<String, Measured<Becquerel>>,
    /// Of the sensitivity.
    pub calibration: Option<f64>,
    /// Net rate of the whole anterior and posterior view at the beginning of the scan, counts/s.
    pub whole_cps: [f64; 2],
}

/// Puts every planar scan among the emission images.
///
/// # Errors
/// What a scan lacks parks the job: sensitivity, place, CT, scatter windows, regions.
pub fn unmix_scans(inputs: &mut Inputs, request: &Request) -> Result<(), PipelineError> {
    if inputs.planar.is_empty() {
        return Ok(());
    }
    if request.plan.parameters.imaging.planar == PlanarUse::None {
        return Err(PipelineError::Parked(
            "planar scans are among the inputs, and the protocol takes none; write `settings: imaging: \
             { planar: activity }` or `shape` in the plan, or narrow its `match`"
                .into(),
        ));
    }
    let mut found = Vec::new();
    for scan in &inputs.planar {
        let refused = |error: PipelineError| match error {
            PipelineError::Parked(why) => {
                parked(format_args!("planar series {}", scan.series), why)
            }
            failed => failed,
        };
        found.push(one(inputs, scan, request).map_err(refused)?);
    }
    for (emission, point) in found {
        inputs.emissions.push(emission);
        inputs.planar_points.push(point);
    }
    inputs.emissions.sort_by(|a, b| (a.acquired, &a.series).cmp(&(b.acquired, &b.series)));
    Ok(())
}

/// The plan with the whole-body counts of the views, where it states none.
pub fn with_whole_body_counts(
    inputs: &Inputs,
    images: &[TimePointImage],
    request: &Request,
) -> Request {
    let mut request = request.clone();
    let counts = &mut request.plan.measured.whole_body_counts;
    if counts.is_empty() {
        let views = images.iter().zip(&inputs.emissions).filter_map(|(image, emission)| {
            let [anterior, posterior] = inputs.planar_point(&emission.series)?.whole_cps;
            Some(WholeBodyCount {
                hours: image.after_administration.hours(),
                anterior,
                posterior,
                anterior_background: 0.0,
                posterior_background: 0.0,
            })
        });
        counts.extend(views);
    }
    request
}

fn one(
    inputs: &Inputs,
    scan: &Planar,
    request: &Request,
) -> Result<(Emission, PlanarPoint), PipelineError> {
    let why = |error: crate::quantify::QuantifyError| PipelineError::Parked(error.to_string());
    let nuclide = &request.plan.nuclide;
    let camera = activity::camera(&request.cameras, &scan.device, nuclide);
    let settings = camera.and_then(|camera| camera.planar).ok_or_else(|| {
        PipelineError::Parked(format!(
            "no sensitivity is known of this camera for {nuclide}; add `cameras: planar: {{ cps_per_mbq: \
             ... }}` to the configuration"
        ))
    })?;
    let roles = window_roles(&scan.image.windows, &lines(nuclide)?).map_err(why)?;
    let narrow = roles.below.is_some() || roles.above.is_some();
    let ratio = match (narrow, settings.broad_beam_ratio) {
        (true, _) => 1.0,
        (false, Some(ratio)) => ratio,
        (false, None) => return Err(why(crate::quantify::QuantifyError::NoScatterWindows)),
    };
    let scene = Scene::of(inputs, scan, roles.photopeak, ratio)?;
    let rates = net_rates(
        &scan.image,
        &roles,
        &RateParameters {
            half_life: nuclide.decay()?.half_life,
            dead_time: camera.and_then(CameraSettings::dead_time),
            field_of_view_mm: settings.field_of_view_mm,
        },
    )
    .map_err(why)?;
    let whole_cps = [rates[0].cps.sum(), rates[1].cps.sum()];
    let (rates, beyond) = scene.on_grid(&rates);
    let regions = regions(inputs, request, scan, &scene)?;
    let projector = Projector::new(&scene.attenuation);
    let templates = templates(&projector, &regions, &settings)?;
    let unmixed = unmix(&rates, &templates).map_err(why)?;
    let mut warnings = scan.image.warnings.clone();
    warnings.extend(said_of(&unmixed, beyond));
    let map = spread(&scene.grid, &regions, &unmixed);
    let origin = how(&roles, &settings, narrow, &unmixed);
    let point = PlanarPoint {
        series: scan.series.clone(),
        regions: whole_activities(&scene.grid, &regions, &unmixed),
        calibration: settings.relative_uncertainty,
        whole_cps,
    };
    Ok((emission(scan, map, origin, warnings), point))
}

/// Gamma and X-ray lines of the nuclide and its daughters in equilibrium.
fn lines(nuclide: &Nuclide) -> Result<Vec<(KiloElectronvolt, f64)>, PipelineError> {
    let mut all = Vec::new();
    for (member, decays) in &nuclide.decay()?.equilibrium {
        let photons = member.decay()?.lines.iter();
        let photons = photons.filter(|l| matches!(l.radiation, Radiation::Gamma | Radiation::XRay));
        all.extend(photons.map(|line| (line.energy, line.intensity * decays)));
    }
    Ok(all)
}

/// Activity of each whole region: its own, and that of earlier regions where they lie within it.
fn whole_activities(
    grid: &Grid,
    regions: &[Share],
    unmixed: &Unmixed,
) -> BTreeMap<String, Measured<Becquerel>> {
    let ml = grid.voxel_volume().value();
    let mut taken = vec![(0.0f64, 0.0f64); grid.len()];
    let mut all = BTreeMap::new();
    for (region, activity) in regions.iter().zip(&unmixed.activity) {
        let mut left = vec![0.0f32; if region.own == region.occupancy { 0 } else { grid.len() }];
        let mut within = 0.0;
        if !left.is_empty() {
            region.own.iter().for_each(|(voxel, f)| left[voxel] = f);
            for (voxel, fraction) in region.occupancy.iter() {
                let (share, bq) = taken[voxel];
                if share > 0.0 {
                    within += bq * (f64::from(fraction - left[voxel]) / share).clamp(0.0, 1.0);
                }
            }
        }
        let concentration = activity.value.value() / region.own.volume(grid).value();
        for (voxel, fraction) in region.own.iter() {
            taken[voxel].0 += f64::from(fraction);
            taken[voxel].1 += concentration * f64::from(fraction) * ml;
        }
        let value = activity.value + Becquerel::new(within);
        all.insert(region.name.clone(), Measured { value, ..*activity });
    }
    all
}

/// Every drawn region's own part of each voxel, and the rest of the body.
fn regions(
    inputs: &Inputs,
    request: &Request,
    scan: &Planar,
    scene: &Scene,
) -> Result<Vec<Share>, PipelineError> {
    let space = Space::of_planar(scan);
    let mut shares =
        placement::shares_on(inputs, &request.plan.parameters.regions.order, &space, &scene.grid)?;
    if let Some(rest) = shares.last_mut() {
        // Air around and in the body holds no activity.
        rest.own = scene.tissue_of(&rest.own);
        rest.occupancy = rest.own.clone();
    }
    Ok(shares)
}

fn templates(
    projector: &Projector,
    regions: &[Share],
    settings: &PlanarSettings,
) -> Result<Vec<Template>, PipelineError> {
    let resolution = settings.resolution_mm.map(Millimetre::new);
    let template = |Share { name, own, .. }: &Share| {
        projector.template(name, own, settings.cps_per_mbq, resolution).ok_or_else(|| {
            let error = crate::quantify::QuantifyError::OutsideViews(name.clone());
            PipelineError::Parked(error.to_string())
        })
    };
    regions.iter().map(template).collect()
}

/// Bq/ml of every voxel: each region's activity, evenly over it.
fn spread(grid: &Grid, regions: &[Share], unmixed: &Unmixed) -> Volume<f32> {
    let mut values = Array3::<f32>::zeros(grid.dim());
    let out = values.as_slice_mut().expect("a new array is in standard layout");
    for (Share { own, .. }, Measured { value, .. }) in regions.iter().zip(&unmixed.activity) {
        let concentration = value.value() / own.volume(grid).value();
        for (voxel, fraction) in own.iter() {
            out[voxel] += (concentration * f64::from(fraction)) as f32;
        }
    }
    Volume::new(grid.clone(), values)
}

/// For a result whose dose map rests on planar views.
pub fn uniform_warning() -> Warning {
    Warning::new(
        "planar-uniform",
        "planar views do not say how activity lies within a region: it was spread evenly, so mean doses \
         are measured and histograms, maxima and minima are not",
    )
}

fn said_of(unmixed: &Unmixed, beyond: f64) -> Vec<Warning> {
    /// Part of the counts outside of the CT from which it is worth a word.
    const BEYOND: f64 = 0.02;
    let mut warnings = Vec::new();
    if unmixed.misfit > CONSTANTS.misfit_warn.value {
        warnings.push(Warning::new(
            "planar-misfit",
            format!(
                "the views differ from the sum of their regions by {:.0} % of the mean count rate \
                 (reduced chi-square {:.1}): a region with uptake may not be drawn, or the views do \
                 not lie where the CT does",
                100.0 * unmixed.misfit,
                unmixed.reduced_chi_square
            ),
        ));
    }
    if beyond > BEYOND {
        warnings.push(Warning::new(
            "planar-beyond-ct",
            format!(
                "{:.0} % of the views' net counts lie where no CT is: their activity belongs to no \
                 region and is not counted",
                100.0 * beyond
            ),
        ));
    }
    warnings
}

fn how(roles: &WindowRoles, settings: &PlanarSettings, narrow: bool, unmixed: &Unmixed) -> String {
    let scatter = match (narrow, roles.below.is_some(), roles.above.is_some()) {
        (true, true, true) => "scatter by the windows on both sides".to_owned(),
        (true, ..) => "scatter by the window on one side".to_owned(),
        (false, ..) => format!(
            "no scatter windows, attenuation times {}",
            settings.broad_beam_ratio.unwrap_or(1.0)
        ),
    };
    format!(
        "Anterior and posterior counts at {:.1} keV, {scatter}, unmixed by region over the CT with {} \
         cps/MBq (misfit {:.1} %)",
        roles.photopeak.value(),
        settings.cps_per_mbq,
        100.0 * unmixed.misfit
    )
}

fn emission(scan: &Planar, map: Volume<f32>, origin: String, warnings: Vec<Warning>) -> Emission {
    let timing = SliceTiming { start: scan.acquired, duration: None, decay_factor: None };
    Emission {
        image: EmissionImage {
            slices: vec![timing; map.grid().shape()[0]],
            values: map,
            unit: ImageUnit::BecquerelPerMl,
            kind: EmissionKind::SinglePhoton,
            series_start: None,
            decay_correction: DecayCorrection::Start,
            decay_flag: false,
            dead_time_corrected: true,
            injection: scan.image.injection,
            weight: None,
            origin,
            warnings,
        },
        identity: scan.identity.clone(),
        study: scan.study.clone(),
        frame_of_reference: scan.frame_of_reference.clone(),
        series: scan.series.clone(),
        series_description: scan.series_description.clone(),
        modality: scan.modality.clone(),
        device: scan.device.clone(),
        acquired: scan.acquired,
        radiopharmaceutical: scan.radiopharmaceutical.clone(),
        acquisition: scan.acquisition.clone(),
        sources: scan.sources.clone(),
    }
}
