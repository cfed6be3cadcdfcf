//! One scan without a CT: rates, the activities of its outlines, counts of the whole body.

use super::super::error::parked;
use super::super::inputs::Inputs;
use super::super::{PipelineError, Request, activity, planar};
use super::attenuation::Attenuation;
use crate::config::CameraSettings;
use crate::config::plan::WholeBodyCount;
use crate::config::protocol::ViewSizes;
use crate::dicom::read::{self, Code, Planar, outlines_on};
use crate::quantify::planar::{
    BodyPath, NetRate, Outlined, OutlinedBackground, OutlinedRegion, OutlinedScan, ViewOutline,
    WindowRoles, covers_body, split_backgrounds,
};
use crate::quantify::{CONSTANTS, check_plausible};
use crate::quantity::{Becquerel, Measured, Millimetre, Warning};
use crate::report::{Acquisition, TimePoint};

/// What one scan shows.
pub struct Seen {
    pub point: TimePoint,
    /// Of views of the whole body, as attenuated.
    pub counts: Option<WholeBodyCount>,
    pub regions: Vec<SeenRegion>,
    pub warnings: Vec<Warning>,
}

pub struct SeenRegion {
    pub name: String,
    pub anatomy: Option<Code>,
    /// With the uncertainty of counting.
    pub activity: Measured<Becquerel>,
    /// Relative standard uncertainty (k = 1) by attenuation, which all scans share.
    pub attenuation: Option<f64>,
    /// The same of the sensitivity.
    pub calibration: Option<f64>,
}

/// Measures one scan.
///
/// # Errors
/// What the scan, its outlines, the camera or the plan lack.
pub fn see(inputs: &Inputs, scan: &Planar, request: &Request) -> Result<Seen, PipelineError> {
    let what = format!("planar series {}", scan.series);
    let refused = |error: PipelineError| match error {
        PipelineError::Parked(why) => PipelineError::Parked(format!("{what}: {why}")),
        failed => failed,
    };
    activity::check_nuclide(&what, scan, request)?;
    let cycle = request.plan.cycle(request.cycle).ok_or_else(|| {
        PipelineError::Parked(format!("the plan has no cycle {}; add it", request.cycle))
    })?;
    let after = activity::after(&what, scan.acquired, cycle.administered.at, request.cycle)?;
    let camera = activity::camera(&request.cameras, &scan.device, request.nuclide());
    let (roles, rates) = planar::rates(scan, camera, request.nuclide()).map_err(refused)?;
    let counts = planar::whole_cps(&scan.image.exposure, &rates);
    let drawn = outlines_on(&inputs.view_outlines, scan)
        .map_err(|error| PipelineError::of_read(&what, error))?;
    let mut warnings = scan.image.warnings.clone();
    let mut regions = Vec::new();
    let mut how = "counts of both views; no region was outlined".to_owned();
    if !drawn.is_empty() {
        let measuring = Measuring { inputs, scan, request, camera, roles, rates: &rates };
        let found = measuring.regions(&drawn).map_err(refused)?;
        how = found.how;
        warnings.extend(found.warnings);
        regions = found.regions;
        let rate = request.nuclide().decay()?.half_life.half_life_to_rate();
        let left = cycle.administered.activity * (-rate.value() * after.value()).exp();
        for region in &regions {
            check_plausible(
                region.activity.value,
                left,
                [0.0, CONSTANTS.plausible_part_most.value],
            )
            .map_err(|error| parked(format_args!("{what}, region {}", region.name), error))?;
        }
    }
    let whole = regions.iter().find(|region| covers_body(&region.name));
    Ok(Seen {
        point: TimePoint {
            acquired: scan.acquired,
            after_administration: after,
            series: scan.series.clone(),
            modality: scan.modality.clone(),
            is_planar: true,
            field_of_view: whole.map(|region| region.activity.value),
            quantification: how,
            acquisition: Acquisition {
                calibrated_on: camera.and_then(|camera| camera.calibrated_on),
                checked_on: cycle.camera_checked_on.or(camera.and_then(|camera| camera.checked_on)),
                ..scan.acquisition.clone()
            },
        },
        counts: counts.map(|counted| WholeBodyCount::without_background(after, counted)),
        regions,
        warnings,
    })
}

