//! Which pixels of a view tell of a region, and which of its background.

use super::{OutlineError, OutlinedBackground, OutlinedScan, names};
use crate::quantify::CONSTANTS;
use crate::quantify::planar::{NetRate, View};
use ndarray::Array2;

/// A region's pixels in one view.
pub(super) struct Area {
    pub outlined: usize,
    /// `[row, column]` of those that are the region's alone.
    pub free: Vec<[usize; 2]>,
    /// Pixels that overlapping regions share, and which regions these are.
    pub shared: usize,
    pub shared_with: Vec<usize>,
    /// Regions that lie wholly within it.
    pub inner: Vec<usize>,
}

impl Area {
    /// From the free pixels to the whole outline.
    pub fn scale(&self) -> f64 {
        self.outlined as f64 / self.free.len() as f64
    }
}

/// What each view shows of the background.
pub(super) struct Background {
    pub views: [Level; 2],
}

/// Rate of the background and its variance: of a pixel, or (`by_depth`) of one through an endless body, where
/// 1 − e^(−d) of it is seen through d mean free paths of tissue with the same concentration.
#[derive(Clone, Copy)]
pub(super) struct Level {
    pub cps: f64,
    pub variance: f64,
    by_depth: bool,
}

impl Level {
    pub const NONE: Self = Self { cps: 0.0, variance: 0.0, by_depth: false };

    /// Factor of the level over a pixel of the region.
    pub fn over(&self, depth: f64) -> f64 {
        if self.by_depth { -(-depth).exp_m1() } else { 1.0 }
    }
}

fn count(mask: &Array2<bool>) -> usize {
    mask.iter().filter(|inside| **inside).count()
}

fn common(a: &Array2<bool>, b: &Array2<bool>) -> usize {
    a.iter().zip(b).filter(|(a, b)| **a && **b).count()
}

/// Does `inner` lie wholly within `outer`, which is larger?
fn within(inner: &Array2<bool>, outer: &Array2<bool>) -> bool {
    let pixels = count(inner);
    pixels < count(outer)
        && common(inner, outer) as f64 >= CONSTANTS.outline_within.value * pixels as f64
}

fn mask<'a>(scan: &OutlinedScan<'a>, region: usize, view: usize) -> &'a Array2<bool> {
    &scan.regions[region].outline.masks[view]
}

/// Every region but the whole body, in which all lie.
fn others(scan: &OutlinedScan<'_>, region: usize) -> Vec<usize> {
    let part = |n: &usize| !names::covers_body(&scan.regions[*n].outline.name);
    (0..scan.regions.len()).filter(|n| *n != region).filter(part).collect()
}

/// Pixels of two overlapping regions are neither's; those of a region within another are the inner one's; the
/// whole body keeps all.
pub(super) fn area(
    scan: &OutlinedScan<'_>,
    region: usize,
    view: usize,
) -> Result<Area, OutlineError> {
    let name = &scan.regions[region].outline.name;
    let own = fitting(scan, name, mask(scan, region, view), view)?;
    let (mut free, mut shared) = (own.clone(), Array2::from_elem(own.dim(), false));
    let (mut shared_with, mut inner) = (Vec::new(), Vec::new());
    let beside = if names::covers_body(name) { Vec::new() } else { others(scan, region) };
    for other in beside {
        let theirs =
            fitting(scan, &scan.regions[other].outline.name, mask(scan, other, view), view)?;
        if common(own, theirs) == 0 || within(own, theirs) {
            continue;
        }
        if within(theirs, own) {
            inner.push(other);
        } else {
            shared_with.push(other);
            shared.zip_mut_with(theirs, |shared, theirs| *shared |= *theirs);
        }
        free.zip_mut_with(theirs, |free, theirs| *free &= !theirs);
    }
    let outlined = count(own);
    let pixels = places(&free);
    let least = CONSTANTS.outline_free_least.value;
    if (pixels.len() as f64) < least * outlined as f64 {
        let names: Vec<&str> = shared_with
            .iter()
            .chain(&inner)
            .map(|&n| scan.regions[n].outline.name.as_str())
            .collect();
        return Err(OutlineError::Covered {
            region: name.clone(),
            view: View::BOTH[view].name(),
            percent: 100.0 * pixels.len() as f64 / outlined as f64,
            least: 100.0 * least,
            others: names.join(" and "),
        });
    }
    let shared = common(own, &shared);
    Ok(Area { outlined, free: pixels, shared, shared_with, inner })
}

