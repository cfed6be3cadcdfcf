//! One exponential: straight lines through ln A(t), solved in closed form.

use super::solution::{Data, Solution, clamped_to_physical};
use super::{Bias, CONSTANTS, Covariance, KineticsError, ParameterChecks};
use crate::quantity::{Seconds, Warning};
use nalgebra::DMatrix;
use std::f64::consts::LN_2;

/// Weighted sums of a straight line through (t, ln A), taken about the mean time.
struct Line {
    weight: f64,
    mean_time: f64,
    mean_ln: f64,
    spread: f64,
    slope: f64,
}

impl Line {
    fn new(data: &Data) -> Self {
        let weights: Vec<f64> = data.sigma.iter().map(|s| 1.0 / (s * s)).collect();
        let weight: f64 = weights.iter().sum();
        let mean = |values: &[f64]| -> f64 {
            weights.iter().zip(values).map(|(w, v)| w * v).sum::<f64>() / weight
        };
        let (mean_time, mean_ln) = (mean(&data.time_h), mean(&data.ln_activity));
        let (mut spread, mut product) = (0.0, 0.0);
        for (n, w) in weights.iter().enumerate() {
            let dt = data.time_h[n] - mean_time;
            spread += w * dt * dt;
            product += w * dt * (data.ln_activity[n] - mean_ln);
        }
        let slope = if spread > 0.0 { product / spread } else { 0.0 };
        Self { weight, mean_time, mean_ln, spread, slope }
    }

    /// Amplitude at time 0 of the best line with this rate, Bq.
    fn amplitude(&self, rate_per_h: f64) -> f64 {
        (self.mean_ln + rate_per_h * self.mean_time).exp()
    }

    /// Of ln A₀ and ln λ, for a rate known to `rate_uncertainty` (relative) on its own: the height at
    /// the mean time t̄ is independent of the rate, and ln A₀ moves by t̄ dλ.
    fn covariance(&self, rate_per_h: f64, rate_uncertainty: f64) -> (DMatrix<f64>, DMatrix<f64>) {
        let by_rate = rate_per_h * self.mean_time;
        let transform = DMatrix::from_row_slice(2, 2, &[1.0, by_rate, 0.0, 1.0]);
        let free = DMatrix::from_row_slice(
            2,
            2,
            &[1.0 / self.weight, 0.0, 0.0, rate_uncertainty * rate_uncertainty],
        );
        (transform, free)
    }
}

/// a·exp(−λt), λ not below the physical constant.
///
/// # Errors
/// A rise that noise does not explain: one clearance through it would invent the tail.
pub(super) fn mono_exponential(data: &Data) -> Result<Solution, KineticsError> {
    const MODEL: &str = "mono-exponential";
    data.needs(MODEL, 2)?;
    let line = Line::new(data);
    let wanted = -line.slope;
    let rise = line.slope * line.spread.sqrt();
    if rise > CONSTANTS.rise_refused.value {
        return Err(KineticsError::Rising { standard_uncertainties: rise });
    }
    let free = wanted >= data.physical_per_h;
    let rate = wanted.max(data.physical_per_h);
    // A fitted rate is uncertain by 1/√spread and, about the mean time, independent of the height.
    let rate_uncertainty = if free { 1.0 / (rate * line.spread.sqrt()) } else { 0.0 };
    let (transform, about_mean) = line.covariance(rate, rate_uncertainty);
    let covariance = Covariance::through(&transform, &about_mean);
    let of_both = &transform * &about_mean * transform.transpose();
    finite(Solution {
        model: MODEL,
        terms: vec![(line.amplitude(rate), rate)],
        parameters: 2,
        covariance: Some(covariance),
        checks: free.then(|| ParameterChecks::of(&of_both)),
        warnings: (!free)
            .then(|| clamped_to_physical(wanted, data.physical_per_h))
            .into_iter()
            .collect(),
        ..Solution::default()
    })
}

