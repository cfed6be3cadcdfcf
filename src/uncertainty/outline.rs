//! The outline: how uncertain a volume is, and what blurred activity does at its edge.
//!
//! Taken as a sphere of the region's volume, as the EANM guidance does.

use crate::quantity::{Millilitre, Millimetre};
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI};

/// A region's outline and the image that it was drawn on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outline {
    pub volume: Millilitre,
    /// Voxel edge of that image.
    pub voxel: Millimetre,
    /// Its resolution, FWHM.
    pub fwhm: Millimetre,
}

impl Outline {
    /// Diameter of the sphere of this volume.
    pub fn diameter(&self) -> Millimetre {
        Millimetre::new((6.0 * self.volume.value() * 1000.0 / PI).cbrt())
    }

    /// Standard uncertainty of the diameter: two edges, each known to a voxel (uniform within it) and
    /// to the image's resolution; u² = a²/6 + w²/(4 ln 2).
    pub fn diameter_uncertainty(&self) -> Millimetre {
        let (a, w) = (self.voxel.value(), self.fwhm.value());
        Millimetre::new((a * a / 6.0 + w * w / (4.0 * LN_2)).sqrt())
    }

    /// u(V)/V = 3 u(d)/d.
    pub fn relative_uncertainty(&self) -> f64 {
        3.0 * (self.diameter_uncertainty() / self.diameter())
    }

    /// d ln C / d ln V of the counts C inside the outline, for activity blurred by an emission image of
    /// this FWHM: concentration at the edge over mean concentration inside. `None` for no volume.
    pub fn counts_by_volume(&self, emission_fwhm: Millimetre) -> Option<f64> {
        let radius = self.diameter().value() / 2.0;
        let sigma = emission_fwhm.value() / (8.0 * LN_2).sqrt();
        if !(radius > 0.0 && sigma > 0.0) {
            return None;
        }
        Some(blurred_sphere_edge(radius / sigma) / recovered_fraction(radius / sigma))
    }
}

/// Concentration at the surface of a uniform sphere of 1 after a Gaussian blur; radius in standard
/// deviations of the blur: half an error function, less what curvature takes.
pub fn blurred_sphere_edge(radius: f64) -> f64 {
    let away = -(-2.0 * radius * radius).exp_m1();
    0.5 * erf(radius * 2.0 * FRAC_1_SQRT_2) - away / (radius * (2.0 * PI).sqrt())
}

/// Part of a uniform sphere's activity that stays inside its surface after the blur (Kessler 1984):
/// the edge's concentration integrated over growing spheres.
pub fn recovered_fraction(radius: f64) -> f64 {
    // ∫₀^R 4πr² f(r) dr / (4πR³/3) with f the blurred sphere, in closed form.
    let r = radius;
    let gauss = (-2.0 * r * r).exp();
    erf(2.0 * r * FRAC_1_SQRT_2)
        - (3.0 * r * r - 1.0 + (1.0 - r * r) * gauss) * (2.0 / PI).sqrt() / (2.0 * r.powi(3))
}

/// Error function: series below 2.5, continued fraction above; to some 1e-15.
pub(super) fn erf(x: f64) -> f64 {
    if x < 0.0 {
        return -erf(-x);
    }
    if x < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..80 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * 2.0 / PI.sqrt();
    }
    let mut fraction = 0.0;
    for n in (1..60).rev() {
        fraction = f64::from(n) / 2.0 / (x + fraction);
    }
    1.0 - (-x * x).exp() / (PI.sqrt() * (x + fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_has_its_tabulated_values() {
        // Abramowitz and Stegun, table 7.1.
        for (x, value) in [
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (2.0, 0.995_322_265_0),
            (2.5, 0.999_593_048_0),
            (3.0, 0.999_977_909_5),
        ] {
            assert!((erf(x) - value).abs() < 1e-10, "{x}: {}", erf(x));
        }
    }

    /// The blurred sphere at distance `x` from its centre by plain numeric convolution.
    fn numeric(x: f64, radius: f64) -> f64 {
        // ∫ over z of the disc's blur: for each shell s, mean of the Gaussian over the shell.
        let steps = 4000;
        let h = radius / f64::from(steps);
        (0..steps)
            .map(|n| {
                let s = (f64::from(n) + 0.5) * h;
                let near = (-(x - s) * (x - s) / 2.0).exp() - (-(x + s) * (x + s) / 2.0).exp();
                s / (x * (2.0 * PI).sqrt()) * near * h
            })
            .sum()
    }

    #[test]
    fn edge_and_recovery_agree_with_numeric_blurring() {
        for radius in [0.5, 1.0, 2.0, 5.0, 12.0] {
            let edge = numeric(radius, radius);
            assert!((blurred_sphere_edge(radius) / edge - 1.0).abs() < 1e-5, "{radius}");
            let (steps, mut inside) = (400, 0.0);
            for n in 0..steps {
                let r = (f64::from(n) + 0.5) * radius / f64::from(steps);
                inside += 3.0 * r * r * numeric(r, radius) / f64::from(steps) / radius.powi(2);
            }
            let fraction = recovered_fraction(radius);
            assert!((fraction / inside - 1.0).abs() < 1e-3, "{radius}: {fraction} {inside}");
        }
    }
}
