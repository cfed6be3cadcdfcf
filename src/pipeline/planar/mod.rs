//! Planar scans as activity images: every region's activity by unmixing the views over the CT, spread
//! evenly over the region.
//!
//! After this a planar scan is a time point as any other: it has a grid, a frame of reference and a map
//! of Bq/ml. What such a map does not know, the distribution within a region, its warning says.

mod geometry;
mod place;

use super::activity::{self, TimePointImage};
use super::error::parked;
use super::inputs::Inputs;
use super::placement::{self, Share};
use super::space::Space;
use super::tissue;
use super::{PipelineError, Request};
use crate::config::camera::PlanarSettings;
use crate::config::plan::WholeBodyCount;
use crate::config::{CameraSettings, Plan, PlanarUse, Rule};
use crate::dicom::Uid;
use crate::dicom::read::{Emission, Planar};
use crate::quantify::planar::{
    Exposure, NetRate, Projector, RateParameters, Template, Unmixed, WindowRoles, net_rates, unmix,
    window_roles,
};
use crate::quantify::{
    CONSTANTS, DecayCorrection, EmissionImage, EmissionKind, ImageUnit, QuantifyError, SliceTiming,
};
use crate::quantity::nuclide::{Nuclide, Radiation};
use crate::quantity::{Becquerel, KiloElectronvolt, Measured, Millimetre, Warning};
use crate::volume::{Grid, Volume};
use geometry::{Scene, Seat};
use ndarray::Array3;
use place::Views;
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
    /// Net rate of the whole anterior and posterior view at the beginning of the scan, counts/s, as if nothing
    /// were attenuated: activity that moves to another depth is not lost. `None` where they are of a part of
    /// the body.
    pub whole_cps: Option<[f64; 2]>,
}

