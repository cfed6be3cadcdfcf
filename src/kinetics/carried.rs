//! How well a half-life from elsewhere is known, where nobody says.
//!
//! Published deviations of doses by one image (Willowson 2018: kidneys under 177Lu-DOTATATE), turned into the
//! half-life's standard uncertainty that makes them. Early images have a larger one: what is not yet one
//! exponential is laid on the half-life too.

use super::CONSTANTS;
use crate::quantity::Seconds;

/// Where a half-life was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HalfLifeOrigin {
    /// The same patient's, of an earlier cycle.
    PriorCycle,
    /// A population's, or nobody says whose.
    Stated,
}

/// Relative standard uncertainty (k = 1) of a half-life for an image at `at`: straight between the times of the
/// publication, constant outside of them.
pub fn published_uncertainty(origin: HalfLifeOrigin, at: Seconds) -> f64 {
    let (early, late) = match origin {
        HalfLifeOrigin::PriorCycle => {
            (&CONSTANTS.prior_half_life_uncertainty_early, &CONSTANTS.prior_half_life_uncertainty)
        }
        HalfLifeOrigin::Stated => {
            (&CONSTANTS.stated_half_life_uncertainty_early, &CONSTANTS.stated_half_life_uncertainty)
        }
    };
    let (from, to) = (CONSTANTS.carried_early_h.value, CONSTANTS.carried_late_h.value);
    let part = ((at.hours() - from) / (to - from)).clamp(0.0, 1.0);
    early.value + (late.value - early.value) * part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinetics::{CurvePoint, Method, TimeActivityCurve, fit};
    use crate::quantity::Becquerel;

    /// The published mean deviation of the dose comes out again: σ of a normal deviation is √(π/2) of its mean.
    #[test]
    fn published_deviations_come_out_of_the_curve() {
        for (origin, hours, deviation) in [
            (HalfLifeOrigin::PriorCycle, 4.0, 0.13),
            (HalfLifeOrigin::PriorCycle, 24.0, 0.02),
            (HalfLifeOrigin::Stated, 4.0, 0.59),
            (HalfLifeOrigin::Stated, 24.0, 0.30),
        ] {
            let at = Seconds::from_hours(hours);
            let point = CurvePoint {
                time: at,
                activity: Becquerel::from_mbq(30.0),
                relative_uncertainty: Some(1e-6),
            };
            let physical = Seconds::from_hours(159.53).half_life_to_rate();
            let curve = TimeActivityCurve { points: vec![point], physical };
            let method = Method::SingleTimePoint {
                effective_half_life: Seconds::from_hours(51.0),
                relative_uncertainty: Some(published_uncertainty(origin, at)),
            };
            let u = fit(&curve, method).unwrap().relative_uncertainty.unwrap();
            let mean = u / (std::f64::consts::PI / 2.0).sqrt();
            assert!((mean / deviation - 1.0).abs() < 0.02, "{origin:?} {hours} h: {mean}");
        }
    }

    #[test]
    fn between_the_published_times_it_runs_straight_and_outside_it_stays() {
        let of =
            |hours| published_uncertainty(HalfLifeOrigin::PriorCycle, Seconds::from_hours(hours));
        assert!((of(14.0) - 0.5 * (of(4.0) + of(24.0))).abs() < 1e-12);
        assert_eq!((of(1.0), of(96.0)), (of(4.0), of(24.0)));
    }
}
