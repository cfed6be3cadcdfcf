//! The whole body as the sum of its regions and of what is left, which alone fills it evenly.
//!
//! A region of even activity from front to back lets f = (d/2)/sinh(d/2) of itself through, a thin one all: of a body
//! with hot organs taken for even a quarter and more would be lost.

use super::Outlined;
use super::path::Path;
use super::pixels::Area;
use super::seen::Seen;
use crate::quantity::{Becquerel, Measured};

/// A region within the whole body, as it was measured.
pub(super) struct Part<'a> {
    pub areas: [Area; 2],
    pub path: Path<'a>,
    pub views: [Seen; 2],
}

/// Takes the parts' net rates out of the whole body's.
pub(super) fn without(mut whole: [Seen; 2], path: &Path<'_>, parts: &[&Part<'_>]) -> [Seen; 2] {
    for part in parts {
        for ((view, area), seen) in whole.iter_mut().zip(&part.areas).zip(&part.views) {
            let net = area.free.iter().zip(&seen.weighted_pixels);
            let own: f64 =
                net.map(|(pixel, net)| net / part.path.weight(*pixel) * path.weight(*pixel)).sum();
            view.weighted -= area.scale() * own;
        }
    }
    whole
}

/// `rest` with the activities of the parts. Uncertainties of counting in quadrature, of attenuation, which may be
/// wrong everywhere at once, linearly.
pub(super) fn sum(rest: Outlined, parts: &[&Outlined]) -> Outlined {
    let all =
        || parts.iter().copied().chain([&rest]).filter(|one| one.activity.value.value() > 0.0);
    let value: Becquerel = all().map(|one| one.activity.value).sum();
    let counting: Option<f64> = all()
        .map(|one| {
            one.activity.relative_uncertainty.map(|u| (u * (one.activity.value / value)).powi(2))
        })
        .sum();
    let systematic: Option<f64> =
        all().map(|one| one.systematic.map(|u| u * (one.activity.value / value))).sum();
    // Of nothing no uncertainty is known.
    let known = value.value() > 0.0;
    let relative_uncertainty = counting.map(f64::sqrt).filter(|_| known);
    let systematic = systematic.filter(|_| known);
    Outlined { activity: Measured { value, relative_uncertainty }, systematic, ..rest }
}