/// Two scans of one moment are two pictures of one time point.
pub fn check_distinct(seen: &[Seen]) -> Result<(), PipelineError> {
    for pair in seen.windows(2) {
        let [first, second] = [&pair[0].point, &pair[1].point];
        if first.after_administration == second.after_administration {
            return Err(PipelineError::Parked(format!(
                "series {} and {} were acquired at the same time; say in the plan's `match` which one is to be \
                 used (SeriesDescription, for example)",
                first.series, second.series
            )));
        }
    }
    Ok(())
}

/// What outlines are measured with.
struct Measuring<'a> {
    inputs: &'a Inputs,
    scan: &'a Planar,
    request: &'a Request,
    camera: Option<&'a CameraSettings>,
    roles: WindowRoles,
    rates: &'a [NetRate; 2],
}

struct Found {
    regions: Vec<SeenRegion>,
    how: String,
    warnings: Vec<Warning>,
}

impl Measuring<'_> {
    fn regions(&self, drawn: &[read::OutlinedRegion]) -> Result<Found, PipelineError> {
        let settings = planar::settings(self.camera, self.request.nuclide())?;
        let ratio = planar::broad_beam_ratio(&self.roles, &settings)?;
        let attenuation =
            Attenuation::of(self.inputs, self.scan, self.roles.photopeak, ratio, &settings)?;
        let sizes = &self.request.plan.parameters.quantification.views;
        let outlines: Vec<ViewOutline> =
            drawn.iter().map(|region| region.outline.clone()).collect();
        let (own, backgrounds) = split_backgrounds(&outlines);
        let regions = own
            .iter()
            .map(|outline| self.region(outline, &attenuation, sizes))
            .collect::<Result<Vec<_>, _>>()?;
        let backgrounds: Vec<OutlinedBackground<'_>> = backgrounds
            .into_iter()
            .map(|outline| OutlinedBackground {
                outline,
                body: sizes.background_thickness(&outline.name).map(|mm| Millimetre::new(mm.value)),
            })
            .collect();
        let found = OutlinedScan {
            rates: self.rates,
            regions: &regions,
            backgrounds: &backgrounds,
            cps_per_mbq: settings.cps_per_mbq,
            attenuation_per_cm: attenuation.per_cm,
        }
        .activities()?;
        let anatomy =
            |name: &str| drawn.iter().find(|region| region.outline.name == name)?.anatomy.clone();
        let seen = |region: Outlined| SeenRegion {
            anatomy: anatomy(&region.name),
            name: region.name,
            activity: region.activity,
            attenuation: region.systematic,
            calibration: settings.relative_uncertainty,
        };
        Ok(Found {
            regions: found.regions.into_iter().map(seen).collect(),
            how: format!(
                "Geometric mean of anterior and posterior counts at {:.1} keV, {}, {}, with {} cps/MBq",
                self.roles.photopeak.value(),
                planar::scatter_text(&self.roles, &settings),
                attenuation.how(),
                settings.cps_per_mbq
            ),
            warnings: found.warnings,
        })
    }

    fn region<'b>(
        &self,
        outline: &'b ViewOutline,
        attenuation: &'b Attenuation,
        sizes: &ViewSizes,
    ) -> Result<OutlinedRegion<'b>, PipelineError> {
        let name = &outline.name;
        let stated = sizes.body_thickness(name);
        let body = match (&attenuation.transmission, stated) {
            (Some(depth), _) => BodyPath::Transmission(depth),
            (None, Some(mm)) => BodyPath::Thickness {
                body: Millimetre::new(mm.value),
                relative_uncertainty: sizes
                    .thickness_relative_uncertainty
                    .as_ref()
                    .map(|part| part.value),
            },
            (None, None) => {
                return Err(PipelineError::Parked(format!(
                    "what attenuates photons of region {name} is not known; send a CT, a transmission scan with \
                     its blank, or state `settings: quantification: views: body_thickness_mm` in the plan"
                )));
            }
        };
        let thickness = sizes.region_thickness(name).map(|mm| Millimetre::new(mm.value));
        Ok(OutlinedRegion { outline, body, thickness })
    }
}
