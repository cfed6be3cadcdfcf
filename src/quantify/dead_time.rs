//! Dead time: the rate that a camera would have counted if it had lost no event.
//!
//! In: the rate observed over the whole spectrum, because every photon that reaches the crystal keeps
//! the electronics busy, whatever window it falls in. Out: the true rate. Reference: Knoll, Radiation
//! Detection and Measurement, chapter 4; Sorenson, Semin Nucl Med 4 (1974) 237.

use super::{CONSTANTS, QuantifyError};
use crate::quantity::{Becquerel, PerSecond, Seconds};
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

/// An observed rate of a known activity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObservedRate {
    pub activity: Becquerel,
    pub rate: PerSecond,
    /// Relative standard uncertainty of the rate, k = 1.
    pub relative_uncertainty: f64,
}

/// A model through a series of rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeadTimeFit {
    pub dead_time: DeadTime,
    /// Relative standard uncertainty of the dead time, k = 1.
    pub relative_uncertainty: f64,
    /// What the camera would count of one becquerel without dead time.
    pub per_becquerel: f64,
    pub reduced_chi_square: f64,
}

impl DeadTime {
    /// Rate that is observed of a true one.
    pub fn observed_rate(&self, truth: PerSecond) -> PerSecond {
        let (n, tau) = (truth.value(), self.tau.value());
        PerSecond::new(match self.model {
            DeadTimeModel::NonParalysable => n / (1.0 + n * tau),
            DeadTimeModel::Paralysable => n * (-n * tau).exp(),
        })
    }

    /// Dead time and sensitivity of least squares through rates of different activities.
    ///
    /// With s per becquerel, m/A is s/(1 + sAτ) or s·e^(−sAτ): A/m and ln(m/A) are straight lines in A,
    /// with slope over intercept sτ in the first case and slope −sτ in the second.
    ///
    /// # Errors
    /// Fewer than three activities, or rates that fall less than noise over them.
    pub fn fit(model: DeadTimeModel, rates: &[ObservedRate]) -> Result<DeadTimeFit, QuantifyError> {
        let sound = |r: &&ObservedRate| {
            let all = [r.activity.value(), r.rate.value(), r.relative_uncertainty];
            all.iter().all(|v| v.is_finite() && *v > 0.0)
        };
        let needed = CONSTANTS.least_dead_time_rates.value;
        if rates.len() < needed || rates.iter().filter(sound).count() < rates.len() {
            let text =
                format!("{needed} rates or more above zero are needed, each with its activity");
            return Err(QuantifyError::Rates(text));
        }
        // Σ of weights, x, y, x², xy of the straight line, weights by the relative noise of its y.
        let mut sums = [0.0; 5];
        let mut points = Vec::new();
        for r in rates {
            let per = r.rate.value() / r.activity.value();
            let (y, u) = match model {
                DeadTimeModel::NonParalysable => (per.recip(), r.relative_uncertainty / per),
                DeadTimeModel::Paralysable => (per.ln(), r.relative_uncertainty),
            };
            let (x, w) = (r.activity.value(), u.powi(-2));
            for (sum, term) in sums.iter_mut().zip([1.0, x, y, x * x, x * y]) {
                *sum += w * term;
            }
            points.push((x, y, w));
        }
        let [n, x, y, xx, xy] = sums;
        let spread = n * xx - x * x;
        let (slope, start) = ((n * xy - x * y) / spread, (xx * y - x * xy) / spread);
        let missed: f64 = points.iter().map(|(x, y, w)| w * (y - start - slope * x).powi(2)).sum();
        let reduced_chi_square = missed / (rates.len() - 2) as f64;
        let u_slope = (n / spread * reduced_chi_square.max(1.0)).sqrt();
        let (per_becquerel, tau) = match model {
            DeadTimeModel::NonParalysable => (start.recip(), slope),
            DeadTimeModel::Paralysable => (start.exp(), -slope / start.exp()),
        };
        let relative_uncertainty = (u_slope / slope).abs();
        let known = tau.is_finite() && tau > 0.0 && per_becquerel > 0.0;
        if !(known && relative_uncertainty < 1.0) {
            return Err(QuantifyError::Rates(
                "they fall by no more than their noise from the lowest activity to the highest; measure \
                 up to higher rates"
                    .into(),
            ));
        }
        let dead_time = Self { model, tau: Seconds::new(tau) };
        Ok(DeadTimeFit { dead_time, relative_uncertainty, per_becquerel, reduced_chi_square })
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

    /// Rates of a decaying source, off by what the test says.
    fn series(camera: DeadTime, off: &[f64]) -> Vec<ObservedRate> {
        let rate = |(n, off): (usize, &f64)| {
            let activity = Becquerel::from_mbq(12_000.0 / 2f64.powi(n as i32));
            let truth = PerSecond::new(activity.value() * 50e-6);
            let rate = camera.observed_rate(truth) * (1.0 + off);
            ObservedRate { activity, rate, relative_uncertainty: 0.002 }
        };
        off.iter().enumerate().map(rate).collect()
    }

    #[test]
    fn a_series_of_rates_gives_the_dead_time_and_tells_the_models_apart() {
        for (model, other) in [
            (DeadTimeModel::NonParalysable, DeadTimeModel::Paralysable),
            (DeadTimeModel::Paralysable, DeadTimeModel::NonParalysable),
        ] {
            let camera = dead(model, 1.2);
            let exact = DeadTime::fit(model, &series(camera, &[0.0; 7])).unwrap();
            assert!((exact.dead_time.tau.value() / 1.2e-6 - 1.0).abs() < 1e-9, "{exact:?}");
            assert!((exact.per_becquerel / 50e-6 - 1.0).abs() < 1e-9);
            let noise = [0.002, -0.001, 0.003, -0.002, 0.001, -0.003, 0.002];
            let noisy = DeadTime::fit(model, &series(camera, &noise)).unwrap();
            let off = noisy.dead_time.tau.value() / 1.2e-6 - 1.0;
            assert!(off.abs() < 3.0 * noisy.relative_uncertainty, "{noisy:?}");
            assert!(noisy.relative_uncertainty < 0.05 && noisy.reduced_chi_square < 4.0);
            let wrong = DeadTime::fit(other, &series(camera, &noise)).unwrap();
            assert!(wrong.reduced_chi_square > 5.0 * noisy.reduced_chi_square, "{wrong:?}");
        }
    }

    #[test]
    fn rates_that_show_no_dead_time_are_refused() {
        let camera = dead(DeadTimeModel::Paralysable, 1e-3);
        let noise = [0.01, -0.01, 0.01, -0.01];
        let flat = DeadTime::fit(DeadTimeModel::Paralysable, &series(camera, &noise)).unwrap_err();
        assert!(flat.to_string().contains("higher rates"), "{flat}");
        let few = DeadTime::fit(DeadTimeModel::Paralysable, &series(camera, &noise[..2]));
        assert!(few.unwrap_err().to_string().contains("3 rates"));
    }
}
