//! Which model the points support: the corrected Akaike criterion (Glatting et al. 2007).

use super::solution::{Data, Solution};
use super::{Candidate, KineticsError, line, phases};
use crate::quantity::Warning;

/// Smallest mean squared residual that counts: below it, all fits are exact to rounding.
const MEAN_SQUARE_FLOOR: f64 = 1e-20;

/// Points that define the criterion of a mono-exponential, and of a tri-exponential.
const LEAST_POINTS: usize = 5;
const LEAST_FOR_THREE: usize = 9;

/// AICc = N ln(RSS/N) + 2K + 2K(K+1)/(N−K−1); K counts the parameters and the noise. None where
/// N−K−1 is not positive: the points are too few for the model.
pub fn aicc(points: usize, residual_sum_of_squares: f64, k: usize) -> Option<f64> {
    let beyond = points.checked_sub(k + 1).filter(|n| *n > 0)? as f64;
    let (n, k) = (points as f64, k as f64);
    let mean_square = (residual_sum_of_squares / n).max(MEAN_SQUARE_FLOOR);
    Some(n * mean_square.ln() + 2.0 * k + 2.0 * k * (k + 1.0) / beyond)
}

/// Weight of each model among the others: exp(−Δ/2), normalised.
pub fn akaike_weights(criteria: &[f64]) -> Vec<f64> {
    let best = criteria.iter().copied().fold(f64::INFINITY, f64::min);
    let raw: Vec<f64> = criteria.iter().map(|c| (-(c - best) / 2.0).exp()).collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|w| w / sum).collect()
}

/// The model with the lowest criterion; on equal criteria the one with fewer parameters.
pub(super) fn select(data: &Data) -> Result<(Solution, Vec<Candidate>), KineticsError> {
    let mono = line::mono_exponential(data);
    if data.len() < LEAST_POINTS {
        let mut solution = mono?;
        solution.warnings.push(Warning::new(
            "model-not-selected",
            format!(
                "{} points leave the corrected Akaike criterion no choice of models: \
                 mono-exponential taken",
                data.len()
            ),
        ));
        return Ok((solution, Vec::new()));
    }
    let more = [
        phases::uptake_clearance(data),
        phases::bi_exponential(data),
        if data.len() >= LEAST_FOR_THREE { phases::tri_exponential(data) } else { None },
    ];
    let rising = mono.as_ref().err().cloned();
    let one_phase = mono.ok().into_iter().flat_map(|mono| [line::physical_decay(data), mono]);
    let mut tried: Vec<(Solution, f64)> = one_phase
        .chain(more.into_iter().flatten())
        .filter_map(|solution| solution.aicc(data).map(|criterion| (solution, criterion)))
        .collect();
    let criteria: Vec<f64> = tried.iter().map(|t| t.1).collect();
    let candidates = tried
        .iter()
        .zip(akaike_weights(&criteria))
        .map(|((s, aicc), weight)| Candidate { model: s.model, aicc: *aicc, weight })
        .collect();
    let best = (0..tried.len()).min_by(|&a, &b| criteria[a].total_cmp(&criteria[b]));
    match (best, rising) {
        (Some(best), _) => Ok((tried.swap_remove(best).0, candidates)),
        (None, Some(rising)) => Err(rising),
        (None, None) => Err(KineticsError::NotConverged("mono-exponential")),
    }
}
