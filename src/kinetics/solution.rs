//! The checked curve as the fits see it, and a fitted curve before it is reported.

use super::{CONSTANTS, Candidate, Exponential, Fit, KineticsError, TimeActivityCurve};
use crate::quantity::{Becquerel, BecquerelSecond, PerSecond, Seconds, Warning};
use nalgebra::{DMatrix, DVector};

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
#[derive(Debug, Clone)]
pub(super) struct Solution {
    pub model: &'static str,
    pub terms: Vec<(f64, f64)>,
    /// Free parameters of the model, whether or not a bound holds one of them.
    pub parameters: usize,
    /// Relative standard uncertainty of the integral.
    pub uncertainty: Option<f64>,
    pub warnings: Vec<Warning>,
}

impl Solution {
    pub fn activity(&self, hours: f64) -> f64 {
        self.terms.iter().map(|(a, rate)| a * (-rate * hours).exp()).sum()
    }

    /// Integral from `hours` to infinity, Bq·h.
    pub fn integral_from(&self, hours: f64) -> f64 {
        self.terms.iter().map(|(a, rate)| a / rate * (-rate * hours).exp()).sum()
    }

    /// Residuals of ln A in standard uncertainties.
    fn residuals<'a>(&'a self, data: &'a Data) -> impl Iterator<Item = f64> + 'a {
        (0..data.len())
            .map(|n| (self.activity(data.time_h[n]).ln() - data.ln_activity[n]) / data.sigma[n])
    }

    pub fn chi_square(&self, data: &Data) -> f64 {
        self.residuals(data).map(|r| r * r).sum()
    }

    /// None where the number of points does not define it.
    pub fn aicc(&self, data: &Data) -> Option<f64> {
        super::aicc(data.len(), self.chi_square(data), self.parameters + 1)
    }

    fn shape_warnings(&self, data: &Data, early: f64, late: f64) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let last = data.time_h[data.len() - 1];
        if late > CONSTANTS.extrapolated_fraction_warn.value {
            warnings.push(Warning::new(
                "extrapolated-fraction",
                format!(
                    "{:.0} % of the time-integrated activity lies after the last measurement \
                     ({last:.1} h)",
                    late * 100.0
                ),
            ));
        }
        if early > CONSTANTS.early_fraction_warn.value {
            warnings.push(Warning::new(
                "early-fraction",
                format!(
                    "{:.0} % of the time-integrated activity lies before the first measurement \
                     ({:.1} h)",
                    early * 100.0,
                    data.time_h[0]
                ),
            ));
        }
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
        let total = self.integral_from(0.0);
        let late = self.integral_from(data.time_h[data.len() - 1]) / total;
        let early = 1.0 - self.integral_from(data.time_h[0]) / total;
        let more = self.shape_warnings(data, early, late);
        self.warnings.extend(more);
        let limit = CONSTANTS.propagated_uncertainty_max.value;
        let sure = self.uncertainty.filter(|u| u.is_finite() && *u <= limit);
        if self.uncertainty.is_some() && sure.is_none() {
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
            effective_half_life: terms.first().map(|slowest| slowest.rate.half_life()),
            terms,
            time_integrated_activity: BecquerelSecond::new(total * 3600.0),
            relative_uncertainty: sure,
            extrapolated_fraction: late,
            candidates,
            warnings: self.warnings,
        }
    }
}

/// u = sqrt(gᵀ (JᵀJ)⁻¹ g): `jacobian` of the weighted residuals, `gradient` of the logarithm of
/// the integral, both by the free parameters. None where the points leave a parameter open.
pub(super) fn propagate(jacobian: &DMatrix<f64>, gradient: &DVector<f64>) -> Option<f64> {
    let information = jacobian.tr_mul(jacobian);
    let solved = information.cholesky()?.solve(gradient);
    let variance = gradient.dot(&solved);
    (variance.is_finite() && variance >= 0.0).then(|| variance.sqrt())
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
