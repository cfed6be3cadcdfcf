//! How well fitted parameters are known, and together.

use super::CONSTANTS;
use crate::quantity::Warning;
use nalgebra::DMatrix;

/// Covariance of ln |amplitude| and ln rate of every term in turn: relative standard uncertainties
/// squared on the diagonal. What is held at a bound or stated exactly has zeros.
#[derive(Debug, Clone, PartialEq)]
pub struct Covariance {
    size: usize,
    values: Vec<f64>,
}

impl Covariance {
    /// `transform` (rows: ln |amplitude| and ln rate of each term; columns: free parameters) takes
    /// the covariance of the free parameters to that of the terms.
    pub(super) fn through(transform: &DMatrix<f64>, free: &DMatrix<f64>) -> Self {
        let full = transform * free * transform.transpose();
        Self { size: full.nrows(), values: full.iter().copied().collect() }
    }

    /// Two numbers a term.
    pub fn size(&self) -> usize {
        self.size
    }

    pub fn get(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.size + column]
    }

    /// sqrt(gᵀ C g): standard uncertainty of what has the gradient g. `None` where it is no number.
    pub fn propagate(&self, gradient: &[f64]) -> Option<f64> {
        assert_eq!(gradient.len(), self.size, "one derivative a parameter");
        let mut variance = 0.0;
        for (row, g) in gradient.iter().enumerate() {
            for (column, h) in gradient.iter().enumerate() {
                variance += g * h * self.get(row, column);
            }
        }
        // Rounding of exactly cancelling terms may leave a tiny negative.
        (variance.is_finite() && variance > -1e-12).then(|| variance.max(0.0).sqrt())
    }
}

/// What NUKFIT asks of fitted parameters (Kletting 2013): each known to better than 50 %, and no pair
/// so correlated that only their combination is known.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ParameterChecks {
    pub largest_relative_uncertainty: f64,
    /// Of two free parameters, without its sign; 0 for one parameter.
    pub largest_correlation: f64,
    pub uncertainty_passed: bool,
    pub correlation_passed: bool,
}

impl ParameterChecks {
    pub(super) fn of(free: &DMatrix<f64>) -> Self {
        let sd = |n: usize| free[(n, n)].max(0.0).sqrt();
        let mut largest = Self {
            largest_relative_uncertainty: (0..free.nrows()).map(sd).fold(0.0, f64::max),
            largest_correlation: 0.0,
            uncertainty_passed: true,
            correlation_passed: true,
        };
        for row in 0..free.nrows() {
            for column in 0..row {
                let of_pair = (free[(row, column)] / (sd(row) * sd(column))).abs();
                if of_pair.is_finite() {
                    largest.largest_correlation = largest.largest_correlation.max(of_pair);
                }
            }
        }
        largest.uncertainty_passed =
            largest.largest_relative_uncertainty < CONSTANTS.parameter_uncertainty_max.value;
        largest.correlation_passed =
            largest.largest_correlation < CONSTANTS.parameter_correlation_max.value;
        largest
    }

    pub(super) fn warning(&self) -> Option<Warning> {
        (!self.uncertainty_passed).then(|| {
            Warning::new(
                "parameter-not-determined",
                format!(
                    "a fitted parameter is known only to {:.0} %: the model has more parameters than \
                     the points carry",
                    self.largest_relative_uncertainty * 100.0
                ),
            )
        })
    }
}