/// A mask that is of the view's raster and not empty.
fn fitting<'a>(
    scan: &OutlinedScan<'_>,
    name: &str,
    mask: &'a Array2<bool>,
    view: usize,
) -> Result<&'a Array2<bool>, OutlineError> {
    let (region, wanted) = (name.to_owned(), scan.rates[view].cps.dim());
    let view = View::BOTH[view].name();
    if mask.dim() != wanted {
        return Err(OutlineError::Raster { region, view, found: mask.dim(), wanted });
    }
    if count(mask) == 0 { Err(OutlineError::Empty { region, view }) } else { Ok(mask) }
}

/// A region's own background, else the common one; without the pixels of other regions, but for one that the region
/// lies in: there its background is. `depth`: mean free paths through the body at one of its pixels, where they are
/// known to differ from the region's.
pub(super) fn background(
    scan: &OutlinedScan<'_>,
    region: usize,
    depth: impl Fn(&OutlinedBackground<'_>, [usize; 2]) -> Option<f64>,
) -> Result<Option<Background>, OutlineError> {
    let name = &scan.regions[region].outline.name;
    let own = scan.backgrounds.iter().find(|b| names::is_background_of(&b.outline.name, name));
    let common = || scan.backgrounds.iter().find(|b| names::is_common(&b.outline.name));
    let Some(background) = own.or_else(common) else { return Ok(None) };
    let outline = background.outline;
    let mut views = [Level::NONE; 2];
    for (view, level) in views.iter_mut().enumerate() {
        let mut pixels = fitting(scan, &outline.name, &outline.masks[view], view)?.clone();
        let here = mask(scan, region, view);
        let clear = |pixels: &mut Array2<bool>, of: &Array2<bool>| {
            pixels.zip_mut_with(of, |pixel, of| *pixel &= !of);
        };
        clear(&mut pixels, here);
        for other in others(scan, region) {
            let theirs = mask(scan, other, view);
            if !(own.is_some() && within(here, theirs)) {
                clear(&mut pixels, theirs);
            }
        }
        let pixels: Vec<[usize; 2]> = places(&pixels);
        if pixels.is_empty() {
            let background = outline.name.clone();
            return Err(OutlineError::BackgroundCovered {
                background,
                view: View::BOTH[view].name(),
            });
        }
        let depths: Option<Vec<f64>> = pixels.iter().map(|p| depth(background, *p)).collect();
        *level = self::level(&pixels, &scan.rates[view], depths.as_deref())
            .ok_or_else(|| OutlineError::NoDepth { region: outline.name.clone() })?;
    }
    Ok(Some(Background { views }))
}

/// `None` where a depth is not known.
fn level(pixels: &[[usize; 2]], rate: &NetRate, depths: Option<&[f64]>) -> Option<Level> {
    let sum = |of: &Array2<f64>| pixels.iter().map(|pixel| of[*pixel]).sum::<f64>();
    let n = pixels.len() as f64;
    let seen: f64 = depths.unwrap_or_default().iter().map(|depth| -(-depth).exp_m1()).sum();
    // Beside the body counts are of the room, and are so everywhere.
    let by_depth = depths.is_some() && seen > CONSTANTS.background_least_depth.value * n;
    let over = if by_depth { seen } else { n };
    let found = Level {
        cps: sum(&rate.cps) / over,
        variance: sum(&rate.variance) / (over * over),
        by_depth,
    };
    seen.is_finite().then_some(found)
}

fn places(mask: &Array2<bool>) -> Vec<[usize; 2]> {
    let inside = mask.indexed_iter().filter(|(_, inside)| **inside);
    inside.map(|((row, column), _)| [row, column]).collect()
}
