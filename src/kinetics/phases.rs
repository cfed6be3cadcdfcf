//! Two exponentials: two clearances, or uptake and clearance; iterative, from fixed starts.
//!
//! Parameters are logarithms, so amplitudes and rates are positive by construction. Bounds on
//! rates (physical constant below, see `config/kinetics.yaml` above) are met face by face: the
//! inside and each combination of bounds is fitted by Levenberg-Marquardt from the same grid of
//! starts, and the best feasible end counts. No random number, hence the same bits every time.

use super::solution::{Data, Solution, propagate};
use super::{CONSTANTS, KineticsError, line};
use crate::quantity::Warning;
use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::{DMatrix, DVector, Dyn, storage::Owned};
use std::f64::consts::LN_2;

/// Rates of the grid of starts, log-spaced between the bounds.
const START_RATES: usize = 8;
/// Evaluations per free parameter before a start is given up.
const PATIENCE: usize = 200;
/// A phase that changes no point by more than this, or two rates closer than this, is not seen.
const NOT_SEEN: f64 = 1e-6;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    /// ln a₁, ln λ₁, ln a₂, ln λ₂ with A = a₁e^(−λ₁t) + a₂e^(−λ₂t).
    Clearances,
    /// ln a, ln λ, ln δ with A = a e^(−λt) (1 − e^(−δt)): uptake rate λ + δ, nothing at time 0.
    Uptake,
}

