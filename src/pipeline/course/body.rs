//! Counts of the whole body, and what is left of the first of them.

use crate::config::plan::WholeBodyCount;
use crate::kinetics::CONSTANTS;
use crate::prescribe::{PrescribeError, geometric_mean};
use crate::quantity::Seconds;

/// Geometric mean of both views without their backgrounds.
pub(super) fn net(count: &WholeBodyCount) -> Result<f64, PrescribeError> {
    geometric_mean(
        count.anterior - count.anterior_background,
        count.posterior - count.posterior_background,
    )
}

/// Time since the first count and part of it, of every later one.
///
/// # Errors
/// No count; a first one so late that nobody knows what had left by then.
pub(super) fn retained(counts: &[WholeBodyCount]) -> Result<Vec<(Seconds, f64)>, String> {
    let [first, later @ ..] = counts else { return Err("no whole-body count is given".into()) };
    let latest = CONSTANTS.first_body_count_h_most.value;
    if first.hours > latest {
        return Err(format!(
            "the first whole-body count is at {} h, later than {latest} h: it is not all that was given",
            first.hours
        ));
    }
    let of = |error: PrescribeError| error.to_string();
    let whole = net(first).map_err(of)?;
    let part = |count: &WholeBodyCount| {
        Ok((Seconds::from_hours(count.hours - first.hours), net(count).map_err(of)? / whole))
    };
    later.iter().map(part).collect()
}
