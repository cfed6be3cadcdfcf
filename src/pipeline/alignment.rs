//! Time points that no object places: registered by their images, CT to CT where both have one.

use super::error::parked;
use super::inputs::Inputs;
use super::placement;
use super::space::{self, Space};
use super::{PipelineError, Request};
use crate::config::RegistrationMethod;
use crate::dicom::Uid;
use crate::quantity::Warning;
use crate::register::{self, Constants, Registered, Settings};
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
    /// `CT` or `emission`.
    pub images: &'static str,
    pub correlation: f64,
    pub overlap: f64,
}

impl Alignment {
    pub fn warning(&self) -> Warning {
        let series = self.moving.series.first().map_or("", Uid::as_str);
        Warning::new(
            "registered-by-images",
            format!(
                "image series {series} was placed by registration of its {} images: correlation {:.3}, \
                 overlap {:.2}; see the Spatial Registration object",
                self.images, self.correlation, self.overlap
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
        let Some((registered, images)) = images(inputs, fixed, &moving)? else { continue };
        found.push(Alignment {
            registered_frame: frame,
            moving,
            moving_to_registered: registered.fixed_to_moving.inverse(),
            images,
            correlation: registered.correlation,
            overlap: registered.overlap,
        });
    }
    Ok(found)
}

/// Registers what images the two spaces have in common; none where they have none.
fn images(
    inputs: &Inputs,
    fixed: &Space,
    moving: &Space,
) -> Result<Option<(Registered, &'static str)>, PipelineError> {
    let constants = register::constants();
    let series = moving.series.first().map_or("", Uid::as_str);
    let refused = |error| parked(format_args!("registration of image series {series}"), error);
    if let (Some(fixed), Some(moving)) = (ct_in(inputs, fixed)?, ct_in(inputs, moving)?) {
        let [low, high] = constants.ct_window_hu.value;
        let clamp = |hu: &Volume<f32>| {
            Volume::new(hu.grid().clone(), hu.values().mapv(|v| v.clamp(low, high)))
        };
        let settings = settings(constants, constants.correlation_min_ct.value);
        let done = register::register(&clamp(fixed), &clamp(moving), &settings);
        return done.map(|done| Some((done, "CT"))).map_err(refused);
    }
    if let (Some(fixed), Some(moving)) = (emission_in(inputs, fixed)?, emission_in(inputs, moving)?)
    {
        let settings = settings(constants, constants.correlation_min_emission.value);
        let done = register::register(fixed, moving, &settings);
        return done.map(|done| Some((done, "emission"))).map_err(refused);
    }
    Ok(None)
}

fn settings(constants: &Constants, correlation_min: f64) -> Settings {
    Settings {
        motion: register::Motion::Rigid,
        levels_mm: constants.levels_mm.value.clone(),
        correlation_min,
        overlap_min: constants.overlap_min.value,
    }
}

/// The largest CT in these coordinates.
fn ct_in<'a>(inputs: &'a Inputs, space: &Space) -> Result<Option<&'a Volume<f32>>, PipelineError> {
    let mut best: Option<&Volume<f32>> = None;
    for ct in &inputs.cts {
        let own = Space {
            frame: ct.frame_of_reference.clone(),
            series: vec![ct.series.clone()],
            images: ct.sources.iter().map(|s| s.sop_instance.clone()).collect(),
        };
        larger(inputs, space, &own, &ct.hu, &mut best)?;
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
