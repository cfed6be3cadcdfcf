//! Several exponentials: two or three clearances, or uptake and clearance.
//!
//! Iterative, from fixed starts: rates on a grid, amplitudes by non-negative least squares, the best
//! few refined by Levenberg-Marquardt. Bounds on rates (physical constant below, see
//! `config/kinetics.yaml` above) are met face by face: where the best end lies outside, each
//! combination of bounds is fitted too and the best feasible end counts. No random number, hence the
//! same bits every time.

use super::shape::Shape;
use super::solution::{Data, Solution, covariance_of};
use super::{CONSTANTS, Covariance, KineticsError, ParameterChecks, line};
use crate::nnls;
use crate::quantity::Warning;
use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::{DMatrix, DVector, Dyn, storage::Owned};
use std::f64::consts::LN_2;

/// Rates of the grid of starts, log-spaced between the bounds.
const START_RATES: usize = 8;
/// Starts that are refined.
const REFINED: usize = 6;
/// Evaluations per free parameter before a start is given up.
const PATIENCE: usize = 200;
/// A phase that changes no point by more than this, or two rates closer than this, is not seen.
const NOT_SEEN: f64 = 1e-6;
/// Sum of squares below which a fit goes through the points to rounding.
const EXACT: f64 = 1e-18;
/// A phase that the grid of starts gives nothing begins with this part of what would fit.
const FAINT: f64 = 0.05;

/// One face of the feasible region: parameters that are `held` keep their value.
#[derive(Clone)]
struct Problem<'a> {
    data: &'a Data,
    shape: Shape,
    held: Vec<bool>,
    values: Vec<f64>,
}

impl Problem<'_> {
    fn free(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.values.len()).filter(|&n| !self.held[n])
    }
}

impl LeastSquaresProblem<f64, Dyn, Dyn> for Problem<'_> {
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, Dyn>;
    type ParameterStorage = Owned<f64, Dyn>;

    fn set_params(&mut self, x: &DVector<f64>) {
        let mut next = x.iter();
        for (value, held) in self.values.iter_mut().zip(&self.held) {
            if !held && let Some(new) = next.next() {
                *value = *new;
            }
        }
    }

    fn params(&self) -> DVector<f64> {
        DVector::from_iterator(self.free().count(), self.free().map(|n| self.values[n]))
    }

    fn residuals(&self) -> Option<DVector<f64>> {
        let d = self.data;
        let mut by = vec![0.0; self.values.len()];
        let r = DVector::from_fn(d.len(), |n, _| {
            let ln = self.shape.ln_activity(&self.values, d.time_h[n], &mut by);
            (ln - d.ln_activity[n]) / d.sigma[n]
        });
        r.iter().all(|v| v.is_finite()).then_some(r)
    }

    fn jacobian(&self) -> Option<DMatrix<f64>> {
        let d = self.data;
        let mut by = vec![0.0; self.values.len()];
        let mut j = DMatrix::zeros(d.len(), self.free().count());
        for n in 0..d.len() {
            self.shape.ln_activity(&self.values, d.time_h[n], &mut by);
            for (column, slot) in self.free().enumerate() {
                j[(n, column)] = by[slot] / d.sigma[n];
            }
        }
        j.iter().all(|v| v.is_finite()).then_some(j)
    }
}

/// Bounds of every rate, 1/h: the physical constant, and what the first image could still see.
fn bounds(data: &Data) -> Option<[f64; 2]> {
    let first = data.time_h.iter().copied().find(|t| *t > 0.0)?;
    let highest = CONSTANTS.halvings_before_first_point.value * LN_2 / first;
    (highest > 2.0 * data.physical_per_h).then_some([data.physical_per_h, highest])
}

/// ln of the highest amplitude at this rate that exceeds no measured point.
fn highest_below(data: &Data, rate: f64) -> f64 {
    (0..data.len())
        .map(|n| data.ln_activity[n] + rate * data.time_h[n])
        .fold(f64::INFINITY, f64::min)
}

/// The best amplitudes of clearances at these rates, with Σ ((model/measured − 1)/σ)².
fn clearances(data: &Data, rates: &[f64]) -> (f64, Vec<f64>) {
    let scale: Vec<f64> = rates.iter().map(|&rate| highest_below(data, rate)).collect();
    let matrix = DMatrix::from_fn(data.len(), rates.len(), |n, k| {
        let ln = scale[k] - rates[k] * data.time_h[n] - data.ln_activity[n];
        ln.exp() / data.sigma[n]
    });
    let target = DVector::from_fn(data.len(), |n, _| 1.0 / data.sigma[n]);
    let found = nnls::solve(&matrix, &target);
    let misfit = (&matrix * &found - target).norm_squared();
    let start = rates
        .iter()
        .enumerate()
        .flat_map(|(k, rate)| [scale[k] + found[k].max(FAINT).ln(), rate.ln()])
        .collect();
    (misfit, start)
}

