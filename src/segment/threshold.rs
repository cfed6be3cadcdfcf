//! The part of a region from a concentration on.

use super::{SegmentError, constants};
use crate::volume::{Occupancy, Volume};

/// Rounds of the search for the background; each raises (or lowers) it, so it settles.
const ROUNDS_MAX: usize = 200;

/// Where the threshold lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Level {
    /// At this value of the image.
    Value(f64),
    /// At this part of the region's maximum.
    OfMaximum(f64),
    /// Between background and hottest part: T = B + f (P − B), with B the mean below T and P the mean
    /// from `hottest_part` of the maximum on, solved by repetition. At f = 1/2 the edge of a uniform
    /// object that is large against the blur lies where it is; the form is that of thresholds corrected
    /// for local background (Boellaard et al., J Nucl Med 45 (2004) 1519), with means in place of
    /// single voxels.
    AboveBackground(f64),
}

/// What a threshold found.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholded {
    pub occupancy: Occupancy,
    /// The threshold in the image's unit.
    pub threshold: f64,
    /// What it was set against, where it was.
    pub background: Option<f64>,
}

/// The voxels of a region from the threshold on, each with the fraction that the region fills.
///
/// # Errors
/// [`SegmentError`] where nothing reaches the threshold, or the region holds no background to set it
/// against.
pub fn threshold(
    values: &Volume<f32>,
    within: &Occupancy,
    level: Level,
) -> Result<Thresholded, SegmentError> {
    let held: Vec<(usize, f64, f64)> =
        within.iter().map(|(n, f)| (n, f64::from(f), f64::from(values.as_slice()[n]))).collect();
    // What the outline only touches may belong to a neighbour.
    let inner = held.iter().filter(|(_, f, _)| *f >= 0.5).map(|(.., v)| *v).reduce(f64::max);
    let maximum = inner.or_else(|| held.iter().map(|(.., v)| *v).reduce(f64::max));
    let maximum =
        maximum.filter(|m| *m > 0.0).ok_or(SegmentError::NothingAbove { threshold: 0.0 })?;
    let (threshold, background) = match level {
        Level::Value(value) => (value, None),
        Level::OfMaximum(part) => (part * maximum, None),
        Level::AboveBackground(part) => {
            let (threshold, background) = above_background(&held, maximum, part)?;
            (threshold, Some(background))
        }
    };
    let occupancy = Occupancy::new(
        held.iter()
            .filter(|(.., v)| *v >= threshold)
            .map(|(n, f, _)| (*n as u32, *f as f32))
            .collect(),
    );
    if occupancy.is_empty() {
        return Err(SegmentError::NothingAbove { threshold });
    }
    Ok(Thresholded { occupancy, threshold, background })
}

/// Threshold and background. As the background's mean does not fall when the threshold rises, the
/// rounds go one way and end.
fn above_background(
    held: &[(usize, f64, f64)],
    maximum: f64,
    part: f64,
) -> Result<(f64, f64), SegmentError> {
    let mean = |keep: &dyn Fn(f64) -> bool| {
        let kept = held.iter().filter(|(.., v)| keep(*v));
        let (weight, sum) = kept.fold((0.0, 0.0), |(w, s), (_, f, v)| (w + f, s + f * v));
        (weight > 0.0).then(|| sum / weight)
    };
    let hottest = constants().hottest_part.value * maximum;
    let peak = mean(&|v| v >= hottest).ok_or(SegmentError::NoBackground)?;
    let mut threshold = part * peak;
    for _ in 0..ROUNDS_MAX {
        let background = mean(&|v| v < threshold).ok_or(SegmentError::NoBackground)?;
        let next = background + part * (peak - background);
        if (next - threshold).abs() <= 1e-9 * peak {
            return Ok((next, background));
        }
        threshold = next;
    }
    Err(SegmentError::NoBackground)
}
