//! Elastic and soft inelastic deflection of electrons: transport coefficients and the
//! Goudsmit-Saunderson distribution of the angle after many collisions.
//!
//! Rutherford scattering with Molière's screening (Z Naturforsch 2a:133, 1947) and the spin factor
//! of McKinley and Feshbach (Phys Rev 74:1759, 1948), good for the light elements of the body. The
//! atom's electrons scatter as Z more, up to the angle of the hardest loss that is not simulated
//! singly (Kawrakow 1997). Positrons deflect as electrons.

use super::material::Material;
use super::{
    BOHR_RADIUS_ANGSTROM, CLASSICAL_ELECTRON_RADIUS_CM, ELECTRON_REST_KEV, FINE_STRUCTURE,
    HC_KEV_ANGSTROM, kinematics,
};
use std::f64::consts::PI;

/// Quadrature points over the scattering angle.
const NODES: usize = 600;
/// Legendre orders kept; e^(-s G_l) has become e^(-s Σ) long before at the step lengths in use.
const ORDERS: usize = 400;

/// Single-scattering distribution of one electron energy in one tissue, at fixed nodes.
#[derive(Debug, Clone)]
pub struct Deflection {
    /// 1 − cos θ of each node.
    versine: Vec<f64>,
    /// Cross-section of each node's share, cm²/g.
    weight: Vec<f64>,
}

impl Material {
    /// Deflections at `kev` by nuclei, and by electrons in losses below `cut_kev`.
    pub fn deflection(&self, kev: f64, cut_kev: f64) -> Deflection {
        let (_, beta_squared, momentum) = kinematics(kev);
        let beta = beta_squared.sqrt();
        let wave_number = 2.0 * PI * momentum * ELECTRON_REST_KEV / HC_KEV_ANGSTROM;
        let screening = |z: f64| {
            let radius = 0.885_34 * BOHR_RADIUS_ANGSTROM * z.powf(-1.0 / 3.0);
            let born = (FINE_STRUCTURE * z).powi(2) / beta_squared;
            (1.13 + 3.76 * born) / (2.0 * wave_number * radius).powi(2)
        };
        let unit = 2.0 * PI * (CLASSICAL_ELECTRON_RADIUS_CM / (beta * momentum)).powi(2);
        let electron_limit = versine_of_loss(kev, cut_kev.min(0.5 * kev));
        // Nodes even in ln(versine + a): the integrand falls from a plateau like 1/versine².
        let a = 2.0 * screening(1.0);
        let step = ((2.0 + a) / a).ln() / NODES as f64;
        let node = |n: usize| a * ((n as f64 + 0.5) * step).exp() - a;
        let versine: Vec<f64> = (0..NODES).map(node).collect();
        let weight = versine
            .iter()
            .map(|&v| {
                let s = (0.5 * v).sqrt();
                let sum: f64 = self
                    .constituents
                    .iter()
                    .map(|c| {
                        let z = c.atomic_number;
                        let electrons = if v < electron_limit { z } else { 0.0 };
                        let spin = 1.0 - beta_squared * s * s
                            + PI * FINE_STRUCTURE * z * beta * s * (1.0 - s);
                        c.atoms_per_gram * (z * z * spin + electrons)
                            / (v + 2.0 * screening(z)).powi(2)
                    })
                    .sum();
                unit * sum * (v + a) * step
            })
            .collect();
        Deflection { versine, weight }
    }
}

/// 1 − cos θ of an electron of `kev` that loses `loss_kev` to one at rest.
fn versine_of_loss(kev: f64, loss_kev: f64) -> f64 {
    let after = kev - loss_kev;
    let two_m = 2.0 * ELECTRON_REST_KEV;
    1.0 - (after * (kev + two_m) / (kev * (after + two_m))).sqrt()
}

impl Deflection {
    /// G₁ = ∫ (1 − cos θ) dσ, cm²/g.
    pub fn transport_cross_section(&self) -> f64 {
        self.versine.iter().zip(&self.weight).map(|(v, w)| v * w).sum()
    }

