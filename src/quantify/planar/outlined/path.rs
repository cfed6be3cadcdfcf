//! Mean free paths through the body at each pixel of a region.

use super::pixels::Area;
use super::{
    BodyPath, OutlineError, OutlinedBackground, OutlinedRegion, OutlinedScan, covers_body,
};
use crate::quantify::QuantifyError;
use crate::quantify::planar::conjugate::self_attenuation;

pub(super) struct Path<'a> {
    body: BodyPath<'a>,
    /// Of a stated thickness.
    pub uniform: f64,
    /// Over the region's free pixels of both views.
    pub mean: f64,
    /// Of the region itself; 0 of the whole body, before and behind which lies nothing.
    pub own: f64,
    whole: bool,
    /// The region fills the body along its lines of sight.
    fills: bool,
}

impl<'a> Path<'a> {
    /// `factor` on a stated thickness of the body.
    pub fn of(
        scan: &OutlinedScan<'_>,
        region: &OutlinedRegion<'a>,
        areas: &[Area; 2],
        factor: f64,
    ) -> Result<Self, QuantifyError> {
        let name = || region.outline.name.clone();
        let mu = scan.attenuation_per_cm / 10.0;
        if !(mu.is_finite() && mu > 0.0) {
            let what = "attenuation is not above zero";
            return Err(QuantifyError::ConjugateView { what });
        }
        let (uniform, mean) = match region.body {
            BodyPath::Thickness { body, .. } => {
                let depth = mu * body.value() * factor;
                (depth, depth)
            }
            BodyPath::Transmission(scan) => {
                let free = areas.iter().flat_map(|area| &area.free);
                let sum: f64 = free.map(|pixel| scan.depth[*pixel]).sum();
                (0.0, sum / areas.iter().map(|area| area.free.len() as f64).sum::<f64>())
            }
        };
        if !mean.is_finite() {
            return Err(OutlineError::NoDepth { region: name() }.into());
        }
        let own_mm = region.thickness.map_or(0.0, |t| t.value());
        let body_mm = mean / mu;
        if !(own_mm >= 0.0 && own_mm <= body_mm.max(0.0)) {
            return Err(OutlineError::ThickerThanBody { region: name(), own_mm, body_mm }.into());
        }
        let whole = covers_body(&region.outline.name);
        let own = if whole { 0.0 } else { mu * own_mm };
        let fills = whole && region.thickness.is_none();
        Ok(Self { body: region.body, uniform, mean, own, whole, fills })
    }

    /// Mean free paths at a pixel of the background; `None` where nothing says that they differ from the region's.
    pub fn beside(&self, background: &OutlinedBackground<'_>, pixel: [usize; 2]) -> Option<f64> {
        match self.body {
            _ if self.whole => None,
            BodyPath::Transmission(scan) => Some(scan.depth[pixel]),
            BodyPath::Thickness { body, .. } => {
                background.body.map(|there| self.uniform * (there / body))
            }
        }
    }

    pub fn depth(&self, pixel: [usize; 2]) -> f64 {
        match self.body {
            BodyPath::Thickness { .. } => self.uniform,
            BodyPath::Transmission(scan) => scan.depth[pixel],
        }
    }

    /// What a pixel's rate counts for: e^(d/2), and times f = (d/2)/sinh(d/2) of a region that fills the body.
    pub fn weight(&self, pixel: [usize; 2]) -> f64 {
        let depth = self.depth(pixel);
        let filling = if self.fills { self_attenuation(depth / 2.0) } else { 1.0 };
        (depth / 2.0).exp() * filling
    }

    /// Change of the weight with depth, over the weight.
    pub fn slope(&self, pixel: [usize; 2]) -> f64 {
        let depth = self.depth(pixel);
        // By f alone 1/d − coth(d/2)/2, which is −d/12 where d is small.
        match self.fills {
            false => 0.5,
            true if depth.abs() < 1e-3 => 0.5 - depth / 12.0,
            true => 1.0 / depth - 1.0 / depth.exp_m1(),
        }
    }
}
