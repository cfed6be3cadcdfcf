//! The integral without a model between the points: trapezoids, a start and a tail.

use super::solution::{Data, Integral, Solution};
use super::{Bias, KineticsError, TrapezoidStart, TrapezoidTail};

const MODEL: &str = "trapezoid";
/// Step of ln A for the derivatives of the integral: central differences.
const STEP: f64 = 1e-4;

/// Integral by trapezoids between the points, as chosen before the first and after the last.
pub(super) fn trapezoid(
    data: &Data,
    start: TrapezoidStart,
    tail: TrapezoidTail,
) -> Result<Solution, KineticsError> {
    let needed = match tail {
        TrapezoidTail::Physical => 1,
        TrapezoidTail::LastTwo => 2,
    };
    data.needs(MODEL, needed)?;
    let integral = integrate(data, &data.ln_activity, start, tail);
    let total = integral.total;
    if !(total.is_finite() && total > 0.0) {
        return Err(KineticsError::NotConverged(MODEL));
    }
    // d ln Ã / d ln Aₙ, each point on its own.
    let variance: f64 = (0..data.len())
        .map(|n| {
            let moved = |by: f64| {
                let mut ln = data.ln_activity.clone();
                ln[n] += by;
                integrate(data, &ln, start, tail).total
            };
            let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP * total);
            (slope * data.sigma[n]).powi(2)
        })
        .sum();
    Ok(Solution {
        model: MODEL,
        uncertainty: Some(variance.sqrt()),
        bias: Some(against_exponentials(data, total)),
        integral: Some(integral),
        ..Solution::default()
    })
}

fn integrate(data: &Data, ln: &[f64], start: TrapezoidStart, tail: TrapezoidTail) -> Integral {
    let (t, last) = (&data.time_h, data.len() - 1);
    let a = |n: usize| ln[n].exp();
    let before = match start {
        TrapezoidStart::Constant => a(0) * t[0],
        TrapezoidStart::FromZero => a(0) * t[0] / 2.0,
    };
    let between: f64 = (0..last).map(|n| (a(n) + a(n + 1)) / 2.0 * (t[n + 1] - t[n])).sum();
    let rate = match tail {
        TrapezoidTail::Physical => data.physical_per_h,
        TrapezoidTail::LastTwo => {
            let fitted = (ln[last - 1] - ln[last]) / (t[last] - t[last - 1]);
            fitted.max(data.physical_per_h)
        }
    };
    let after = a(last) / rate;
    let total = before + between + after;
    Integral { total, early: before / total, late: after / total, tail: rate }
}

/// A straight line lies above an exponential between the same two points: by how much of the whole.
fn against_exponentials(data: &Data, total: f64) -> Bias {
    let excess: f64 = (0..data.len() - 1)
        .map(|n| {
            let [from, to] = [n, n + 1].map(|n| data.ln_activity[n].exp());
            let hours = data.time_h[n + 1] - data.time_h[n];
            let ratio = data.ln_activity[n] - data.ln_activity[n + 1];
            let curved = if ratio.abs() < 1e-9 { from } else { (from - to) / ratio };
            ((from + to) / 2.0 - curved) * hours
        })
        .sum();
    let high = excess / total;
    let statement = format!(
        "straight lines between the points exceed exponentials between them by {:.1} % of the integral",
        high * 100.0
    );
    Bias { low: 0.0, high, statement }
}