    /// Goudsmit and Saunderson's distribution after a path of scattering strength `strength` (path
    /// × G₁): the probability that 1 − cos θ is below each of `edges` (ascending, last one 2).
    pub fn cumulative(&self, strength: f64, edges: &[f64]) -> Vec<f64> {
        let path = strength / self.transport_cross_section();
        let all: f64 = self.weight.iter().sum();
        let unscattered = (-path * all).exp();
        let coefficient: Vec<f64> =
            self.moments().iter().map(|g| (-path * g).exp() - unscattered).collect();
        edges
            .iter()
            .map(|&versine| {
                let mu = 1.0 - versine;
                let (mut before, mut here) = (1.0, mu);
                let mut sum = coefficient[0] * versine;
                for (l, c) in coefficient.iter().enumerate().skip(1) {
                    let l = l as f64;
                    let next = ((2.0 * l + 1.0) * mu * here - l * before) / (l + 1.0);
                    sum += c * (before - next);
                    (before, here) = (here, next);
                }
                (unscattered + 0.5 * sum).clamp(0.0, 1.0)
            })
            .collect()
    }

    /// G_l = ∫ (1 − P_l(cos θ)) dσ for l = 0 .. ORDERS, cm²/g.
    fn moments(&self) -> Vec<f64> {
        let mut moments = vec![0.0; ORDERS];
        for (&versine, &weight) in self.versine.iter().zip(&self.weight) {
            let mu = 1.0 - versine;
            // 1 − P_l by its own recurrence: no cancellation at small angles.
            let (mut before, mut here) = (0.0, versine);
            for (l, moment) in moments.iter_mut().enumerate().skip(1) {
                *moment += weight * here;
                let l = l as f64;
                let next = ((2.0 * l + 1.0) * (versine + mu * here) - l * before) / (l + 1.0);
                (before, here) = (here, next);
            }
        }
        moments
    }
}

#[cfg(test)]
mod tests {
    use super::super::MaterialLibrary;
    use super::*;

    fn water() -> &'static Material {
        let library = MaterialLibrary::embedded();
        library.get(library.by_name("water").unwrap())
    }

    /// The mean of 1 − cos θ after scattering strength K is 1 − e^(-K), whatever the energy.
    #[test]
    fn the_angle_distribution_has_the_right_mean() {
        let edges: Vec<f64> = (0..=4000).map(|n| 2.0 * (f64::from(n) / 4000.0).powi(3)).collect();
        for kev in [12.0, 60.0, 300.0, 2000.0] {
            let cumulative = water().deflection(kev, 50.0).cumulative(0.1, &edges);
            let mean: f64 = (1..edges.len())
                .map(|n| 0.5 * (edges[n] + edges[n - 1]) * (cumulative[n] - cumulative[n - 1]))
                .sum();
            let expected = 1.0 - (-0.1f64).exp();
            assert!((mean / expected - 1.0).abs() < 2e-3, "{kev} keV: {mean} {expected}");
            assert!((cumulative.last().unwrap() - 1.0).abs() < 1e-9);
        }
    }

    /// Without screening differences in the way: Rutherford's closed form for one element.
    #[test]
    fn hydrogen_free_transport_cross_section_is_rutherfords() {
        let kev = 1000.0;
        let (_, beta_squared, p) = kinematics(kev);
        let deflection = water().deflection(kev, 50.0);
        let g1 = deflection.transport_cross_section();
        // Leading-log estimate with oxygen and hydrogen as Z(Z + 1).
        let unit = 2.0 * PI * CLASSICAL_ELECTRON_RADIUS_CM.powi(2) / (beta_squared * p * p);
        let estimate: f64 = water()
            .constituents
            .iter()
            .map(|c| {
                let z = c.atomic_number;
                let k = 2.0 * PI * p * ELECTRON_REST_KEV / HC_KEV_ANGSTROM;
                let radius = 0.885_34 * BOHR_RADIUS_ANGSTROM * z.powf(-1.0 / 3.0);
                let eta = 1.13 / (2.0 * k * radius).powi(2);
                unit * c.atoms_per_gram * z * (z + 1.0) * ((1.0 / eta).ln() - 1.0 - beta_squared)
            })
            .sum();
        assert!((g1 / estimate - 1.0).abs() < 0.05, "{g1} {estimate}");
    }
}
