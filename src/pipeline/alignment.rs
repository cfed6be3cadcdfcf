//! Time points that no object places: registered by their images, CT to CT where both have one.

use super::error::parked;
use super::inputs::Inputs;
use super::placement;
use super::space::{self, Space};
use super::{PipelineError, Request};
use crate::config::RegistrationMethod;
use crate::dicom::Uid;
use crate::quantity::Warning;
use crate::quantity::constant::Constant;
use crate::register::{self, Constants, Metric, Registered, Settings};
use crate::volume::transform::{Affine, Transform};
use crate::volume::{Grid, Volume};

/// A registration that was computed here.
#[derive(Debug, Clone, PartialEq)]
pub struct Alignment {
    /// Frame of reference that points are taken to: that of the regions.
    pub registered_frame: Uid,
    pub moving: Space,
    /// x_registered = M · x_moving.
    pub moving_to_registered: Affine,
    /// `CT to CT`, and so on: what was compared with what.
    pub images: &'static str,
    pub metric: &'static str,
    pub score: f64,
    pub overlap: f64,
    /// Least score that was asked for.
    pub gate: &'static Constant,
}

impl Alignment {
    pub fn warning(&self) -> Warning {
        let series = self.moving.series.first().map_or("", Uid::as_str);
        let doubt = match self.gate.is_confirmed() {
            true => String::new(),
            false => format!(
                " (the bound of {} has not been confirmed on wrong pairs: look at the images)",
                self.gate.value
            ),
        };
        Warning::new(
            "registered-by-images",
            format!(
                "image series {series} was placed by registration of {}: {} {:.3}{doubt}, overlap {:.2}; \
                 see the Spatial Registration object",
                self.images, self.metric, self.score, self.overlap
            ),
        )
    }
}

/// Registers every time point that a region cannot be carried to otherwise, where the protocol or the
/// plan asks for it.
///
/// # Errors
/// A registration that stays below its gate parks the job, with its figures and what to send.
pub fn align(inputs: &Inputs, request: &Request) -> Result<Vec<Alignment>, PipelineError> {
    let mut found = Vec::new();
    if request.plan.parameters.registration.method == RegistrationMethod::None {
        return Ok(found);
    }
    let mut anchor: Option<Space> = None;
    for (emission, regions) in placement::unreached(inputs, request)? {
        let fixed = anchor.get_or_insert(regions);
        // Regions with a frame of reference of their own can be pointed to; others wait in `place`.
        let Some(frame) = fixed.frame.clone() else { continue };
        let moving = Space::of(&inputs.emissions[emission]);
        if space::map(inputs, &moving, fixed)?.is_some() {
            continue;
        }
        let Some((registered, images, metric, gate)) = images(inputs, fixed, &moving)? else {
            continue;
        };
        found.push(Alignment {
            registered_frame: frame,
            moving,
            moving_to_registered: registered.fixed_to_moving.inverse(),
            images,
            metric: metric.name(),
            score: registered.score,
            overlap: registered.overlap,
            gate,
        });
    }
    Ok(found)
}

/// Registers what images there are in the two spaces, of one modality before two; none where one space
/// has none. With what was compared, by what, and the least score.
fn images(
    inputs: &Inputs,
    fixed: &Space,
    moving: &Space,
) -> Result<Option<(Registered, &'static str, Metric, &'static Constant)>, PipelineError> {
    let of = register::constants();
    let series = moving.series.first().map_or("", Uid::as_str);
    let cts = (windowed(ct_in(inputs, fixed)?, of), windowed(ct_in(inputs, moving)?, of));
    let emissions = (emission_in(inputs, fixed)?, emission_in(inputs, moving)?);
    let (one, two) = (Metric::Correlation, Metric::MutualInformation);
    let (fixed, moving, images, metric, gate) = match (&cts, emissions) {
        ((Some(fixed), Some(moving)), _) => {
            (fixed, moving, "CT to CT", one, &of.correlation_min_ct)
        }
        (_, (Some(fixed), Some(moving))) => {
            (fixed, moving, "emission to emission", one, &of.correlation_min_emission)
        }
        ((Some(fixed), _), (_, Some(moving))) => {
            (fixed, moving, "emission to CT", two, &of.mutual_information_min)
        }
        ((_, Some(moving)), (Some(fixed), _)) => {
            (fixed, moving, "CT to emission", two, &of.mutual_information_min)
        }
        _ => return Ok(None),
    };
    let levels = match metric {
        Metric::Correlation => &of.levels_mm,
        Metric::MutualInformation => &of.levels_of_two_modalities_mm,
    };
    let settings = Settings {
        motion: register::Motion::Rigid,
        metric,
        levels_mm: levels.value.clone(),
        score_min: gate.value,
        overlap_min: of.overlap_min.value,
    };
    register::register(fixed, moving, &settings)
        .map(|done| Some((done, images, metric, gate)))
        .map_err(|error| parked(format_args!("registration of image series {series}"), error))
}

/// Metal and the air around count no more than tissue.
fn windowed(ct: Option<&Volume<f32>>, of: &Constants) -> Option<Volume<f32>> {
    let [low, high] = of.ct_window_hu.value;
    ct.map(|hu| Volume::new(hu.grid().clone(), hu.values().mapv(|v| v.clamp(low, high))))
}

/// The largest CT in these coordinates.
fn ct_in<'a>(inputs: &'a Inputs, space: &Space) -> Result<Option<&'a Volume<f32>>, PipelineError> {
    let mut best: Option<&Volume<f32>> = None;
    for ct in &inputs.cts {
        larger(inputs, space, &Space::of_ct(ct), &ct.hu, &mut best)?;
    }
    Ok(best)
}

fn emission_in<'a>(
    inputs: &'a Inputs,
    space: &Space,
) -> Result<Option<&'a Volume<f32>>, PipelineError> {
    let mut best = None;
    for emission in &inputs.emissions {
        larger(inputs, space, &Space::of(emission), &emission.image.values, &mut best)?;
    }
    Ok(best)
}

fn larger<'a>(
    inputs: &Inputs,
    space: &Space,
    own: &Space,
    volume: &'a Volume<f32>,
    best: &mut Option<&'a Volume<f32>>,
) -> Result<(), PipelineError> {
    let size = |grid: &Grid| grid.voxel_volume().value() * grid.len() as f64;
    let here = space::map(inputs, space, own)? == Some(Transform::Identity);
    if here && best.is_none_or(|other| size(volume.grid()) > size(other.grid())) {
        *best = Some(volume);
    }
    Ok(())
}
