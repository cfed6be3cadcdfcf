//! What an integral from one point can be off by: sign and size.
//!
//! A curve a·2^(−t/T) of half-life T that is integrated as if its half-life were T' from its value at
//! t gives T'·2^(t/T') / (T·2^(t/T)) of the truth. As a function of T that has its one maximum at
//! T = t·ln 2: an image taken then can only be integrated too low (Madsen 2018).

use super::CONSTANTS;
use super::solution::Data;
use std::f64::consts::LN_2;

/// Relative error of the integral: low to high over the half-lives that `statement` names.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Bias {
    pub low: f64,
    pub high: f64,
    /// One sentence for the report.
    pub statement: String,
}

impl Bias {
    /// The error of A(t)·`hours_per_activity` over true half-lives from `shortest` to `longest`, h.
    fn over(t: f64, hours_per_activity: f64, [shortest, longest]: [f64; 2]) -> (f64, f64) {
        let error = |half: f64| hours_per_activity * LN_2 / (half * 2f64.powf(t / half)) - 1.0;
        let (a, b) = (error(shortest), error(longest));
        let peak = t * LN_2;
        let top = if (shortest..longest).contains(&peak) { error(peak) } else { a.max(b) };
        (a.min(b), top)
    }

    fn stated(t: f64, hours_per_activity: f64, range: [f64; 2]) -> Self {
        let (low, high) = Self::over(t, hours_per_activity, range);
        // A small one to a tenth: `-0 %` says no sign.
        let signed = |part: f64| match part.abs() < 0.02 {
            true => format!("{:+.1} %", part * 100.0),
            false => format!("{:+.0} %", part * 100.0),
        };
        let statement = format!(
            "for true effective half-lives from {:.0} h to {:.0} h the integral is off by {} to {}",
            range[0],
            range[1],
            signed(low),
            signed(high)
        );
        Self { low, high, statement }
    }

    /// A half-life from elsewhere is off by its uncertainty, or by the part that the table of
    /// constants assumes where none is stated.
    pub(super) fn of_half_life(t: f64, rate: f64, uncertainty: Option<f64>, data: &Data) -> Self {
        let half = LN_2 / rate;
        let spread =
            uncertainty.unwrap_or(CONSTANTS.unknown_half_life_spread.value).clamp(0.01, 0.9);
        let range =
            [half * (1.0 - spread), (half * (1.0 + spread)).min(LN_2 / data.physical_per_h)];
        Self::stated(t, (rate * t).exp() / rate, range)
    }

    /// A(t)·2t/ln 2 over the half-lives for which Hänscheid 2018 proposes it.
    pub(super) fn of_two_times(t: f64, data: &Data) -> Self {
        let physical = LN_2 / data.physical_per_h;
        Self::stated(t, 2.0 * t / LN_2, [t / 2.5, (t / 0.75).min(physical)])
    }

    /// Physical decay in place of anything faster, down to half the half-life.
    pub(super) fn of_physical_decay(t: f64, data: &Data) -> Self {
        let rate = data.physical_per_h;
        let half = LN_2 / rate;
        Self::stated(t, (rate * t).exp() / rate, [0.5 * half, half])
    }
}
