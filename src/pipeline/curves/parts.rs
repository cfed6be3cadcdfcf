//! Which images give a curve its shape and which its scale.
//!
//! Usually all images do both. Planar views and counts without a calibration may give the shape alone:
//! s(t) is fitted to them and scaled through the one image whose activities are to be trusted,
//! A(t) = A(t*) · s(t)/s(t*).

use super::super::activity::TimePointImage;
use super::super::inputs::Inputs;
use super::super::{PipelineError, Request};
use super::method::{half_life_of_one_image, method};
use crate::config::PlanarUse;
use crate::kinetics::{self, CurvePoint, Fit, Method, TimeActivityCurve};
use crate::quantify::CONSTANTS;
use crate::quantity::{PerSecond, Warning};

/// Indices of time points.
#[derive(Debug, PartialEq)]
pub enum Parts {
    /// Each is a point of the curve.
    One,
    /// Planar views are the shape, an activity that is held against the scale's.
    Planar { shape: Vec<usize>, scale: usize },
    /// Counts of no known scale are.
    Counts { shape: Vec<usize>, scale: usize },
}

impl Parts {
    /// # Errors
    /// A shape that no image scales, or several.
    pub fn of(
        inputs: &Inputs,
        images: &[TimePointImage],
        request: &Request,
    ) -> Result<Self, PipelineError> {
        let is_planar = |n: &usize| inputs.planar_point(&inputs.emissions[*n].series).is_some();
        let (planar, spect): (Vec<usize>, Vec<usize>) = (0..images.len()).partition(is_planar);
        let (counts, absolute): (Vec<usize>, Vec<usize>) =
            spect.iter().partition(|n| images[**n].is_relative);
        if !counts.is_empty() {
            return Self::counts(counts, &absolute, &planar);
        }
        let by_planar = request.plan.parameters.imaging.planar == PlanarUse::Shape;
        if !by_planar || planar.is_empty() || spect.is_empty() {
            return Ok(Self::One);
        }
        match spect[..] {
            [scale] => Ok(Self::Planar { shape: planar, scale }),
            _ => Err(PipelineError::Parked(format!(
                "`imaging: planar: shape` scales the planar curve through one SPECT, and {} were found; \
                 narrow the plan's `match`, or write `planar: activity`",
                spect.len()
            ))),
        }
    }

    fn counts(
        shape: Vec<usize>,
        absolute: &[usize],
        planar: &[usize],
    ) -> Result<Self, PipelineError> {
        if !planar.is_empty() {
            return Err(PipelineError::Parked(
                "planar views and SPECT in counts without a calibration cannot be points of one curve; add \
                 the calibration of the SPECT to the configuration, or narrow the plan's `match`"
                    .into(),
            ));
        }
        match *absolute {
            [scale] => Ok(Self::Counts { shape, scale }),
            _ => Err(PipelineError::Parked(format!(
                "`imaging: uncalibrated_spect: shape` scales the curve of {} SPECT in counts through one \
                 image in Bq/ml, and {} were found; send the PET or SPECT in Bq/ml, narrow the plan's \
                 `match` to one, or add the camera's calibration to the configuration",
                shape.len(),
                absolute.len()
            ))),
        }
    }
}

/// One region's points with what they are fitted by.
pub struct Points<'a> {
    /// Name of the region, and of the one that it is a part of.
    pub region: &'a str,
    pub within: Option<&'a str>,
    /// Of every time point.
    pub points: Vec<CurvePoint>,
    pub physical: PerSecond,
    pub request: &'a Request,
}

impl Points<'_> {
    /// The curve, and what one unit of a shape in counts stands for, Bq (1 for all others).
    pub fn fit(
        &self,
        parts: &Parts,
        warnings: &mut Vec<Warning>,
    ) -> Result<(Fit, f64), PipelineError> {
        let all = || (0..self.points.len()).collect::<Vec<_>>();
        match parts {
            Parts::One => Ok((self.through(&all(), false, warnings)?, 1.0)),
            Parts::Planar { shape, scale } => {
                let (fit, scale) = self.scaled(shape, *scale, false, warnings)?;
                // Both measure the same activity.
                if (scale - 1.0).abs() > CONSTANTS.hybrid_scale_warn.value {
                    let text = format!(
                        "the SPECT shows {scale:.2} times the activity that the planar views show at \
                         that time; the SPECT's was used"
                    );
                    warnings.push(Warning::new("hybrid-scale", text));
                }
                Ok((fit, 1.0))
            }
            Parts::Counts { shape, scale } => self.scaled(shape, *scale, true, warnings),
        }
    }

    /// The shape's curve through the scale's point, and its size over the shape's own.
    fn scaled(
        &self,
        shape: &[usize],
        scale: usize,
        clears_only: bool,
        warnings: &mut Vec<Warning>,
    ) -> Result<(Fit, f64), PipelineError> {
        let name = self.region;
        let shape = self.through(shape, clears_only, warnings)?;
        if clears_only && shape.terms.iter().any(|term| term.amplitude.value() < 0.0) {
            return Err(PipelineError::Parked(format!(
                "counts of region {name} are fitted by a rise from nothing, which says little of how the \
                 image in Bq/ml scales them; write `kinetics: method: bi-exponential` (or `region_methods`)"
            )));
        }
        let scaled = shape
            .scaled_through(self.points[scale])
            .map_err(|error| PipelineError::of_kinetics(name, error))?;
        let ratio = scaled.time_integrated_activity / shape.time_integrated_activity;
        Ok((scaled, ratio))
    }

    fn through(
        &self,
        chosen: &[usize],
        clears_only: bool,
        warnings: &mut Vec<Warning>,
    ) -> Result<Fit, PipelineError> {
        let kinetics = &self.request.plan.parameters.kinetics;
        let points: Vec<CurvePoint> = chosen.iter().map(|&n| self.points[n]).collect();
        let method = match half_life_of_one_image(self.region, self.within, &points, self.request)?
        {
            Some((half_life, warning)) => {
                warnings.push(warning);
                half_life.method()
            }
            None => match method(self.region, kinetics, &points, warnings)? {
                Method::BiExponential if clears_only => Method::TwoClearances,
                method => method,
            },
        };
        let curve = TimeActivityCurve { points, physical: self.physical };
        kinetics::fit(&curve, method)
            .map_err(|error| PipelineError::of_kinetics(self.region, error))
    }
}

#[cfg(test)]
mod tests;