/// Half-life from elsewhere, height from the points.
pub(super) fn stated_half_life(
    data: &Data,
    half_life: Seconds,
    relative_uncertainty: Option<f64>,
) -> Result<Solution, KineticsError> {
    let hours = half_life.hours();
    if !(hours.is_finite() && hours > 0.0) {
        return Err(KineticsError::HalfLife(half_life.value()));
    }
    if let Some(u) = relative_uncertainty.filter(|u| !(u.is_finite() && *u >= 0.0)) {
        return Err(KineticsError::HalfLifeUncertainty(u));
    }
    let mut warnings = Vec::new();
    let mut rate = LN_2 / hours;
    if rate < data.physical_per_h {
        // A stated half-life may be the physical one with fewer digits.
        if rate < data.physical_per_h * (1.0 - 1e-3) {
            warnings.push(Warning::new(
                "half-life-above-physical",
                format!(
                    "stated effective half-life {hours:.2} h is longer than the physical one; \
                     the physical half-life {:.2} h is used",
                    LN_2 / data.physical_per_h
                ),
            ));
        }
        rate = data.physical_per_h;
    }
    if relative_uncertainty.is_none() {
        warnings.push(Warning::new(
            "half-life-uncertainty-unknown",
            "no uncertainty is stated for the effective half-life: none can be given for the \
             integral",
        ));
    }
    let line = Line::new(data);
    let covariance = relative_uncertainty.map(|u| {
        let (transform, free) = line.covariance(rate, u);
        Covariance::through(&transform, &free)
    });
    finite(Solution {
        model: if data.len() == 1 { "single-time-point" } else { "stated-half-life" },
        terms: vec![(line.amplitude(rate), rate)],
        parameters: 1,
        covariance,
        bias: single(data).map(|t| Bias::of_half_life(t, rate, relative_uncertainty, data)),
        warnings,
        ..Solution::default()
    })
}

/// Integral = A(t)·2t/ln 2, which is the exponential of half-life t through the point.
pub(super) fn two_times(data: &Data) -> Result<Solution, KineticsError> {
    const MODEL: &str = "two-times";
    let Some(hours) = single(data) else {
        return Err(KineticsError::OnePointOnly { found: data.len() });
    };
    if hours <= 0.0 || LN_2 / hours < data.physical_per_h {
        return Err(KineticsError::BeyondPhysicalHalfLife { hours });
    }
    let rate = LN_2 / hours;
    let bias = Bias::of_two_times(hours, data);
    finite(Solution {
        model: MODEL,
        terms: vec![(Line::new(data).amplitude(rate), rate)],
        parameters: 1,
        warnings: vec![Warning::new(
            "two-times-approximation",
            format!("integral from one point by A(t) 2t/ln 2: {}", bias.statement),
        )],
        bias: Some(bias),
        ..Solution::default()
    })
}

/// λ = physical constant, height from the points.
pub(super) fn physical_decay(data: &Data) -> Solution {
    let line = Line::new(data);
    let (transform, free) = line.covariance(data.physical_per_h, 0.0);
    Solution {
        model: "physical-decay",
        terms: vec![(line.amplitude(data.physical_per_h), data.physical_per_h)],
        parameters: 1,
        covariance: Some(Covariance::through(&transform, &free)),
        bias: single(data).map(|t| Bias::of_physical_decay(t, data)),
        ..Solution::default()
    }
}

/// The time of the only point, h.
pub(super) fn single(data: &Data) -> Option<f64> {
    (data.len() == 1).then(|| data.time_h[0])
}

/// A line so steep that its height at time 0 leaves the range of numbers is no fit.
pub(super) fn finite(solution: Solution) -> Result<Solution, KineticsError> {
    let total = solution.integral_from(0.0);
    if total.is_finite() && total > 0.0 {
        Ok(solution)
    } else {
        Err(KineticsError::NotConverged(solution.model))
    }
}
