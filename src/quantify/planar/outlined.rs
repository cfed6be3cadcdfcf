//! Activities of regions outlined on the two views of one scan (MIRD pamphlet 16, Siegel 1999), for sites
//! without a CT: A = √(I_A I_P e^(μT)) f / C.
//!
//! In: net rates, outlines, sensitivity, attenuation and what of the body lies along each region's lines of
//! sight. Out: each region's activity at the beginning of the scan with the uncertainty of counting, and apart
//! from it that of the attenuation, which all scans of a course share. Equations, decisions and measured
//! errors: `docs/methods/planar.md`.

mod error;
mod names;
mod path;
mod pixels;
mod said;
mod seen;
mod whole;

pub use error::OutlineError;
pub use names::{covers_body, split_backgrounds};

use super::conjugate::ConjugateView;
use super::image::{View, ViewOutline};
use super::rates::NetRate;
use super::transmission::TransmissionDepth;
use crate::quantify::{CONSTANTS, QuantifyError};
use crate::quantity::{Becquerel, Measured, Millimetre, PerSecond, Warning};
use ndarray::Array2;
use path::Path;
use pixels::{Area, Background};
use said::Said;
use seen::Seen;
use std::collections::BTreeMap;
use whole::Part;

/// What of the body lies along the lines of sight through a region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BodyPath<'a> {
    /// As stated: of soft tissue that attenuates as much, so of the chest less than from skin to skin.
    Thickness {
        body: Millimetre,
        /// Standard uncertainty (k = 1) over the thickness; `None` where it is not known.
        relative_uncertainty: Option<f64>,
    },
    /// Pixel by pixel, on the scan's raster.
    Transmission(&'a TransmissionDepth),
}

/// One region to be measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutlinedRegion<'a> {
    pub outline: &'a ViewOutline,
    pub body: BodyPath<'a>,
    /// Of the region itself along the line of sight, of soft tissue that attenuates as much. `None` is a thin
    /// one: no self-attenuation, and the whole background lies before and behind it. The whole body fills
    /// itself where nothing else is stated.
    pub thickness: Option<Millimetre>,
}

/// Tissue beside a region, or all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutlinedBackground<'a> {
    pub outline: &'a ViewOutline,
    /// Of the patient there, for regions where that is stated too; `None`: as at the region.
    pub body: Option<Millimetre>,
}

/// One scan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutlinedScan<'a> {
    /// Of both views, in the order of [`View::BOTH`], at the beginning of the scan.
    pub rates: &'a [NetRate; 2],
    pub regions: &'a [OutlinedRegion<'a>],
    /// Outlines named `X background` or `background`, see [`split_backgrounds`].
    pub backgrounds: &'a [OutlinedBackground<'a>],
    /// Of one detector in air.
    pub cps_per_mbq: f64,
    /// Of soft tissue at the photopeak, 1/cm; for views without scatter windows times the ratio of broad to
    /// narrow beam.
    pub attenuation_per_cm: f64,
}

/// One region's activity.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlined {
    pub name: String,
    /// At the beginning of the scan, with the uncertainty of counting in region and background. A region that no
    /// longer stands out of its background has 0 and no uncertainty.
    pub activity: Measured<Becquerel>,
    /// Relative standard uncertainty (k = 1) of the attenuation, which the points of a curve share, however
    /// often they are measured. `None` where that of the thickness is not stated.
    pub systematic: Option<f64>,
    /// Of the anterior and the posterior view, without background, as attenuated.
    pub net_cps: [PerSecond; 2],
    /// Mean free paths through the body, mean over the region's pixels.
    pub depth: f64,
}

/// Every region's activity, in the order they were given. The whole body's is the sum of the others' and of what
/// is left, taken as even from front to back.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlinedActivities {
    pub regions: Vec<Outlined>,
    pub warnings: Vec<Warning>,
}

