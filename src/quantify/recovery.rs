//! Partial volume: the part of a small region's activity that a blurred image shows inside its outline.
//!
//! RC(V) = 1 / (1 + (β/V)^γ), fitted to hot spheres of known activity in the same reconstruction, and
//! divided by for each region. Reference: Gear et al., EJNMMI 45:2456 (2018), section on recovery.
//! It is the curve of spheres: an organ of another shape and of the same volume recovers less.

use super::{CONSTANTS, QuantifyError};
use crate::quantity::Millilitre;
use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::{DVector, Dyn};
use nalgebra::{Matrix2, OMatrix, OVector, U2, Vector2, storage::Owned};

/// One camera's recovery curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecoveryCurve {
    /// Volume of which one half is recovered.
    pub beta: Millilitre,
    pub gamma: f64,
    /// Of a coefficient at a volume that is known exactly, k = 1.
    pub relative_uncertainty: Option<f64>,
}

/// A coefficient as it is used for one region.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Recovered {
    pub coefficient: f64,
    /// d ln RC / d ln V.
    pub slope: f64,
    pub relative_uncertainty: Option<f64>,
}

/// A measured sphere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sphere {
    pub volume: Millilitre,
    pub coefficient: f64,
    /// Relative standard uncertainty of the coefficient, k = 1.
    pub relative_uncertainty: f64,
}

/// A curve through spheres.
#[derive(Debug, Clone, PartialEq)]
pub struct RecoveryFit {
    pub curve: RecoveryCurve,
    /// Σ ((fit − measured)/u)² over the spheres less two parameters.
    pub reduced_chi_square: f64,
}

impl RecoveryCurve {
    pub fn coefficient(&self, volume: Millilitre) -> f64 {
        1.0 / (1.0 + self.part_lost(volume))
    }

    fn part_lost(&self, volume: Millilitre) -> f64 {
        (self.beta / volume).powf(self.gamma)
    }

    /// The coefficient of a region.
    ///
    /// # Errors
    /// [`QuantifyError::NotRecoverable`] below the least coefficient that may be divided by.
    pub fn of_region(&self, volume: Millilitre) -> Result<Recovered, QuantifyError> {
        let coefficient = self.coefficient(volume);
        let least = CONSTANTS.least_recovery.value;
        if coefficient.is_nan() || coefficient < least {
            let volume_ml = volume.value();
            return Err(QuantifyError::NotRecoverable { volume_ml, coefficient, least });
        }
        let lost = self.part_lost(volume);
        Ok(Recovered {
            coefficient,
            slope: self.gamma * lost / (1.0 + lost),
            relative_uncertainty: self.relative_uncertainty,
        })
    }

    /// The curve of weighted least squares through measured spheres. Its uncertainty joins that of the
    /// fitted parameters, the largest over the spheres' volumes, with what the curve misses the spheres by.
    ///
    /// # Errors
    /// Fewer spheres than needed, coefficients or volumes that cannot be, a fit without an end.
    pub fn fit(spheres: &[Sphere]) -> Result<RecoveryFit, QuantifyError> {
        let needed = CONSTANTS.least_spheres.value;
        let sound = |s: &&Sphere| {
            [s.volume.value(), s.coefficient, s.relative_uncertainty]
                .iter()
                .all(|v| v.is_finite() && *v > 0.0)
        };
        let mut volumes: Vec<f64> =
            spheres.iter().filter(sound).map(|s| s.volume.value()).collect();
        if volumes.len() < spheres.len() {
            return Err(QuantifyError::Spheres(
                "a volume, coefficient or uncertainty is not above zero".into(),
            ));
        }
        volumes.sort_by(f64::total_cmp);
        let same = CONSTANTS.sphere_volume_same.value;
        volumes.dedup_by(|a, b| (*a / *b - 1.0).abs() < same);
        if volumes.len() < needed {
            return Err(QuantifyError::Spheres(format!(
                "{} spheres of different volume were measured, {needed} are needed",
                volumes.len()
            )));
        }
        let start = Vector2::new(volumes[0].ln(), 0.0);
        let (end, report) = LevenbergMarquardt::new().minimize(Problem { spheres, ln: start });
        let free = end.covariance();
        let (Some(free), true) = (free, report.termination.was_successful()) else {
            return Err(QuantifyError::Spheres(
                "the coefficients do not follow a recovery curve".into(),
            ));
        };
        let degrees = (spheres.len() - 2) as f64;
        let reduced_chi_square = 2.0 * report.objective_function / degrees;
        let curve = end.curve();
        let scatter = reduced_chi_square.max(1.0);
        let at = |s: &Sphere| {
            let by = curve.ln_gradient(s.volume);
            (scatter * (by.transpose() * free * by)[(0, 0)]).sqrt()
        };
        // What the curve itself misses the spheres by is not in its parameters.
        let off = |s: &Sphere| (curve.coefficient(s.volume) / s.coefficient - 1.0).powi(2);
        let missed = (spheres.iter().map(off).sum::<f64>() / degrees).sqrt();
        let of_parameters = spheres.iter().map(at).fold(0.0, f64::max);
        let relative_uncertainty = Some(of_parameters.hypot(missed));
        let curve = Self { relative_uncertainty, ..curve };
        Ok(RecoveryFit { curve, reduced_chi_square })
    }

    /// d ln RC by ln β and ln γ.
    fn ln_gradient(&self, volume: Millilitre) -> Vector2<f64> {
        let lost = self.part_lost(volume);
        let by_power = -lost / (1.0 + lost) * self.gamma;
        Vector2::new(by_power, by_power * (self.beta / volume).ln())
    }
}

