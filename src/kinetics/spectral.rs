//! Non-negative spectral analysis: a sum of many decays at fixed rates, amplitudes of 0 or more.

use super::solution::{Data, Solution, covariance_of};
use super::{CONSTANTS, Covariance, KineticsError, line};
use crate::nnls;
use nalgebra::{DMatrix, DVector};

const MODEL: &str = "spectral";
/// The errors are relative to the curve, not to the points: solved, weighted by the solution, again.
const ROUNDS: usize = 4;

/// Rates of the basis, 1/h: physical decay, and physical decay with each biological rate of a
/// logarithmic grid.
fn basis(data: &Data) -> Vec<f64> {
    let [low, high] =
        [CONSTANTS.spectral_rate_min.value, CONSTANTS.spectral_rate_max.value].map(f64::ln);
    let terms = CONSTANTS.spectral_terms.value as usize;
    let biological = (0..terms).map(|n| (low + (high - low) * n as f64 / (terms - 1) as f64).exp());
    std::iter::once(0.0).chain(biological).map(|rate| data.physical_per_h + rate).collect()
}

/// Amplitudes at the basis by non-negative least squares of relative errors.
pub(super) fn spectral(data: &Data) -> Result<Solution, KineticsError> {
    data.needs(MODEL, 4)?;
    let rates = basis(data);
    // In units of the largest point, so that numbers stay near 1.
    let top = data.ln_activity.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let points: Vec<f64> = data.ln_activity.iter().map(|ln| (ln - top).exp()).collect();
    let mut expected = points.clone();
    let mut amplitudes = DVector::zeros(rates.len());
    for _ in 0..ROUNDS {
        let weight = |n: usize| 1.0 / (data.sigma[n] * expected[n]);
        let matrix = DMatrix::from_fn(data.len(), rates.len(), |n, k| {
            weight(n) * (-rates[k] * data.time_h[n]).exp()
        });
        let target = DVector::from_fn(data.len(), |n, _| weight(n) * points[n]);
        amplitudes = nnls::solve(&matrix, &target);
        for (n, value) in expected.iter_mut().enumerate() {
            let model: f64 =
                decays(&rates, &amplitudes).map(|(a, k)| a * at(k, data.time_h[n])).sum();
            if model > 0.0 {
                *value = model;
            }
        }
    }
    let terms: Vec<(f64, f64)> =
        decays(&rates, &amplitudes).map(|(a, rate)| (a * top.exp(), rate)).collect();
    if terms.is_empty() {
        return Err(KineticsError::NotConverged(MODEL));
    }
    let jacobian = DMatrix::from_fn(data.len(), terms.len(), |n, k| {
        terms[k].0 * at(terms[k].1, data.time_h[n]) / (top.exp() * expected[n] * data.sigma[n])
    });
    let covariance = covariance_of(&jacobian).map(|free| {
        // Rates of the basis are fixed: every second row is empty.
        let transform = DMatrix::from_fn(2 * terms.len(), terms.len(), |row, column| {
            f64::from(u8::from(row == 2 * column))
        });
        Covariance::through(&transform, &free)
    });
    line::finite(Solution {
        model: MODEL,
        parameters: terms.len(),
        terms,
        covariance,
        ..Solution::default()
    })
}

fn at(rate: f64, hours: f64) -> f64 {
    (-rate * hours).exp()
}

/// What the solution uses of the basis, slowest first.
fn decays<'a>(
    rates: &'a [f64],
    amplitudes: &'a DVector<f64>,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    amplitudes.iter().zip(rates).filter(|(a, _)| **a > 0.0).map(|(a, rate)| (*a, *rate))
}
