//! A fitted curve carried over: to another scale (hybrid planar and SPECT), or to another nuclide
//! (surrogate and therapy).

use super::solution::Solution;
use super::{Covariance, CurvePoint, Exponential, Fit, HYBRID, KineticsError};
use crate::quantity::{PerSecond, Seconds, Warning};
use nalgebra::DMatrix;
use std::f64::consts::LN_2;

impl Fit {
    /// Activity of the fitted curve.
    ///
    /// # Errors
    /// A method without a formula (trapezoid).
    pub fn activity_at(&self, time: Seconds) -> Result<f64, KineticsError> {
        if self.terms.is_empty() {
            return Err(KineticsError::NoFormula(self.model));
        }
        let term = |t: &Exponential| t.amplitude.value() * (-t.rate.value() * time.value()).exp();
        Ok(self.terms.iter().map(term).sum())
    }

    /// Hybrid planar and SPECT: this fit's shape, scaled through one point of another measurement;
    /// Ã = A(t*)·∫p/p(t*). Only the shape counts, so the shape may be in counts. The uncertainty joins
    /// the point's with that of ∫p/p(t*); it is unknown where either is.
    ///
    /// # Errors
    /// A shape without a formula; a point that is no positive activity after the administration.
    pub fn scaled_through(&self, point: CurvePoint) -> Result<Fit, KineticsError> {
        let hours = point.time.hours();
        if !(hours.is_finite() && hours >= 0.0) {
            return Err(KineticsError::BeforeAdministration { index: 1, hours });
        }
        if !(point.activity.is_finite() && point.activity.value() > 0.0) {
            return Err(KineticsError::NotPositive { index: 1, bq: point.activity.value() });
        }
        let at_point = self.activity_at(point.time)?;
        if !(at_point.is_finite() && at_point > 0.0) {
            return Err(KineticsError::NotConverged(self.model));
        }
        let scale = point.activity.value() / at_point;
        let terms = self.terms_per_h().map(|(a, rate)| (a * scale, rate)).collect();
        let covariance = match (&self.covariance, point.relative_uncertainty) {
            (Some(of_shape), Some(u)) => Some(self.rescaled(of_shape, hours, at_point, u)),
            _ => None,
        };
        Ok(self.carried(Solution { model: HYBRID, terms, covariance, ..Solution::default() }))
    }

    /// d ln aₙ' = d ln aₙ − d ln p(t*) + d ln A(t*): the shape's parameters with the point's own.
    fn rescaled(&self, of_shape: &Covariance, hours: f64, at_point: f64, u: f64) -> Covariance {
        let size = of_shape.size();
        let by: Vec<f64> = self
            .terms_per_h()
            .flat_map(|(a, rate)| {
                let share = a * (-rate * hours).exp() / at_point;
                [share, -rate * hours * share]
            })
            .collect();
        let transform = DMatrix::from_fn(size, size + 1, |row, column| {
            let amplitude = row % 2 == 0;
            let own = f64::from(u8::from(row == column));
            match (amplitude, column == size) {
                (true, true) => 1.0,
                (false, true) => 0.0,
                (true, false) => own - by[column],
                (false, false) => own,
            }
        });
        let free = DMatrix::from_fn(size + 1, size + 1, |row, column| match (row, column) {
            (r, c) if r < size && c < size => of_shape.get(r, c),
            (r, c) if r == c => u * u,
            _ => 0.0,
        });
        Covariance::through(&transform, &free)
    }

    /// The same biology with another nuclide: physical decay `from` is taken out of every rate and
    /// `to` put in, Ã = Σ aₙ/(λₙ − λ_from + λ_to). Amplitudes stay, as fractions of what is given.
    ///
    /// # Errors
    /// A curve without a formula; a rate below the physical constant that it should contain.
    pub fn with_nuclide(&self, from: PerSecond, to: PerSecond) -> Result<Fit, KineticsError> {
        if self.terms.is_empty() {
            return Err(KineticsError::NoFormula(self.model));
        }
        for rate in [from, to] {
            if !(rate.is_finite() && rate.value() > 0.0) {
                return Err(KineticsError::PhysicalRate(rate.value()));
            }
        }
        let [from, to] = [from, to].map(|rate| rate.value() * 3600.0);
        let mut biological: Vec<(f64, f64)> = Vec::new();
        for (a, rate) in self.terms_per_h() {
            if rate < from * (1.0 - 1e-3) {
                return Err(KineticsError::SlowerThanNuclide {
                    half_life_h: LN_2 / rate,
                    physical_h: LN_2 / from,
                });
            }
            biological.push((a, (rate - from).max(0.0)));
        }
        let terms: Vec<(f64, f64)> = biological.iter().map(|(a, rate)| (*a, rate + to)).collect();
        // d ln(k + λ_to) = k_eff/(k + λ_to) · d ln k_eff.
        let covariance = self.covariance.as_ref().map(|covariance| {
            let size = covariance.size();
            let rates: Vec<f64> = self.terms_per_h().map(|term| term.1).collect();
            let transform = DMatrix::from_fn(size, size, |row, column| match (row, column) {
                (r, c) if r != c => 0.0,
                (r, _) if r % 2 == 0 => 1.0,
                (r, _) => rates[r / 2] / terms[r / 2].1,
            });
            let free = DMatrix::from_fn(size, size, |r, c| covariance.get(r, c));
            Covariance::through(&transform, &free)
        });
        let mut fit = self.carried(Solution {
            model: self.model,
            terms,
            covariance,
            uncertainty: None,
            ..Solution::default()
        });
        fit.warnings.push(Warning::new(
            "surrogate-nuclide",
            format!(
                "measured with a surrogate of half-life {:.2} h and integrated with the therapy's \
                 {:.2} h: the same biology is assumed",
                LN_2 / from,
                LN_2 / to
            ),
        ));
        Ok(fit)
    }

    fn terms_per_h(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.terms.iter().map(|t| (t.amplitude.value(), t.rate.value() * 3600.0))
    }

    /// What the new curve keeps of this one; warnings of spans are made anew.
    fn carried(&self, solution: Solution) -> Fit {
        let again = ["extrapolated-fraction", "early-fraction", "integral-not-determined"];
        let mut fit = solution.finish(self.measured.map(Seconds::hours), self.candidates.clone());
        let kept = self.warnings.iter().filter(|w| !again.contains(&w.code.as_str())).cloned();
        fit.warnings = kept.chain(fit.warnings).collect();
        fit.checks = self.checks;
        fit
    }
}