/// The best height of an uptake with these rates, with the weighted squares of its ln residuals.
fn uptake(data: &Data, rate: f64, delta: f64) -> (f64, Vec<f64>) {
    let (mut heights, mut weights) = (Vec::new(), Vec::new());
    for n in 0..data.len() {
        let t = data.time_h[n];
        heights.push(data.ln_activity[n] + rate * t - (-(-delta * t).exp_m1()).ln());
        weights.push(data.sigma[n].powi(-2));
    }
    let pairs = || heights.iter().zip(&weights);
    let mean = pairs().map(|(h, w)| h * w).sum::<f64>() / weights.iter().sum::<f64>();
    let misfit = pairs().map(|(h, w)| w * (h - mean).powi(2)).sum();
    (misfit, vec![mean, rate.ln(), delta.ln()])
}

/// The most promising points of the grid.
fn starts(data: &Data, shape: Shape, [low, high]: [f64; 2]) -> Vec<Vec<f64>> {
    let rate = |n: usize| low * (high / low).powf((n as f64 + 0.5) / START_RATES as f64);
    let mut all: Vec<(f64, Vec<f64>)> = Vec::new();
    for i in 0..START_RATES {
        for j in 0..START_RATES {
            match shape {
                Shape::Uptake => all.push(uptake(data, rate(i), rate(j))),
                Shape::Clearances(2) if i < j => {
                    all.push(clearances(data, &[rate(i), rate(j)]));
                }
                Shape::Clearances(3) => {
                    for k in j + 1..START_RATES {
                        if i < j {
                            all.push(clearances(data, &[rate(i), rate(j), rate(k)]));
                        }
                    }
                }
                Shape::Clearances(_) => {}
            }
        }
    }
    all.retain(|(misfit, _)| misfit.is_finite());
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.into_iter().take(REFINED).map(|(_, start)| start).collect()
}

/// The end of one refinement.
struct End<'a> {
    chi_square: f64,
    problem: Problem<'a>,
    /// At the physical constant, at the fastest that can be seen.
    held: [bool; 2],
    feasible: bool,
}

fn refine<'a>(
    data: &'a Data,
    shape: Shape,
    logs: [f64; 2],
    start: &[f64],
    held: [bool; 2],
) -> End<'a> {
    let slots = shape.rates();
    let bounded = [slots[0], slots[slots.len() - 1]];
    let mut problem =
        Problem { data, shape, held: vec![false; shape.parameters()], values: start.to_vec() };
    for n in 0..2 {
        if held[n] {
            problem.held[bounded[n]] = true;
            problem.values[bounded[n]] = logs[n];
        }
    }
    let (problem, report) = LevenbergMarquardt::new().with_patience(PATIENCE).minimize(problem);
    let inside = slots.iter().enumerate().all(|(n, &slot)| {
        // The excess of an uptake over the clearance has no lower bound of its own.
        let low = if shape == Shape::Uptake && n == 1 { f64::MIN } else { logs[0] };
        problem.held[slot] || (low..=logs[1]).contains(&problem.values[slot])
    });
    let chi_square = report.objective_function;
    let feasible = inside && chi_square.is_finite() && seen(&problem);
    End { chi_square, problem, held, feasible }
}

/// The best feasible end over all starts. Faces with bounds are tried only where the best end without
/// them lies outside, for no face can be better than the best inside.
fn best(data: &Data, shape: Shape, limits: [f64; 2]) -> Option<End<'_>> {
    let (starts, logs) = (starts(data, shape, limits), limits.map(f64::ln));
    let (mut found, mut lowest) = (None::<End>, f64::INFINITY);
    for held in [[false, false], [true, false], [false, true], [true, true]] {
        for start in &starts {
            let end = refine(data, shape, logs, start, held);
            lowest = lowest.min(end.chi_square);
            // A later end must be truly better, not by rounding.
            let better = |best: &End| end.chi_square < best.chi_square * (1.0 - 1e-9);
            if end.feasible && found.as_ref().is_none_or(better) {
                found = Some(end);
            }
        }
        if found.as_ref().is_some_and(|best| best.chi_square <= lowest * (1.0 + 1e-9) + EXACT) {
            break;
        }
    }
    found
}

/// All phases matter to some point, and they differ.
fn seen(problem: &Problem<'_>) -> bool {
    let terms = problem.shape.terms(&problem.values);
    let apart = terms.windows(2).all(|pair| pair[1].1 - pair[0].1 > NOT_SEEN * pair[0].1);
    let matters = (0..terms.len()).all(|phase| {
        problem.data.time_h.iter().any(|&t| {
            let part = |n: usize| terms[n].0.abs() * (-terms[n].1 * t).exp();
            part(phase) > NOT_SEEN * (0..terms.len()).map(part).sum::<f64>()
        })
    });
    apart && matters && terms.iter().all(|(a, rate)| (a / rate).is_finite())
}