/// Puts every planar scan among the emission images.
///
/// # Errors
/// What a scan lacks parks the job: sensitivity, place, CT, scatter window, regions.
pub fn unmix_scans(inputs: &mut Inputs, request: &Request) -> Result<(), PipelineError> {
    if inputs.planar.is_empty() {
        return Ok(());
    }
    check_taken(request)?;
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

/// # Errors
/// A protocol that takes no planar scans.
pub fn check_taken(request: &Request) -> Result<(), PipelineError> {
    if request.plan.parameters.imaging.planar != PlanarUse::None {
        return Ok(());
    }
    Err(PipelineError::Parked(
        "planar scans are among the inputs, and the protocol takes none; write `settings: imaging: { planar: \
         activity }` or `shape` in the plan, or narrow its `match`"
            .into(),
    ))
}

/// What the site states of a camera's views.
///
/// # Errors
/// No sensitivity for this camera and nuclide.
pub fn settings(
    camera: Option<&CameraSettings>,
    nuclide: &Nuclide,
) -> Result<PlanarSettings, PipelineError> {
    camera.and_then(|camera| camera.planar).ok_or_else(|| {
        PipelineError::Parked(format!(
            "no sensitivity is known of this camera for {nuclide}; add `cameras: planar: {{ cps_per_mbq: \
             ... }}` to the configuration"
        ))
    })
}

/// Which windows of a scan are what, and the net rates of both views at its beginning.
pub fn rates(
    scan: &Planar,
    camera: Option<&CameraSettings>,
    nuclide: &Nuclide,
) -> Result<(WindowRoles, [NetRate; 2]), PipelineError> {
    let roles = window_roles(&scan.image.windows, &lines(nuclide)?)?;
    let planar = camera.and_then(|camera| camera.planar);
    let parameters = RateParameters {
        half_life: nuclide.decay()?.half_life,
        dead_time: camera.and_then(CameraSettings::dead_time),
        field_of_view_mm: planar.and_then(|planar| planar.field_of_view_mm),
    };
    let rates = net_rates(&scan.image, &roles, &parameters)?;
    Ok((roles, rates))
}

/// Attenuation that the views show over that of unscattered photons.
///
/// # Errors
/// Views whose windows do not tell scatter, and no stated ratio.
pub fn broad_beam_ratio(
    roles: &WindowRoles,
    settings: &PlanarSettings,
) -> Result<f64, QuantifyError> {
    match roles.tell_scatter() {
        true => Ok(1.0),
        false => settings.broad_beam_ratio.ok_or(QuantifyError::NoScatterWindows),
    }
}

/// Counts of every scan of the whole body, by time.
pub fn whole_body_counts(inputs: &Inputs, images: &[TimePointImage]) -> Vec<WholeBodyCount> {
    let counts = images.iter().zip(&inputs.emissions).filter_map(|(image, emission)| {
        let counted = inputs.planar_point(&emission.series)?.whole_cps?;
        Some(WholeBodyCount::without_background(image.after_administration, counted))
    });
    counts.collect()
}

fn one(
    inputs: &Inputs,
    scan: &Planar,
    request: &Request,
) -> Result<(Emission, PlanarPoint), PipelineError> {
    let nuclide = request.nuclide();
    let camera = activity::camera(&request.cameras, &scan.device, nuclide);
    let settings = settings(camera, nuclide)?;
    let (roles, rates) = rates(scan, camera, nuclide)?;
    let ratio = broad_beam_ratio(&roles, &settings)?;
    let whole_cps = whole_cps(&scan.image.exposure, &rates);
    let (placed, seat, placing) = match Seat::stated(inputs, scan)? {
        Some(seat) => (None, seat, None),
        None => {
            let (photopeak, attenuation_ratio) = (roles.photopeak, ratio);
            let views =
                Views { scan, rates: &rates, settings: &settings, photopeak, attenuation_ratio };
            let (placed, seat, warning) = place::find(inputs, &views, request)?;
            (Some(placed), seat, Some(warning))
        }
    };
    let scan = placed.as_ref().unwrap_or(scan);
    let scene = Scene::of(inputs, scan, &seat, roles.photopeak, ratio)?;
    let (rates, beyond) = scene.on_grid(&rates);
    let regions = regions(inputs, request, scan, &scene)?;
    let projector = Projector::new(&scene.attenuation);
    let templates = templates(&projector, &regions, &settings)?;
    let unmixed = unmix(&rates, &templates)?;
    let escaped = escaped(&rates, &unmixed, settings.cps_per_mbq);
    let whole_cps = whole_cps.zip(escaped).map(|(cps, part)| cps.map(|cps| cps / part));
    let mut warnings = scan.image.warnings.clone();
    warnings.extend(placing);
    warnings.extend(said_of(&unmixed, beyond));
    warnings.extend(whole_cps.and_then(|_| counts_warning(&request.plan)));
    let map = spread(&scene.grid, &regions, &unmixed);
    let origin = how(&roles, &settings, &unmixed);
    let point = PlanarPoint {
        series: scan.series.clone(),
        regions: placement::whole_activities(&scene.grid, &regions, &unmixed.activity),
        calibration: settings.relative_uncertainty,
        whole_cps,
    };
    Ok((emission(scan, map, origin, warnings), point))
}

/// Counts of the whole body, which views of detectors that stood still do not hold.
pub fn whole_cps(exposure: &Exposure, rates: &[NetRate; 2]) -> Option<[f64; 2]> {
    let whole = matches!(exposure, Exposure::Scanning { .. });
    whole.then(|| [rates[0].cps.sum(), rates[1].cps.sum()])
}

/// Part of the photons towards the detectors that is not attenuated, over the whole grid: the geometric mean of
/// both views' counts over those that the unmixed activity would have made in air.
fn escaped(rates: &[NetRate; 2], unmixed: &Unmixed, cps_per_mbq: f64) -> Option<f64> {
    let seen = rates[0].cps.sum() * rates[1].cps.sum();
    let mbq: f64 = unmixed.activity.iter().map(|activity| activity.value.mbq()).sum();
    let part = seen.max(0.0).sqrt() / (mbq * cps_per_mbq);
    (part.is_finite() && part > 0.0).then_some(part)
}

/// Does the rule read counts of the whole body, and does the plan state none?
pub fn reads_counts(plan: &Plan) -> bool {
    let rule = plan.parameters.prescription.rule();
    rule.is_some_and(Rule::takes_whole_body_counts) && plan.measured.whole_body_counts.is_empty()
}

/// Counts of views that a rule prescribes by have no measured background.
fn counts_warning(plan: &Plan) -> Option<Warning> {
    reads_counts(plan).then(|| {
        Warning::new(
            "whole-body-from-views",
            "whole-body counts are those of the planar views, freed of attenuation (a label's formula takes \
             them as they are), and no room background was subtracted from them; state `measured: \
             whole_body_counts` with backgrounds where it counts",
        )
    })
}

/// Gamma and X-ray lines of the nuclide and its daughters in equilibrium.
pub fn lines(nuclide: &Nuclide) -> Result<Vec<(KiloElectronvolt, f64)>, PipelineError> {
    let mut all = Vec::new();
    for (member, decays) in &nuclide.decay()?.equilibrium {
        let photons = member.decay()?.lines.iter();
        let photons = photons.filter(|l| matches!(l.radiation, Radiation::Gamma | Radiation::XRay));
        all.extend(photons.map(|line| (line.energy, line.intensity * decays)));
    }
    Ok(all)
}

/// Every drawn region's own part of each voxel, and the rest of the body.
fn regions(
    inputs: &Inputs,
    request: &Request,
    scan: &Planar,
    scene: &Scene,
) -> Result<Vec<Share>, PipelineError> {
    let space = Space::of(scan);
    let mut shares =
        placement::shares_on(inputs, &request.plan.parameters.regions.order, &space, &scene.grid)?;
    if let Some(rest) = shares.last_mut() {
        // Air around and in the body holds no activity.
        rest.own = tissue::of_rest(&rest.own, &scene.tissue);
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
        projector
            .template(name, own, settings.cps_per_mbq, resolution)
            .ok_or_else(|| PipelineError::from(QuantifyError::OutsideViews(name.clone())))
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
    if beyond > CONSTANTS.beyond_ct_warn.value {
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

/// What was done about scatter.
pub fn scatter_text(roles: &WindowRoles, settings: &PlanarSettings) -> String {
    match (roles.tell_scatter(), roles.above) {
        (true, Some(_)) => "scatter by the windows on both sides".to_owned(),
        (true, None) => "scatter by the window below".to_owned(),
        (false, _) => format!(
            "no scatter window below, attenuation times {}",
            settings.broad_beam_ratio.unwrap_or(1.0)
        ),
    }
}

fn how(roles: &WindowRoles, settings: &PlanarSettings, unmixed: &Unmixed) -> String {
    let scatter = scatter_text(roles, settings);
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
    scan.with_image(EmissionImage {
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Protocols;
    use crate::quantity::Seconds;
    use ndarray::Array2;

    #[test]
    fn views_of_a_part_of_the_body_are_no_whole_body_counts() {
        let rate = || NetRate {
            cps: Array2::from_elem((2, 3), 1.5),
            variance: Array2::from_elem((2, 3), 1.0),
        };
        let rates = [rate(), rate()];
        let duration = Seconds::new(600.0);
        assert_eq!(whole_cps(&Exposure::Static { duration }, &rates), None);
        let scanning = Exposure::Scanning {
            velocity: 2.0,
            field_of_view_mm: Some(400.0),
            first_row_first: None,
            duration: None,
        };
        assert_eq!(whole_cps(&scanning, &rates), Some([9.0, 9.0]));
    }

    #[test]
    fn counts_of_views_say_that_they_have_no_background_where_a_rule_takes_them() {
        let plan = |protocol: &str, measured: &str| {
            let text = format!(
                "patient: {{ id: P-1 }}\nprotocol: {protocol}\nnuclide: I-131\ncycles:\n  - {{ number: 1, \
                 administered: {{ activity_mbq: 185, at: 2026-01-02T10:00:00Z }} }}\n{measured}"
            );
            Plan::read("p.yaml", &text, &Protocols::load(None).unwrap()).unwrap()
        };
        let by_counts = "i131-tositumomab-wb";
        let warning = counts_warning(&plan(by_counts, "")).unwrap();
        assert_eq!(warning.code, "whole-body-from-views");
        assert!(warning.text.contains("no room background was subtracted"));
        let stated = "measured: { whole_body_counts: [{ hours: 0, anterior: 9, posterior: 9 }] }\n";
        assert_eq!(counts_warning(&plan(by_counts, stated)), None);
        assert_eq!(counts_warning(&plan("multi-time-point", "")), None);
    }
}
