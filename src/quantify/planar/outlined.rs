//! Activities of regions outlined on the two views of one scan (MIRD pamphlet 16, Siegel 1999), for sites
//! without a CT: A = √(I_A I_P e^(μT)) f / C.
//!
//! In: net rates, outlines, sensitivity, attenuation and what of the body lies along each region's lines of
//! sight. Out: each region's activity at the beginning of the scan with the uncertainty of counting, and apart
//! from it that of the attenuation, which all scans of a course share. Equations, decisions and measured
//! errors: `docs/methods/planar.md`.

mod error;
mod names;
mod pixels;

pub use error::OutlineError;
pub use names::{covers_body, split_backgrounds};

use super::conjugate::{ConjugateView, self_attenuation};
use super::image::{View, ViewOutline};
use super::rates::NetRate;
use super::transmission::TransmissionDepth;
use crate::quantify::{CONSTANTS, QuantifyError};
use crate::quantity::{Becquerel, Measured, Millimetre, PerSecond, Warning};
use ndarray::Array2;
use pixels::{Area, Background, Level};

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

/// Every region's activity, in the order they were given.
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
        let regions = (0..self.regions.len())
            .map(|n| self.one(n, &mut said))
            .collect::<Result<Vec<_>, _>>()?;
        said.unused(self);
        Ok(OutlinedActivities { regions, warnings: said.warnings() })
    }

    fn one(&self, n: usize, said: &mut Said) -> Result<Outlined, QuantifyError> {
        let region = &self.regions[n];
        let name = region.outline.name.as_str();
        let areas = [0, 1].map(|view| pixels::area(self, n, view));
        let [anterior, posterior] = areas;
        let areas = [anterior?, posterior?];
        said.of_areas(self, name, &areas);
        let path = Path::of(self, region, &areas)?;
        let background = pixels::background(self, n, |outline, pixel| path.beside(outline, pixel))?;
        said.of_region(region, background.as_ref());
        let views = [0, 1].map(|v| Seen::of(self, v, &areas[v], &path, background.as_ref()));
        let seen_none = standing_out(name, &views)?;
        if seen_none {
            said.cleared.push(name.to_owned());
        }
        let net = views.each_ref().map(|view| view.weighted.max(0.0));
        let activity = ConjugateView {
            // Attenuation is in the weights of the pixels.
            anterior: PerSecond::new(net[0]),
            posterior: PerSecond::new(net[1]),
            attenuation_per_cm: 0.0,
            thickness: Millimetre::new(0.0),
            source_thickness: region.thickness.unwrap_or(Millimetre::new(0.0)),
            source_attenuation_per_cm: self.attenuation_per_cm,
            sensitivity_cps_per_mbq: self.cps_per_mbq,
        }
        .activity()?;
        let counting =
            views.iter().map(|v| v.variance / v.weighted.powi(2)).sum::<f64>().sqrt() / 2.0;
        Ok(Outlined {
            name: name.to_owned(),
            activity: Measured {
                value: activity,
                relative_uncertainty: (!seen_none).then_some(counting),
            },
            systematic: if seen_none { None } else { path.systematic(&areas, &views) },
            net_cps: views.map(|view| PerSecond::new(view.plain)),
            depth: path.mean,
        })
    }
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

/// Mean free paths through the body at each pixel of a region.
struct Path<'a> {
    body: BodyPath<'a>,
    /// Of a stated thickness.
    uniform: f64,
    /// Over the region's free pixels of both views.
    mean: f64,
    whole: bool,
    /// The region fills the body along its lines of sight.
    fills: bool,
    /// t/T.
    part: f64,
}