fn solve(data: &Data, shape: Shape) -> Option<Solution> {
    // Activity measured at time 0 contradicts "nothing there at time 0".
    let starts_full = shape == Shape::Uptake && data.time_h[0] == 0.0;
    if data.len() < shape.parameters() || starts_full {
        return None;
    }
    let End { problem, held: [at_physical, at_fastest], .. } = best(data, shape, bounds(data)?)?;
    let free = problem.jacobian().and_then(|j| covariance_of(&j));
    let covariance = free.as_ref().map(|free| {
        let rows = shape.terms_by_parameters(&problem.values);
        let columns: Vec<usize> = problem.free().collect();
        let transform = DMatrix::from_fn(rows.len(), columns.len(), |r, c| rows[r][columns[c]]);
        Covariance::through(&transform, free)
    });
    let mut warnings = Vec::new();
    if at_physical {
        warnings.push(Warning::new(
            "rate-at-physical",
            "the points ask for a slow phase that outlives the nuclide: its rate stands at the \
             physical constant and is held fixed in the uncertainty",
        ));
    }
    if at_fastest {
        warnings.push(Warning::new(
            "fast-phase-not-resolved",
            "the fast phase is over before the first measurement; its rate stands at the bound \
             that the first measurement sets",
        ));
    }
    if free.is_none() {
        warnings.push(Warning::new(
            "phases-not-determined",
            "the points do not tell the parameters of two phases apart: no uncertainty is stated",
        ));
    }
    line::finite(Solution {
        model: shape.model(),
        terms: shape.terms(&problem.values),
        parameters: shape.parameters(),
        covariance,
        checks: free.as_ref().map(ParameterChecks::of),
        warnings,
        ..Solution::default()
    })
    .ok()
}

/// Two clearances; none where the points show no second phase.
pub(super) fn bi_exponential(data: &Data) -> Option<Solution> {
    solve(data, Shape::Clearances(2))
}

/// Three clearances; none where the points show no third phase.
pub(super) fn tri_exponential(data: &Data) -> Option<Solution> {
    solve(data, Shape::Clearances(3))
}

/// Uptake from nothing, then clearance; none where the points show no uptake.
pub(super) fn uptake_clearance(data: &Data) -> Option<Solution> {
    solve(data, Shape::Uptake)
}

/// The closer of the two shapes of two phases, or the one phase that the points show.
pub(super) fn two_phases(data: &Data) -> Result<Solution, KineticsError> {
    data.needs("bi-exponential", 4)?;
    // On equal closeness the shape with fewer parameters, which comes first.
    closest_or_one_phase(data, [uptake_clearance(data), bi_exponential(data)])
}

/// Two clearances, or the one phase that the points show.
pub(super) fn two_clearances(data: &Data) -> Result<Solution, KineticsError> {
    data.needs("bi-exponential", 4)?;
    closest_or_one_phase(data, [None, bi_exponential(data)])
}

/// Uptake and clearance, or the one phase that the points show.
pub(super) fn uptake_or_one_phase(data: &Data) -> Result<Solution, KineticsError> {
    data.needs("uptake-clearance", 3)?;
    closest_or_one_phase(data, [uptake_clearance(data), None])
}

/// Three clearances, or the fewer phases that the points show.
pub(super) fn three_phases(data: &Data) -> Result<Solution, KineticsError> {
    data.needs("tri-exponential", 6)?;
    let fewer = two_phases(data)?;
    match tri_exponential(data) {
        Some(three) if closer(&three, &fewer, data) => Ok(three),
        _ => {
            let mut solution = fewer;
            solution.warnings.push(Warning::new(
                "third-phase-not-seen",
                format!(
                    "three phases were asked for, the points show fewer: {} taken",
                    solution.model
                ),
            ));
            Ok(solution)
        }
    }
}

/// Truly closer to the points, not by rounding.
fn closer(one: &Solution, other: &Solution, data: &Data) -> bool {
    one.chi_square(data) < other.chi_square(data) * (1.0 - 1e-6) - EXACT
}

/// Do the points leave its integral open, so that no uncertainty could be stated?
fn is_undetermined(solution: &Solution) -> bool {
    let gradient = solution.ln_integral_gradient(0.0);
    let known = solution.covariance.as_ref().and_then(|covariance| covariance.propagate(&gradient));
    let limit = CONSTANTS.propagated_uncertainty_max.value;
    known.is_none_or(|u| !u.is_finite() || u > limit)
}

/// Is it nowhere far from the points: all misfits together within one standard deviation?
fn fits(solution: &Solution, data: &Data) -> bool {
    solution.chi_square(data) < 1.0
}

/// Two phases that the points leave open say no more than one that goes through them, and less surely.
fn closest_or_one_phase(
    data: &Data,
    candidates: [Option<Solution>; 2],
) -> Result<Solution, KineticsError> {
    let several = candidates
        .into_iter()
        .flatten()
        .reduce(|best, other| if closer(&other, &best, data) { other } else { best });
    let mono = line::mono_exponential(data);
    match (several, mono) {
        (Some(several), Err(KineticsError::Rising { .. })) => Ok(several),
        (Some(several), Ok(mono))
            if closer(&several, &mono, data)
                && !(is_undetermined(&several) && fits(&mono, data)) =>
        {
            Ok(several)
        }
        (_, mono) => {
            let mut solution = mono?;
            solution.warnings.push(Warning::new(
                "second-phase-not-seen",
                "two phases were asked for, the points show one, or leave open which: mono-exponential taken",
            ));
            Ok(solution)
        }
    }
}
