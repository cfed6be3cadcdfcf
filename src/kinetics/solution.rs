//! The checked curve as the fits see it, and a fitted curve before it is reported.

use super::{
    Bias, CONSTANTS, Candidate, Covariance, Exponential, Fit, KineticsError, ParameterChecks,
    TimeActivityCurve,
};
use crate::quantity::{Becquerel, BecquerelSecond, PerSecond, Seconds, Warning};
use nalgebra::DMatrix;

/// A curve that can be fitted: hours, logarithms of becquerel, finite throughout.
pub(super) struct Data {
    pub time_h: Vec<f64>,
    pub ln_activity: Vec<f64>,
    /// Relative standard uncertainty = standard uncertainty of the logarithm.
    pub sigma: Vec<f64>,
    pub physical_per_h: f64,
    /// At least one uncertainty is the assumed one.
    pub assumed_uncertainty: bool,
}

impl Data {
    pub fn new(curve: &TimeActivityCurve) -> Result<Self, KineticsError> {
        let physical_per_h = curve.physical.value() * 3600.0;
        if !(physical_per_h.is_finite() && physical_per_h > 0.0) {
            return Err(KineticsError::PhysicalRate(curve.physical.value()));
        }
        if curve.points.is_empty() {
            return Err(KineticsError::NoPoint);
        }
        let assumed = CONSTANTS.assumed_relative_uncertainty.value;
        let mut data = Data {
            time_h: Vec::new(),
            ln_activity: Vec::new(),
            sigma: Vec::new(),
            physical_per_h,
            assumed_uncertainty: false,
        };
        for (n, point) in curve.points.iter().enumerate() {
            let index = n + 1;
            let (hours, bq) = (point.time.hours(), point.activity.value());
            if !hours.is_finite() {
                return Err(KineticsError::NotFinite { index, what: "time" });
            }
            if !bq.is_finite() {
                return Err(KineticsError::NotFinite { index, what: "activity" });
            }
            if hours < 0.0 {
                return Err(KineticsError::BeforeAdministration { index, hours });
            }
            if data.time_h.last().is_some_and(|&before| before >= hours) {
                return Err(KineticsError::NotAscending { first: index - 1, second: index });
            }
            if bq <= 0.0 {
                return Err(KineticsError::NotPositive { index, bq });
            }
            let sigma = point.relative_uncertainty.unwrap_or(assumed);
            if !(sigma.is_finite() && sigma > 0.0) {
                return Err(KineticsError::Uncertainty { index, value: sigma });
            }
            data.assumed_uncertainty |= point.relative_uncertainty.is_none();
            data.time_h.push(hours);
            data.ln_activity.push(bq.ln());
            data.sigma.push(sigma);
        }
        Ok(data)
    }

    pub fn len(&self) -> usize {
        self.time_h.len()
    }

    pub fn needs(&self, model: &'static str, needed: usize) -> Result<(), KineticsError> {
        if self.len() < needed {
            return Err(KineticsError::TooFewPoints { model, needed, found: self.len() });
        }
        Ok(())
    }
}

/// A fitted curve: A(t) = Σ amplitude·exp(−rate·t), Bq and 1/h, slowest rate first.
#[derive(Debug, Clone, Default)]
pub(super) struct Solution {
    pub model: &'static str,
    pub terms: Vec<(f64, f64)>,
    /// Free parameters of the model, whether or not a bound holds one of them.
    pub parameters: usize,
    /// Of ln |amplitude| and ln rate of each term in turn.
    pub covariance: Option<Covariance>,
    /// For methods without such a covariance: relative standard uncertainty of the integral.
    pub uncertainty: Option<f64>,
    /// For methods without terms: what they integrate.
    pub integral: Option<Integral>,
    pub checks: Option<ParameterChecks>,
    pub bias: Option<Bias>,
    pub warnings: Vec<Warning>,
}

/// The integral in Bq·h, and how much of it lies before the first and after the last point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Integral {
    pub total: f64,
    pub early: f64,
    pub late: f64,
    /// Rate of the tail, 1/h.
    pub tail: f64,
}

impl Solution {
    pub fn activity(&self, hours: f64) -> f64 {
        self.terms.iter().map(|(a, rate)| a * (-rate * hours).exp()).sum()
    }

    /// Integral from `hours` to infinity, Bq·h.
    pub fn integral_from(&self, hours: f64) -> f64 {
        self.terms.iter().map(|(a, rate)| a / rate * (-rate * hours).exp()).sum()
    }

    /// Residuals of ln A in standard uncertainties; none for a method without a formula.
    fn residuals<'a>(&'a self, data: &'a Data) -> impl Iterator<Item = f64> + 'a {
        let points = if self.terms.is_empty() { 0 } else { data.len() };
        (0..points)
            .map(|n| (self.activity(data.time_h[n]).ln() - data.ln_activity[n]) / data.sigma[n])
    }

    pub fn chi_square(&self, data: &Data) -> f64 {
        self.residuals(data).map(|r| r * r).sum()
    }

    /// None where the number of points does not define it.
    pub fn aicc(&self, data: &Data) -> Option<f64> {
        super::aicc(data.len(), self.chi_square(data), self.parameters + 1)
    }

