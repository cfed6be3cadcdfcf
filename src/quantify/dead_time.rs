//! Dead time: the rate that a camera would have counted if it had lost no event.
//!
//! In: the rate observed over the whole spectrum, because every photon that reaches the crystal keeps
//! the electronics busy, whatever window it falls in. Out: the true rate. Reference: Knoll, Radiation
//! Detection and Measurement, chapter 4; Sorenson, Semin Nucl Med 4 (1974) 237.

use super::QuantifyError;
use crate::quantity::{PerSecond, Seconds};
use serde::{Deserialize, Serialize};
use std::f64::consts::E;

/// What an event does that falls into the dead time of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeadTimeModel {
    /// It is lost.
    NonParalysable,
    /// It is lost and makes the dead time begin anew.
    Paralysable,
}

/// One camera's dead time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeadTime {
    pub model: DeadTimeModel,
    pub tau: Seconds,
}

impl DeadTime {
    /// True rate n of an observed rate m: n = m/(1 − mτ), or m = n·e^(−nτ) solved on its first branch,
    /// n = −W₀(−mτ)/τ.
    ///
    /// # Errors
    /// [`QuantifyError::DeadTime`] for a rate that the model cannot observe: above 1/τ, or above 1/(eτ),
    /// where a paralysable camera turns over.
    pub fn true_rate(&self, observed: PerSecond) -> Result<PerSecond, QuantifyError> {
        let (m, tau) = (observed.value(), self.tau.value());
        let busy = m * tau;
        let highest = match self.model {
            DeadTimeModel::NonParalysable => 1.0,
            DeadTimeModel::Paralysable => 1.0 / E,
        };
        if !(busy.is_finite() && busy >= 0.0 && busy < highest && tau > 0.0) {
            return Err(QuantifyError::DeadTime {
                rate: m,
                tau_us: tau * 1e6,
                highest: highest / tau,
            });
        }
        Ok(PerSecond::new(match self.model {
            DeadTimeModel::NonParalysable => m / (1.0 - busy),
            DeadTimeModel::Paralysable => lambert_below_one(busy) / tau,
        }))
    }

    /// What counts are to be multiplied with.
    pub fn factor(&self, observed: PerSecond) -> Result<f64, QuantifyError> {
        match observed.value() {
            0.0 => Ok(1.0),
            _ => Ok(self.true_rate(observed)? / observed),
        }
    }
}

/// x of x·e^(−x) = y, 0 ≤ x < 1, that is −W₀(−y): Newton's steps from below never overshoot, since
/// the curve is concave there.
fn lambert_below_one(y: f64) -> f64 {
    const ROUNDS: usize = 100;
    let mut x = y;
    for _ in 0..ROUNDS {
        let step = (y * x.exp() - x) / (1.0 - x);
        x += step;
        if step.abs() <= f64::EPSILON * x {
            break;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(model: DeadTimeModel, tau_us: f64) -> DeadTime {
        DeadTime { model, tau: Seconds::new(tau_us * 1e-6) }
    }

    #[test]
    fn v33_ninety_thousand_counts_a_second_at_one_microsecond() {
        let observed = PerSecond::new(90_000.0);
        for (model, truth) in
            [(DeadTimeModel::NonParalysable, 98_901.0), (DeadTimeModel::Paralysable, 99_406.0)]
        {
            let rate = dead(model, 1.0).true_rate(observed).unwrap().value();
            assert!((rate - truth).abs() < 0.5, "{model:?}: {rate}");
        }
    }

    #[test]
    fn the_true_rate_is_observed_as_what_it_came_from() {
        for n in 1..100 {
            // Of a paralysable camera up to 99 % of where it turns over.
            let truth = f64::from(n) * 1e4;
            let observed = truth * (-truth * 1e-6).exp();
            let found = dead(DeadTimeModel::Paralysable, 1.0).true_rate(PerSecond::new(observed));
            let error = found.unwrap().value() / truth - 1.0;
            assert!(error.abs() < 1e-9, "{truth}: {error}");
        }
        let none = dead(DeadTimeModel::Paralysable, 1.0).factor(PerSecond::new(0.0));
        assert_eq!(none, Ok(1.0));
    }

    #[test]
    fn a_rate_beyond_the_turning_point_is_refused_with_the_highest() {
        let beyond = PerSecond::new(400_000.0);
        let error = dead(DeadTimeModel::Paralysable, 1.0).true_rate(beyond).unwrap_err();
        assert!(error.to_string().contains("367879"), "{error}");
        assert!(dead(DeadTimeModel::NonParalysable, 1.0).true_rate(beyond).is_ok());
        let impossible = dead(DeadTimeModel::NonParalysable, 1.0).true_rate(PerSecond::new(1e6));
        assert!(impossible.is_err());
    }
}
