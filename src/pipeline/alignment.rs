//! Time points that no object places: registered by their images, CT to CT where both have one.

use super::error::parked;
use super::inputs::Inputs;
use super::placement;
use super::space::{self, Space};
use super::{PipelineError, Request};
use crate::config::RegistrationMethod;
use crate::dicom::Uid;
use crate::quantity::Warning;
use crate::register::{self, Constants, Metric, Registered};
use crate::report::RegisteredMotion;
use crate::volume::transform::{Affine, Transform};
use crate::volume::{Grid, Volume};
use std::borrow::Cow;
use std::sync::Arc;

const CT_TO_CT: &str = "CT to CT";

/// A registration that was computed here.
#[derive(Debug, Clone, PartialEq)]
pub struct Alignment {
    /// Frame of reference that points are taken to: that of the regions.
    pub registered_frame: Uid,
    pub moving: Space,
    /// x_registered = M · x_moving; where a deformation follows, what it started from.
    pub start: Affine,
    pub motion: RegisteredMotion,
    /// `CT to CT`, and so on: what was compared with what.
    pub images: &'static str,
    pub metric: &'static str,
    pub score: f64,
    pub overlap: f64,
}

impl Alignment {
    /// The map of the moving space's points.
    pub fn moving_to_registered(&self) -> Transform {
        match &self.motion {
            RegisteredMotion::Deformable { map, .. } => Transform::InverseDeformable(map.clone()),
            RegisteredMotion::Rigid | RegisteredMotion::Affine => Transform::Affine(self.start),
        }
    }

    pub fn warning(&self) -> Warning {
        let series = self.moving.series.first().map_or("", Uid::as_str);
        Warning::new(
            "registered-by-images",
            format!(
                "image series {series} was placed by {} registration of {}: {} {:.3}, overlap \
                 {:.2}{}; see the Spatial Registration object{}",
                self.motion.name(),
                self.images,
                self.metric,
                self.score,
                self.overlap,
                self.motion.jacobian(),
                match self.motion {
                    RegisteredMotion::Deformable { .. } =>
                        " (Deformable): regions follow the organs, no activity and no dose is carried by it",
                    _ => "",
                }
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
    let method = request.plan.parameters.registration.method;
    if method == RegistrationMethod::None {
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
        let Some(pair) = Pair::of(inputs, fixed, &moving)? else { continue };
        let (registered, motion) = pair.register(method)?;
        found.push(Alignment {
            registered_frame: frame,
            moving,
            start: registered.fixed_to_moving.inverse(),
            motion,
            images: pair.images,
            metric: pair.metric.name(),
            score: registered.score,
            overlap: registered.overlap,
        });
    }
    Ok(found)
}

/// What is compared with what, by what, and the least score.
struct Pair<'a> {
    series: String,
    fixed: Cow<'a, Volume<f32>>,
    moving: Cow<'a, Volume<f32>>,
    images: &'static str,
    metric: Metric,
    score_min: f64,
}

impl<'a> Pair<'a> {
    /// What images there are in the two spaces, of one modality before two; none where one space has none.
    fn of(
        inputs: &'a Inputs,
        fixed: &Space,
        moving: &Space,
    ) -> Result<Option<Self>, PipelineError> {
        let of = register::constants();
        let series = moving.series.first().map_or("", Uid::as_str).to_owned();
        let cts = (windowed(ct_in(inputs, fixed)?, of), windowed(ct_in(inputs, moving)?, of));
        let emissions = (
            emission_in(inputs, fixed)?.map(Cow::Borrowed),
            emission_in(inputs, moving)?.map(Cow::Borrowed),
        );
        let (one, two) = (Metric::Correlation, Metric::MutualInformation);
        let (fixed, moving, images, metric, score_min) = match (cts, emissions) {
            ((Some(fixed), Some(moving)), _) => {
                (fixed, moving, CT_TO_CT, one, of.correlation_min_ct.value)
            }
            (_, (Some(fixed), Some(moving))) => {
                (fixed, moving, "emission to emission", one, of.correlation_min_emission.value)
            }
            ((Some(fixed), _), (_, Some(moving))) => {
                (fixed, moving, "emission to CT", two, of.mutual_information_min.value)
            }
            ((_, Some(moving)), (Some(fixed), _)) => {
                (fixed, moving, "CT to emission", two, of.mutual_information_min.value)
            }
            _ => return Ok(None),
        };
        Ok(Some(Self { series, fixed, moving, images, metric, score_min }))
    }

    /// Rigid first, or affine between CTs; a deformation follows where it is asked for.
    fn register(
        &self,
        method: RegistrationMethod,
    ) -> Result<(Registered, RegisteredMotion), PipelineError> {
        let of = register::constants();
        let what = format_args!("registration of image series {}", self.series).to_string();
        let both_ct = self.images == CT_TO_CT;
        if method == RegistrationMethod::Deformable && !both_ct {
            let reason = "`registration: { method: deformable }` needs a CT at every time point; send it, or write \
                          `method: rigid`";
            return Err(parked(what, reason));
        }
        let affine = method == RegistrationMethod::Affine && both_ct;
        let motion = if affine { register::Motion::Affine } else { register::Motion::Rigid };
        let settings = of.settings(motion, self.metric, self.score_min);
        let mut registered = register::register(&self.fixed, &self.moving, &settings)
            .map_err(|error| parked(&what, error))?;
        if method != RegistrationMethod::Deformable {
            let motion = if affine { RegisteredMotion::Affine } else { RegisteredMotion::Rigid };
            return Ok((registered, motion));
        }
        let settings = of.deformable(self.score_min);
        let start = &registered.fixed_to_moving;
        let done = register::deform(&self.fixed, &self.moving, start, &settings)
            .map_err(|error| parked(&what, error))?;
        registered.score = done.score[1];
        let map = Arc::new(done.fixed_to_moving);
        Ok((registered, RegisteredMotion::Deformable { map, jacobian: done.jacobian }))
    }
}

/// Metal and the air around count no more than tissue.
fn windowed<'a>(ct: Option<&Volume<f32>>, of: &Constants) -> Option<Cow<'a, Volume<f32>>> {
    let [low, high] = of.ct_window_hu.value;
    let windowed =
        |hu: &Volume<f32>| Volume::new(hu.grid().clone(), hu.values().mapv(|v| v.clamp(low, high)));
    ct.map(|hu| Cow::Owned(windowed(hu)))
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