    /// d ln Ã by ln |amplitude| and ln rate of each term, each rate faster by `shift` (1/h).
    pub fn ln_integral_gradient(&self, shift: f64) -> Vec<f64> {
        let part = |&(a, rate): &(f64, f64)| a / (rate + shift);
        let total: f64 = self.terms.iter().map(part).sum();
        self.terms
            .iter()
            .flat_map(|term| {
                let share = part(term) / total;
                [share, -share * term.1 / (term.1 + shift)]
            })
            .collect()
    }

    fn integral(&self, [first, last]: [f64; 2]) -> Integral {
        self.integral.unwrap_or_else(|| {
            let total = self.integral_from(0.0);
            Integral {
                total,
                early: 1.0 - self.integral_from(first) / total,
                late: self.integral_from(last) / total,
                tail: self.terms.first().map_or(f64::NAN, |slowest| slowest.1),
            }
        })
    }

    fn data_warnings(&self, data: &Data) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let worst = self.residuals(data).map(f64::abs).fold(0.0, f64::max);
        if worst > CONSTANTS.residual_warn.value {
            warnings.push(Warning::new(
                "poor-fit",
                format!(
                    "the {} curve misses a measured activity by {worst:.1} standard uncertainties",
                    self.model
                ),
            ));
        }
        if data.assumed_uncertainty {
            warnings.push(Warning::new(
                "assumed-activity-uncertainty",
                format!(
                    "relative uncertainty of {:.0} % assumed for activities that state none",
                    CONSTANTS.assumed_relative_uncertainty.value * 100.0
                ),
            ));
        }
        warnings
    }

    pub fn into_fit(mut self, data: &Data, candidates: Vec<Candidate>) -> Fit {
        let more = self.data_warnings(data);
        self.warnings.extend(more);
        self.finish([data.time_h[0], data.time_h[data.len() - 1]], candidates)
    }

    /// The fit of a curve that was measured between these two times, h.
    pub fn finish(mut self, span_h: [f64; 2], candidates: Vec<Candidate>) -> Fit {
        let integral = self.integral(span_h);
        self.warnings.extend(span_warnings(&integral, span_h));
        if let Some(warning) = self.checks.as_ref().and_then(ParameterChecks::warning) {
            self.warnings.push(warning);
        }
        let propagated = match &self.covariance {
            Some(covariance) => covariance.propagate(&self.ln_integral_gradient(0.0)),
            None => self.uncertainty,
        };
        let limit = CONSTANTS.propagated_uncertainty_max.value;
        let sure = propagated.filter(|u| u.is_finite() && *u <= limit);
        if propagated.is_some() && sure.is_none() {
            self.warnings.push(Warning::new(
                "integral-not-determined",
                "the points do not determine the integral: its propagated uncertainty exceeds \
                 its value and is not stated",
            ));
        }
        let terms: Vec<Exponential> = self
            .terms
            .iter()
            .map(|&(bq, per_h)| Exponential {
                amplitude: Becquerel::new(bq),
                rate: PerSecond::new(per_h / 3600.0),
            })
            .collect();
        Fit {
            model: self.model,
            effective_half_life: Some(PerSecond::new(integral.tail / 3600.0).half_life())
                .filter(|t| t.is_finite()),
            terms,
            time_integrated_activity: BecquerelSecond::new(integral.total * 3600.0),
            relative_uncertainty: sure,
            interpolated_fraction: integral.early,
            extrapolated_fraction: integral.late,
            measured: span_h.map(Seconds::from_hours),
            covariance: self.covariance,
            checks: self.checks,
            bias: self.bias,
            candidates,
            warnings: self.warnings,
        }
    }
}

fn span_warnings(integral: &Integral, [first, last]: [f64; 2]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if integral.late > CONSTANTS.extrapolated_fraction_warn.value {
        warnings.push(Warning::new(
            "extrapolated-fraction",
            format!(
                "{:.0} % of the time-integrated activity lies after the last measurement \
                 ({last:.1} h)",
                integral.late * 100.0
            ),
        ));
    }
    if integral.early > CONSTANTS.early_fraction_warn.value {
        warnings.push(Warning::new(
            "early-fraction",
            format!(
                "{:.0} % of the time-integrated activity lies before the first measurement \
                 ({first:.1} h)",
                integral.early * 100.0
            ),
        ));
    }
    warnings
}

/// (JᵀJ)⁻¹ of the Jacobian of the weighted residuals: covariance of the free parameters. None
/// where the points leave a parameter open.
pub(super) fn covariance_of(jacobian: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    let inverse = jacobian.tr_mul(jacobian).cholesky()?.inverse();
    inverse.iter().all(|value| value.is_finite()).then_some(inverse)
}

/// A warning that a rate stands at the physical constant instead of where the points put it.
pub(super) fn clamped_to_physical(wanted_per_h: f64, physical_per_h: f64) -> Warning {
    let physical = Seconds::from_hours(std::f64::consts::LN_2 / physical_per_h).hours();
    let wanted = if wanted_per_h > 0.0 {
        format!("a half-life of {:.1} h", std::f64::consts::LN_2 / wanted_per_h)
    } else {
        "a rising curve".to_owned()
    };
    Warning::new(
        "rate-at-physical",
        format!(
            "the points ask for {wanted}; activity cannot decay slower than the nuclide: physical \
             half-life {physical:.2} h used, its rate held fixed in the uncertainty"
        ),
    )
}