impl OutlinedScan<'_> {
    /// Measures every region.
    ///
    /// # Errors
    /// [`QuantifyError::Outline`] for a region that the views do not tell, with the remedy;
    /// [`QuantifyError::ConjugateView`] for a sensitivity or attenuation that cannot be.
    pub fn activities(&self) -> Result<OutlinedActivities, QuantifyError> {
        let mut said = Said::default();
        let is_whole = |n: &usize| covers_body(&self.regions[*n].outline.name);
        let (whole, parts): (Vec<usize>, Vec<usize>) = (0..self.regions.len()).partition(is_whole);
        let mut found = BTreeMap::new();
        for n in parts {
            found.insert(n, self.one(n, &[], &mut said)?);
        }
        for n in whole {
            let measured = found.iter().filter(|(n, _)| !is_whole(n)).map(|(_, found)| found);
            let standing: Vec<&(Outlined, Part<'_>)> =
                measured.filter(|(one, _)| one.activity.value.value() > 0.0).collect();
            let parts: Vec<&Part<'_>> = standing.iter().map(|(_, part)| part).collect();
            let (rest, part) = self.one(n, &parts, &mut said)?;
            let activities: Vec<&Outlined> = standing.iter().map(|(one, _)| one).collect();
            let sum = whole::sum(rest, &activities);
            found.insert(n, (sum, part));
        }
        said.unused(self);
        let regions = found.into_values().map(|(one, _)| one).collect();
        Ok(OutlinedActivities { regions, warnings: said.warnings() })
    }

    /// One region; of the whole body what is left without its parts.
    fn one(
        &self,
        n: usize,
        parts: &[&Part<'_>],
        said: &mut Said,
    ) -> Result<(Outlined, Part<'_>), QuantifyError> {
        let region = &self.regions[n];
        let name = region.outline.name.as_str();
        let [anterior, posterior] = [0, 1].map(|view| pixels::area(self, n, view));
        let areas = [anterior?, posterior?];
        said.of_areas(self, name, &areas);
        let path = Path::of(self, region, &areas, 1.0)?;
        let background = self.background(n, &path)?;
        said.of_region(region, background.as_ref());
        let views = seen::both(self, &areas, &path, background.as_ref());
        let views = whole::without(views, &path, parts);
        let activity = self.activity(region, &views)?;
        let cleared = standing_out(name, &views)?;
        if cleared {
            said.cleared.push(name.to_owned());
        }
        let counting =
            views.iter().map(|v| v.variance / v.weighted.powi(2)).sum::<f64>().sqrt() / 2.0;
        let systematic = match region.body {
            _ if cleared => None,
            BodyPath::Thickness { relative_uncertainty: None, .. } => None,
            BodyPath::Thickness { relative_uncertainty: Some(u), .. } => {
                Some(u * self.by_thickness(n, &areas, parts, activity)?.abs())
            }
            BodyPath::Transmission(scan) => Some(by_depths(scan, &path, &areas, &views)),
        };
        let relative_uncertainty = (!cleared).then_some(counting);
        let outlined = Outlined {
            name: name.to_owned(),
            activity: Measured { value: activity, relative_uncertainty },
            systematic,
            net_cps: views.each_ref().map(|view| PerSecond::new(view.plain)),
            depth: path.mean,
        };
        Ok((outlined, Part { areas, path, views }))
    }

    fn background(&self, n: usize, path: &Path<'_>) -> Result<Option<Background>, OutlineError> {
        pixels::background(self, n, |outline, pixel| path.beside(outline, pixel))
    }

    fn activity(
        &self,
        region: &OutlinedRegion<'_>,
        views: &[Seen; 2],
    ) -> Result<Becquerel, QuantifyError> {
        let net = views.each_ref().map(|view| PerSecond::new(view.weighted.max(0.0)));
        ConjugateView {
            // Attenuation is in the weights of the pixels.
            anterior: net[0],
            posterior: net[1],
            attenuation_per_cm: 0.0,
            thickness: Millimetre::new(0.0),
            source_thickness: region.thickness.unwrap_or(Millimetre::new(0.0)),
            source_attenuation_per_cm: self.attenuation_per_cm,
            sensitivity_cps_per_mbq: self.cps_per_mbq,
        }
        .activity()
    }

    /// Relative change of the activity over that of the body's stated thickness, which is in the attenuation and in
    /// what is taken off as background.
    fn by_thickness(
        &self,
        n: usize,
        areas: &[Area; 2],
        parts: &[&Part<'_>],
        activity: Becquerel,
    ) -> Result<f64, QuantifyError> {
        const STEP: f64 = 1e-4;
        let region = &self.regions[n];
        let path = Path::of(self, region, areas, 1.0 + STEP)?;
        let background = self.background(n, &path)?;
        let views = seen::both(self, areas, &path, background.as_ref());
        let views = whole::without(views, &path, parts);
        Ok((self.activity(region, &views)? / activity - 1.0) / STEP)
    }
}

/// Relative uncertainty of the activity by the counting of a transmission scan: through the weights of the pixels.
/// What its noise does to the background is less, since that is a mean over pixels too.
fn by_depths(
    scan: &TransmissionDepth,
    path: &Path<'_>,
    areas: &[Area; 2],
    views: &[Seen; 2],
) -> f64 {
    // Derivative of ln A by the depth of each pixel.
    let mut by_depth = Array2::<f64>::zeros(scan.depth.dim());
    for (area, view) in areas.iter().zip(views) {
        for (pixel, net) in area.free.iter().zip(&view.weighted_pixels) {
            by_depth[*pixel] += path.slope(*pixel) * net * area.scale() / view.weighted / 2.0;
        }
    }
    // Pixels beside the region may have no depth and count for nothing.
    let counted = by_depth.iter().zip(&scan.variance).filter(|(g, _)| **g != 0.0);
    counted.map(|(g, variance)| g * g * variance).sum::<f64>().sqrt()
}

/// Does the region stand out of its background in neither view? One that does in one alone has no
/// geometric mean.
fn standing_out(name: &str, views: &[Seen; 2]) -> Result<bool, OutlineError> {
    let bound = CONSTANTS.net_rate_significant.value;
    let above = views.each_ref().map(|view| view.weighted / view.variance.sqrt());
    for (view, above) in View::BOTH.into_iter().zip(above) {
        if above < -bound {
            let (region, below) = (name.to_owned(), -above);
            return Err(OutlineError::BelowBackground { region, view: view.name(), below });
        }
    }
    let nothing = views.each_ref().map(|view| view.weighted <= 0.0);
    for [seen, unseen] in [[0, 1], [1, 0]] {
        if nothing[unseen] && !nothing[seen] && above[seen] > bound {
            return Err(OutlineError::SeenFromOneSide {
                region: name.to_owned(),
                seen: View::BOTH[seen].name(),
                unseen: View::BOTH[unseen].name(),
            });
        }
    }
    Ok(nothing.contains(&true))
}

#[cfg(test)]
mod tests;