impl<'a> Path<'a> {
    fn of(
        scan: &OutlinedScan<'_>,
        region: &OutlinedRegion<'a>,
        areas: &[Area; 2],
    ) -> Result<Self, QuantifyError> {
        let name = || region.outline.name.clone();
        let mu = scan.attenuation_per_cm / 10.0;
        if !(mu.is_finite() && mu > 0.0) {
            let what = "attenuation is not above zero";
            return Err(QuantifyError::ConjugateView { what });
        }
        let (uniform, mean) = match region.body {
            BodyPath::Thickness { body, .. } => (mu * body.value(), mu * body.value()),
            BodyPath::Transmission(scan) => {
                let free = areas.iter().flat_map(|area| &area.free);
                let sum: f64 = free.map(|pixel| scan.depth[*pixel]).sum();
                (0.0, sum / areas.iter().map(|area| area.free.len() as f64).sum::<f64>())
            }
        };
        if !mean.is_finite() {
            return Err(OutlineError::NoDepth { region: name() }.into());
        }
        let own = region.thickness.map_or(0.0, |t| t.value());
        let body = mean / mu;
        if !(own >= 0.0 && own <= body.max(0.0)) {
            let region = name();
            return Err(OutlineError::ThickerThanBody { region, own_mm: own, body_mm: body }.into());
        }
        let whole = covers_body(&region.outline.name);
        // Beside the whole body lies air: nothing of its background is before or behind tissue.
        let part = if own > 0.0 && !whole { own / body } else { 0.0 };
        let fills = whole && region.thickness.is_none();
        Ok(Self { body: region.body, uniform, mean, whole, fills, part })
    }

    /// Mean free paths at a pixel of the background; `None` where nothing says that they differ from the region's.
    fn beside(&self, background: &OutlinedBackground<'_>, pixel: [usize; 2]) -> Option<f64> {
        match self.body {
            _ if self.whole => None,
            BodyPath::Transmission(scan) => Some(scan.depth[pixel]),
            BodyPath::Thickness { body, .. } => {
                background.body.map(|there| self.uniform * (there / body))
            }
        }
    }

    fn depth(&self, pixel: [usize; 2]) -> f64 {
        match self.body {
            BodyPath::Thickness { .. } => self.uniform,
            BodyPath::Transmission(scan) => scan.depth[pixel],
        }
    }

    /// What a pixel's rate counts for: e^(d/2), and times f = (d/2)/sinh(d/2) of a region that fills the body.
    fn weight(&self, pixel: [usize; 2]) -> f64 {
        let depth = self.depth(pixel);
        let filling = if self.fills { self_attenuation(depth / 2.0) } else { 1.0 };
        (depth / 2.0).exp() * filling
    }

    /// Change of the weight with depth, over the weight.
    fn slope(&self, pixel: [usize; 2]) -> f64 {
        let depth = self.depth(pixel);
        // By f alone 1/d − coth(d/2)/2, which is −d/12 where d is small.
        match self.fills {
            false => 0.5,
            true if depth.abs() < 1e-3 => 0.5 - depth / 12.0,
            true => 1.0 / depth - 1.0 / depth.exp_m1(),
        }
    }

    /// Relative uncertainty of the activity by that of the depths: ln A's derivative by each pixel's depth, in
    /// the weights and, through t/T, in the background.
    fn systematic(&self, areas: &[Area; 2], views: &[Seen; 2]) -> Option<f64> {
        let mut by_depth = Array2::<f64>::zeros(areas[0].dim);
        let pixels: usize = areas.iter().map(|area| area.free.len()).sum();
        let mut shared = 0.0;
        for (area, view) in areas.iter().zip(views) {
            for (pixel, net) in area.free.iter().zip(&view.weighted_pixels) {
                by_depth[*pixel] += self.slope(*pixel) * net * area.scale() / view.weighted / 2.0;
            }
            shared -= view.background * self.part / self.mean / view.weighted / 2.0;
        }
        if self.part > 0.0 {
            let share = shared / pixels as f64;
            areas.iter().flat_map(|a| &a.free).for_each(|pixel| by_depth[*pixel] += share);
        }
        match self.body {
            BodyPath::Thickness { relative_uncertainty, .. } => {
                relative_uncertainty.map(|u| (by_depth.sum() * self.uniform * u).abs())
            }
            BodyPath::Transmission(scan) => {
                // Pixels beside the region may have no depth and count for nothing.
                let counted = by_depth.iter().zip(&scan.variance).filter(|(g, _)| **g != 0.0);
                Some(counted.map(|(g, variance)| g * g * variance).sum::<f64>().sqrt())
            }
        }
    }
}

/// What one view shows of a region.
struct Seen {
    /// Net rate, cps, as it is and with its pixels' weights.
    plain: f64,
    weighted: f64,
    /// Of `weighted`, by counting.
    variance: f64,
    /// Weighted net rate of each free pixel.
    weighted_pixels: Vec<f64>,
    /// Rate of the background over the whole region if nothing were taken for the region's own thickness, weighted.
    background: f64,
}