impl Shape {
    fn model(self) -> &'static str {
        match self {
            Shape::Clearances => "bi-exponential",
            Shape::Uptake => "uptake-clearance",
        }
    }

    fn parameters(self) -> usize {
        match self {
            Shape::Clearances => 4,
            Shape::Uptake => 3,
        }
    }

    /// Where the slow and the fast rate stand among the parameters.
    fn rates(self) -> [usize; 2] {
        match self {
            Shape::Clearances => [1, 3],
            Shape::Uptake => [1, 2],
        }
    }

    /// ln A(t) and its derivatives by the parameters.
    fn ln_activity(self, p: &[f64], t: f64) -> (f64, Vec<f64>) {
        match self {
            Shape::Clearances => {
                let (slow, fast) = (p[1].exp(), p[3].exp());
                let (u, v) = (p[0] - slow * t, p[2] - fast * t);
                let top = u.max(v);
                let ln = top + ((u - top).exp() + (v - top).exp()).ln();
                let (wu, wv) = ((u - ln).exp(), (v - ln).exp());
                (ln, vec![wu, -slow * t * wu, wv, -fast * t * wv])
            }
            Shape::Uptake => {
                let (rate, delta) = (p[1].exp(), p[2].exp());
                let x = delta * t;
                let by_delta = if x > 0.0 { x / x.exp_m1() } else { 1.0 };
                (p[0] - rate * t + (-(-x).exp_m1()).ln(), vec![1.0, -rate * t, by_delta])
            }
        }
    }

    /// Derivatives of the logarithm of the integral by the parameters.
    fn ln_integral_gradient(self, p: &[f64]) -> Vec<f64> {
        match self {
            Shape::Clearances => {
                let (u, v) = (p[0] - p[1], p[2] - p[3]);
                let share = 1.0 / (1.0 + (v - u).exp());
                vec![share, -share, 1.0 - share, share - 1.0]
            }
            Shape::Uptake => {
                let (rate, delta) = (p[1].exp(), p[2].exp());
                let part = rate / (rate + delta);
                vec![1.0, -1.0 - part, part]
            }
        }
    }

    /// Amplitudes and rates, slowest first.
    fn terms(self, p: &[f64]) -> Vec<(f64, f64)> {
        match self {
            Shape::Clearances => {
                let mut terms = vec![(p[0].exp(), p[1].exp()), (p[2].exp(), p[3].exp())];
                terms.sort_by(|a, b| a.1.total_cmp(&b.1));
                terms
            }
            Shape::Uptake => {
                let (a, rate) = (p[0].exp(), p[1].exp());
                vec![(a, rate), (-a, rate + p[2].exp())]
            }
        }
    }
}

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
        let free: Vec<usize> = self.free().collect();
        for (slot, value) in free.into_iter().zip(x.iter()) {
            self.values[slot] = *value;
        }
    }

    fn params(&self) -> DVector<f64> {
        DVector::from_iterator(self.free().count(), self.free().map(|n| self.values[n]))
    }

    fn residuals(&self) -> Option<DVector<f64>> {
        let d = self.data;
        let r = DVector::from_fn(d.len(), |n, _| {
            let ln = self.shape.ln_activity(&self.values, d.time_h[n]).0;
            (ln - d.ln_activity[n]) / d.sigma[n]
        });
        r.iter().all(|v| v.is_finite()).then_some(r)
    }

    fn jacobian(&self) -> Option<DMatrix<f64>> {
        let (d, free) = (self.data, self.free().collect::<Vec<_>>());
        let mut j = DMatrix::zeros(d.len(), free.len());
        for n in 0..d.len() {
            let by = self.shape.ln_activity(&self.values, d.time_h[n]).1;
            for (column, &slot) in free.iter().enumerate() {
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

/// Height of a phase with this rate through the measured point where it would matter most.
fn start_amplitude(data: &Data, rate: f64, share: f64) -> f64 {
    let lowest = (0..data.len())
        .map(|n| data.ln_activity[n] + rate * data.time_h[n])
        .fold(f64::INFINITY, f64::min);
    lowest + share.ln()
}

fn starts(data: &Data, shape: Shape, [low, high]: [f64; 2]) -> Vec<Vec<f64>> {
    let rate = |n: usize| low * (high / low).powf((n as f64 + 0.5) / START_RATES as f64);
    let mut all = Vec::new();
    for slow in 0..START_RATES {
        for fast in 0..START_RATES {
            let (s, f) = (rate(slow), rate(fast));
            match shape {
                Shape::Clearances if slow < fast => all.push(vec![
                    start_amplitude(data, s, 0.7),
                    s.ln(),
                    start_amplitude(data, f, 0.3),
                    f.ln(),
                ]),
                Shape::Uptake => {
                    let scale = (0..data.len())
                        .map(|n| {
                            let t = data.time_h[n];
                            data.ln_activity[n] + s * t - (-(-f * t).exp_m1()).ln()
                        })
                        .sum::<f64>()
                        / data.len() as f64;
                    all.push(vec![scale, s.ln(), f.ln()]);
                }
                Shape::Clearances => {}
            }
        }
    }
    all
}

/// The best feasible end over all faces and starts, with the bounds that hold it.
fn best<'a>(data: &'a Data, shape: Shape, limits: [f64; 2]) -> Option<(Problem<'a>, [bool; 2])> {
    let (slots, logs) = (shape.rates(), limits.map(f64::ln));
    let solver = LevenbergMarquardt::new().with_patience(PATIENCE);
    let mut found: Option<(f64, Problem<'a>, [bool; 2])> = None;
    for held in [[false, false], [true, false], [false, true], [true, true]] {
        for start in starts(data, shape, limits) {
            let mut problem =
                Problem { data, shape, held: vec![false; shape.parameters()], values: start };
            for n in 0..2 {
                if held[n] {
                    problem.held[slots[n]] = true;
                    problem.values[slots[n]] = logs[n];
                }
            }
            let (end, report) = solver.minimize(problem);
            let feasible = slots.iter().enumerate().all(|(n, &slot)| {
                // The excess of an uptake over the clearance has no lower bound of its own.
                let low = if shape == Shape::Uptake && n == 1 { f64::MIN } else { logs[0] };
                held[n] || (low..=logs[1]).contains(&end.values[slot])
            });
            let value = report.objective_function;
            if feasible && value.is_finite() && seen(&end) {
                // A face with a bound must be truly better, not by rounding.
                let better = found.as_ref().is_none_or(|(v, ..)| value < v * (1.0 - 1e-9));
                if better {
                    found = Some((value, end, held));
                }
            }
        }
    }
    found.map(|(_, problem, held)| (problem, held))
}

/// Both phases matter to some point, and they differ.
fn seen(problem: &Problem<'_>) -> bool {
    let terms = problem.shape.terms(&problem.values);
    let apart = terms[1].1 - terms[0].1 > NOT_SEEN * terms[0].1;
    let matters = (0..2).all(|phase| {
        problem.data.time_h.iter().any(|&t| {
            let part = |n: usize| terms[n].0.abs() * (-terms[n].1 * t).exp();
            part(phase) > NOT_SEEN * (part(0) + part(1))
        })
    });
    apart && matters && terms.iter().all(|(a, rate)| (a / rate).is_finite())
}

fn solve(data: &Data, shape: Shape) -> Option<Solution> {
    // Activity measured at time 0 contradicts "nothing there at time 0".
    if data.len() < 4 || (shape == Shape::Uptake && data.time_h[0] == 0.0) {
        return None;
    }
    let (problem, [at_physical, at_fastest]) = best(data, shape, bounds(data)?)?;
    let gradient = shape.ln_integral_gradient(&problem.values);
    let gradient =
        DVector::from_iterator(problem.free().count(), problem.free().map(|n| gradient[n]));
    let uncertainty = problem.jacobian().and_then(|j| propagate(&j, &gradient));
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
    let terms = shape.terms(&problem.values);
    let solution = Solution {
        model: shape.model(),
        terms,
        parameters: shape.parameters(),
        uncertainty,
        warnings,
    };
    (solution.integral_from(0.0) > 0.0).then_some(solution)
}

/// Two clearances; none where the points show no second phase.
pub(super) fn bi_exponential(data: &Data) -> Option<Solution> {
    solve(data, Shape::Clearances)
}

/// Uptake from nothing, then clearance; none where the points show no uptake.
pub(super) fn uptake_clearance(data: &Data) -> Option<Solution> {
    solve(data, Shape::Uptake)
}

/// The closer of the two shapes, or the one phase that the points show, with a warning.
pub(super) fn two_phases(data: &Data) -> Result<Solution, KineticsError> {
    data.needs("bi-exponential", 4)?;
    let mono = line::mono_exponential(data)?;
    let plain = mono.chi_square(data);
    let mut found: Option<(f64, Solution)> = None;
    for solution in [uptake_clearance(data), bi_exponential(data)].into_iter().flatten() {
        let value = solution.chi_square(data);
        // On equal closeness the shape with fewer parameters, which comes first.
        let better = found.as_ref().is_none_or(|(v, _)| value < v * (1.0 - 1e-6) - 1e-18);
        if better {
            found = Some((value, solution));
        }
    }
    match found {
        Some((value, solution)) if value < plain * (1.0 - 1e-6) || plain == 0.0 => Ok(solution),
        _ => {
            let mut solution = mono;
            solution.warnings.push(Warning::new(
                "second-phase-not-seen",
                "two phases were asked for, the points show one: mono-exponential taken",
            ));
            Ok(solution)
        }
    }
}