/// ln β and ln γ against the spheres.
struct Problem<'a> {
    spheres: &'a [Sphere],
    ln: Vector2<f64>,
}

impl Problem<'_> {
    fn curve(&self) -> RecoveryCurve {
        let [beta, gamma] = [self.ln[0].exp(), self.ln[1].exp()];
        RecoveryCurve { beta: Millilitre::new(beta), gamma, relative_uncertainty: None }
    }

    fn covariance(&self) -> Option<Matrix2<f64>> {
        let jacobian = self.jacobian()?;
        let inverse = jacobian.tr_mul(&jacobian).cholesky()?.inverse();
        let inverse = Matrix2::from_iterator(inverse.iter().copied());
        inverse.iter().all(|v| v.is_finite()).then_some(inverse)
    }
}

impl LeastSquaresProblem<f64, Dyn, U2> for Problem<'_> {
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, U2>;
    type ParameterStorage = Owned<f64, U2>;

    fn set_params(&mut self, x: &OVector<f64, U2>) {
        self.ln = *x;
    }

    fn params(&self) -> OVector<f64, U2> {
        self.ln
    }

    fn residuals(&self) -> Option<DVector<f64>> {
        let curve = self.curve();
        let residual = |s: &Sphere| {
            (curve.coefficient(s.volume) / s.coefficient - 1.0) / s.relative_uncertainty
        };
        let all = DVector::from_iterator(self.spheres.len(), self.spheres.iter().map(residual));
        all.iter().all(|v| v.is_finite()).then_some(all)
    }

    fn jacobian(&self) -> Option<OMatrix<f64, Dyn, U2>> {
        let curve = self.curve();
        let all = OMatrix::<f64, Dyn, U2>::from_fn(self.spheres.len(), |n, column| {
            let s = &self.spheres[n];
            let relative = curve.coefficient(s.volume) / s.coefficient / s.relative_uncertainty;
            relative * curve.ln_gradient(s.volume)[column]
        });
        all.iter().all(|v| v.is_finite()).then_some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V34: RecoveryCurve =
        RecoveryCurve { beta: Millilitre::new(4.0), gamma: 1.1, relative_uncertainty: Some(0.04) };

    fn spheres(volumes: &[f64], off: &[f64]) -> Vec<Sphere> {
        let sphere = |(&ml, &off): (&f64, &f64)| {
            let volume = Millilitre::new(ml);
            let coefficient = V34.coefficient(volume) * (1.0 + off);
            Sphere { volume, coefficient, relative_uncertainty: 0.03 }
        };
        volumes.iter().zip(off).map(sphere).collect()
    }

    /// The six spheres of NEMA NU 2, ml.
    const NEMA: [f64; 6] = [0.524, 1.150, 2.572, 5.575, 11.494, 26.522];

    #[test]
    fn v34_coefficients_of_twenty_and_two_millilitres() {
        assert!((V34.coefficient(Millilitre::new(20.0)) - 0.85451).abs() < 5e-6);
        assert!((V34.coefficient(Millilitre::new(2.0)) - 0.31811).abs() < 5e-6);
        let used = V34.of_region(Millilitre::new(20.0)).unwrap();
        assert_eq!(used.relative_uncertainty, Some(0.04));
        let ratio = V34.coefficient(Millilitre::new(20.02)) / used.coefficient;
        assert!((ratio.ln() / 1.001f64.ln() - used.slope).abs() < 1e-4);
    }

    #[test]
    fn below_a_coefficient_of_three_tenths_a_region_is_not_quantifiable() {
        assert!(V34.of_region(Millilitre::new(2.0)).is_ok());
        let error = V34.of_region(Millilitre::new(1.5)).unwrap_err().to_string();
        assert!(error.contains("1.50 ml") && error.contains("not quantifiable"), "{error}");
        assert!(V34.of_region(Millilitre::new(0.0)).is_err());
    }

    #[test]
    fn a_fit_finds_the_curve_that_spheres_were_made_of() {
        let exact = RecoveryCurve::fit(&spheres(&NEMA, &[0.0; 6])).unwrap();
        assert!((exact.curve.beta.value() / 4.0 - 1.0).abs() < 1e-6, "{exact:?}");
        assert!((exact.curve.gamma / 1.1 - 1.0).abs() < 1e-6 && exact.reduced_chi_square < 1e-9);
        // Spheres of 3 % each: the curve is known to about that at the smallest.
        let noise = [0.03, -0.02, 0.01, -0.03, 0.02, 0.0];
        let fit = RecoveryCurve::fit(&spheres(&NEMA, &noise)).unwrap();
        let u = fit.curve.relative_uncertainty.unwrap();
        assert!((0.02..0.08).contains(&u), "{u}");
        for ml in NEMA.map(Millilitre::new) {
            let off = fit.curve.coefficient(ml) / V34.coefficient(ml) - 1.0;
            assert!(off.abs() < 3.0 * u, "{ml}: {off}");
        }
    }

    #[test]
    fn fewer_than_four_spheres_and_impossible_ones_are_refused() {
        let three = RecoveryCurve::fit(&spheres(&NEMA[..3], &[0.0; 3])).unwrap_err().to_string();
        assert!(three.contains("3 spheres") && three.contains("4 are needed"), "{three}");
        let same = RecoveryCurve::fit(&spheres(&[5.0, 5.0, 5.0, 11.0], &[0.0; 4])).unwrap_err();
        assert!(same.to_string().contains("2 spheres"), "{same}");
        let mut negative = spheres(&NEMA, &[0.0; 6]);
        negative[0].coefficient = -0.1;
        assert!(RecoveryCurve::fit(&negative).is_err());
    }
}