impl Seen {
    fn of(
        scan: &OutlinedScan<'_>,
        view: usize,
        area: &Area,
        path: &Path<'_>,
        background: Option<&Background>,
    ) -> Self {
        let rate = &scan.rates[view];
        let level = background.map_or(Level::NONE, |b| b.views[view]);
        let lies = 1.0 - path.part;
        let weights: Vec<f64> = area.free.iter().map(|pixel| path.weight(*pixel)).collect();
        let beside = |pixel: &[usize; 2]| level.over(path.depth(*pixel));
        let net = |pixel: &[usize; 2]| rate.cps[*pixel] - lies * level.cps * beside(pixel);
        let weighted_pixels: Vec<f64> =
            area.free.iter().zip(&weights).map(|(pixel, w)| w * net(pixel)).collect();
        let all: f64 = area.free.iter().zip(&weights).map(|(pixel, w)| w * beside(pixel)).sum();
        let counted =
            area.free.iter().zip(&weights).map(|(pixel, w)| w * w * rate.variance[*pixel]);
        let variance = counted.sum::<f64>() + (lies * all).powi(2) * level.variance;
        Self {
            plain: area.scale() * area.free.iter().map(net).sum::<f64>(),
            weighted: area.scale() * weighted_pixels.iter().sum::<f64>(),
            variance: area.scale().powi(2) * variance,
            weighted_pixels,
            background: area.scale() * all * level.cps,
        }
    }
}

/// What a reader must know, by region.
#[derive(Default)]
struct Said {
    shared: Vec<String>,
    within: Vec<String>,
    bare: Vec<String>,
    thin: Vec<String>,
    cleared: Vec<String>,
    unused: Vec<String>,
}

impl Said {
    fn of_areas(&mut self, scan: &OutlinedScan<'_>, name: &str, areas: &[Area; 2]) {
        let names = |indices: &[usize]| {
            let names = indices.iter().map(|&n| scan.regions[n].outline.name.as_str());
            names.collect::<Vec<_>>().join(" and ")
        };
        for (view, area) in View::BOTH.into_iter().zip(areas) {
            let percent = |part: usize| 100.0 * part as f64 / area.outlined as f64;
            if !area.shared_with.is_empty() {
                self.shared.push(format!(
                    "{name} with {} ({}, {:.0} %)",
                    names(&area.shared_with),
                    view.name(),
                    percent(area.shared)
                ));
            }
            if !area.inner.is_empty() {
                self.within.push(format!("{} in {name} ({})", names(&area.inner), view.name()));
            }
        }
    }

    fn of_region(&mut self, region: &OutlinedRegion<'_>, background: Option<&Background>) {
        let name = &region.outline.name;
        if background.is_none() {
            self.bare.push(name.clone());
        }
        if region.thickness.is_none() && !covers_body(name) {
            self.thin.push(name.clone());
        }
    }

    fn unused(&mut self, scan: &OutlinedScan<'_>) {
        let regions: Vec<&str> = scan.regions.iter().map(|r| r.outline.name.as_str()).collect();
        let unused = scan
            .backgrounds
            .iter()
            .filter(|b| !names::is_background_of_any(&b.outline.name, &regions));
        self.unused.extend(unused.map(|b| b.outline.name.clone()));
    }

    fn warnings(self) -> Vec<Warning> {
        let all = [
            (
                "views-overlap",
                self.shared,
                "regions share pixels of a view, which are counted in neither: the rest of each was scaled to \
                 its whole outline",
            ),
            (
                "views-within",
                self.within,
                "an outline lies within another: its pixels are not counted in the outer region, whose rate is \
                 that of the others scaled to its whole outline",
            ),
            (
                "views-no-background",
                self.bare,
                "no background was subtracted: activity before and behind the region is counted as its own; outline \
                 `X background` beside region X, or one `background`",
            ),
            (
                "views-thin-source",
                self.thin,
                "no thickness of the region is stated: it was taken as thin, without self-attenuation and with \
                 the whole background before and behind it; state `quantification: views: region_thickness_mm`",
            ),
            (
                "views-nothing-above-background",
                self.cleared,
                "the net rate is not above zero: the activity is taken as 0, and its uncertainty is not known",
            ),
            (
                "views-background-unused",
                self.unused,
                "a background of a region that is not outlined was not used; correct its name",
            ),
        ];
        let said = all.into_iter().filter(|(_, of, _)| !of.is_empty());
        said.map(|(code, of, text)| Warning::new(code, format!("{}: {text}", of.join(", "))))
            .collect()
    }
}

#[cfg(test)]
mod tests;
