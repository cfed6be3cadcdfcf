//! The resolution of a camera's reconstructed images, from hot spheres.
//!
//! Taken as a Gaussian of one width; its FWHM is that by which blurred spheres keep the parts of their
//! activity that were measured (Kessler 1984).

use super::{CONSTANTS, QuantifyError, Sphere};
use crate::quantity::{Millilitre, Millimetre};
use crate::uncertainty::recovered_fraction;
use std::f64::consts::{LN_2, PI};

/// Resolution (FWHM) of a reconstruction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resolution {
    pub fwhm: Millimetre,
    /// Relative standard uncertainty (k = 1), where known.
    pub relative_uncertainty: Option<f64>,
}

/// Widths among which the best is looked for, mm.
const RANGE_MM: [f64; 2] = [1.0, 60.0];
/// Steps of the logarithm of the width, first over the range and then about the best.
const STEPS: usize = 120;
const ROUNDS: usize = 4;
/// Change of the width that its effect is taken from.
const STEP: f64 = 1e-3;

impl Resolution {
    /// d ln RC / d ln V of a sphere.
    pub fn slope(&self, volume: Millilitre) -> f64 {
        let at = |factor: f64| recovered(volume * factor, self.fwhm).ln();
        (at(1.0 + STEP) - at(1.0 - STEP)) / (2.0 * STEP)
    }

    /// The width of least squares through measured spheres, and the reduced chi-square. Its uncertainty
    /// holds what the spheres miss the Gaussian by.
    ///
    /// # Errors
    /// Fewer spheres than a recovery curve needs; coefficients that no width explains.
    pub fn fit(spheres: &[Sphere]) -> Result<(Self, f64), QuantifyError> {
        let needed = CONSTANTS.least_spheres.value;
        if spheres.len() < needed {
            let text = format!("{} were measured, {needed} are needed", spheres.len());
            return Err(QuantifyError::Spheres(text));
        }
        let misses = |fwhm: Millimetre| -> f64 {
            let miss = |s: &Sphere| {
                (recovered(s.volume, fwhm) / s.coefficient - 1.0) / s.relative_uncertainty
            };
            spheres.iter().map(|s| miss(s).powi(2)).sum()
        };
        let [mut low, mut high] = RANGE_MM.map(f64::ln);
        let mut best = low;
        for _ in 0..ROUNDS {
            let step = (high - low) / STEPS as f64;
            let all = (0..=STEPS).map(|n| low + n as f64 * step);
            let square = |ln: f64| misses(Millimetre::new(ln.exp()));
            best = all.min_by(|a, b| square(*a).total_cmp(&square(*b))).unwrap_or(best);
            (low, high) = (best - step, best + step);
        }
        let fwhm = Millimetre::new(best.exp());
        let chi_square = misses(fwhm) / (spheres.len() - 1) as f64;
        let by_width = |s: &Sphere| {
            let at = |factor: f64| recovered(s.volume, fwhm * factor) / s.coefficient;
            ((at(1.0 + STEP) - at(1.0 - STEP)) / (2.0 * STEP) / s.relative_uncertainty).powi(2)
        };
        let information: f64 = spheres.iter().map(by_width).sum();
        let inside = RANGE_MM[0] * 1.01 < fwhm.value() && fwhm.value() < RANGE_MM[1] * 0.99;
        if !(inside && chi_square.is_finite() && information > 0.0) {
            return Err(QuantifyError::Spheres("no width of a blur explains them".into()));
        }
        let u = (chi_square.max(1.0) / information).sqrt();
        Ok((Self { fwhm, relative_uncertainty: Some(u) }, chi_square))
    }
}

/// Part of a sphere's activity that stays inside it.
fn recovered(volume: Millilitre, fwhm: Millimetre) -> f64 {
    let radius = (3.0 * volume.value() * 1000.0 / (4.0 * PI)).cbrt();
    recovered_fraction(radius * (8.0 * LN_2).sqrt() / fwhm.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spheres(off: &[f64]) -> Vec<Sphere> {
        // NEMA NU 2, ml.
        let volumes = [0.524, 1.150, 2.572, 5.575, 11.494, 26.522].map(Millilitre::new);
        let sphere = |(volume, off): (&Millilitre, &f64)| Sphere {
            volume: *volume,
            coefficient: recovered(*volume, Millimetre::new(13.0)) * (1.0 + off),
            relative_uncertainty: 0.03,
        };
        volumes.iter().zip(off).map(sphere).collect()
    }

    #[test]
    fn the_width_that_spheres_were_blurred_by_is_found_again() {
        let (exact, chi) = Resolution::fit(&spheres(&[0.0; 6])).unwrap();
        assert!((exact.fwhm.value() / 13.0 - 1.0).abs() < 1e-5 && chi < 1e-6, "{exact:?}");
        let noise = [0.03, -0.02, 0.01, -0.03, 0.02, 0.0];
        let (noisy, _) = Resolution::fit(&spheres(&noise)).unwrap();
        let u = noisy.relative_uncertainty.unwrap();
        assert!((noisy.fwhm.value() / 13.0 - 1.0).abs() < 3.0 * u && u < 0.02, "{noisy:?}");
        // Spheres that no Gaussian made are less certain.
        let rough = [0.3, -0.3, 0.3, -0.3, 0.2, -0.2];
        assert!(
            Resolution::fit(&spheres(&rough)).unwrap().0.relative_uncertainty.unwrap() > 2.0 * u
        );
    }

    #[test]
    fn too_few_spheres_and_none_that_a_blur_makes_are_refused() {
        let few = Resolution::fit(&spheres(&[0.0; 3])).unwrap_err().to_string();
        assert!(few.contains("3 were measured"), "{few}");
        let mut sharp = spheres(&[0.0; 6]);
        sharp.iter_mut().for_each(|sphere| sphere.coefficient = 1.0);
        assert!(Resolution::fit(&sharp).is_err());
    }

    #[test]
    fn a_larger_sphere_keeps_more() {
        let resolution = Resolution { fwhm: Millimetre::new(13.0), relative_uncertainty: None };
        let [small, large] = [2.0, 200.0].map(|ml| resolution.slope(Millilitre::new(ml)));
        assert!(small > 3.0 * large && large > 0.0, "{small} {large}");
    }
}
