//! What each view shows of a region above its background.

use super::OutlinedScan;
use super::path::Path;
use super::pixels::{Area, Background, Level};

pub(super) struct Seen {
    /// Net rate, cps, as it is and with its pixels' weights.
    pub plain: f64,
    pub weighted: f64,
    /// Of `weighted`, by counting.
    pub variance: f64,
    /// Weighted net rate of each free pixel.
    pub weighted_pixels: Vec<f64>,
}

/// Both views, with what the region leaves of the background before and behind it.
///
/// First (1 − t/T) of it in either view (MIRD pamphlet 16), as if it were not attenuated. The ratio of the net rates
/// then tells how deep the region lies, and that how much of what each view would count of the background it takes the
/// place of. Once: a background stronger than the region would feed its own noise back.
pub(super) fn both(
    scan: &OutlinedScan<'_>,
    areas: &[Area; 2],
    path: &Path<'_>,
    background: Option<&Background>,
) -> [Seen; 2] {
    let view = |v: usize, replaced: f64| Seen::of(scan, v, &areas[v], path, background, replaced);
    let part = if path.own > 0.0 { path.own / path.mean } else { 0.0 };
    let first = [view(0, part), view(1, part)];
    match replaced(path, first.each_ref().map(|view| view.weighted)) {
        Some([anterior, posterior]) => [view(0, anterior), view(1, posterior)],
        None => first,
    }
}

/// Part of the background's counts in each view that would come from where the region lies. `None` where the net
/// rates do not tell where.
fn replaced(path: &Path<'_>, [anterior, posterior]: [f64; 2]) -> Option<[f64; 2]> {
    let (whole, own) = (path.mean, path.own);
    if !(own > 0.0 && anterior > 0.0 && posterior > 0.0) {
        return None;
    }
    let middle = (whole - (anterior / posterior).ln()) / 2.0;
    let before = (middle - own / 2.0).clamp(0.0, (whole - own).max(0.0));
    let seen = |before: f64| (-before).exp() * (-own).exp_m1() / (-whole).exp_m1();
    Some([seen(before), seen(whole - own - before)])
}

impl Seen {
    fn of(
        scan: &OutlinedScan<'_>,
        view: usize,
        area: &Area,
        path: &Path<'_>,
        background: Option<&Background>,
        replaced: f64,
    ) -> Self {
        let rate = &scan.rates[view];
        let level = background.map_or(Level::NONE, |b| b.views[view]);
        let beside = |pixel: &[usize; 2]| (1.0 - replaced) * level.over(path.depth(*pixel));
        let net = |pixel: &[usize; 2]| rate.cps[*pixel] - level.cps * beside(pixel);
        let (mut weighted_pixels, mut counted, mut all) = (Vec::new(), 0.0, 0.0);
        for pixel in &area.free {
            let weight = path.weight(*pixel);
            weighted_pixels.push(weight * net(pixel));
            counted += weight * weight * rate.variance[*pixel];
            all += weight * beside(pixel);
        }
        Self {
            plain: area.scale() * area.free.iter().map(net).sum::<f64>(),
            weighted: area.scale() * weighted_pixels.iter().sum::<f64>(),
            variance: area.scale().powi(2) * (counted + all * all * level.variance),
            weighted_pixels,
        }
    }
}
