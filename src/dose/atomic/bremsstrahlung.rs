//! Bremsstrahlung: the total from ESTAR, the spectrum from Bethe and Heitler.
//!
//! The shape is formula 3BN of Koch and Motz (Rev Mod Phys 31:920, 1959: Born approximation, no
//! screening) with Elwert's Coulomb factor; its integral is scaled to ESTAR's radiative stopping
//! power at every energy, so that the energy radiated is ICRU 37's. Positrons radiate as electrons.

use super::material::Material;
use super::{ELECTRON_REST_KEV, FINE_STRUCTURE, integrate_log, kinematics};
use std::f64::consts::PI;

/// k dσ/dk of formula 3BN × Elwert's factor on a nucleus of charge `z`, in units of αZ²r².
/// `kev` is the electron's energy, `k_kev` the photon's, 0 < k < T.
fn energy_weighted_shape(z: f64, kev: f64, k_kev: f64) -> f64 {
    let (e0, beta0_squared, p0) = kinematics(kev);
    let (e, beta_squared, p) = kinematics(kev - k_kev);
    if p <= 0.0 {
        return 0.0;
    }
    let k = k_kev / ELECTRON_REST_KEV;
    let log = 2.0 * ((e0 * e + p0 * p - 1.0) / k).ln();
    let (eps0, eps) = (2.0 * (e0 + p0).ln(), 2.0 * (e + p).ln());
    let (p0_2, p_2) = (p0 * p0, p * p);
    let bracket = 4.0 / 3.0 - 2.0 * e0 * e * (p_2 + p0_2) / (p_2 * p0_2)
        + eps0 * e / (p0_2 * p0)
        + eps * e0 / (p_2 * p)
        - eps * eps0 / (p0 * p)
        + log
            * (8.0 / 3.0 * e0 * e / (p0 * p)
                + k * k * (e0 * e0 * e * e + p0_2 * p_2) / (p0_2 * p0 * p_2 * p)
                + k / (2.0 * p0 * p)
                    * ((e0 * e + p0_2) / (p0_2 * p0) * eps0 - (e0 * e + p_2) / (p_2 * p) * eps
                        + 2.0 * k * e0 * e / (p_2 * p0_2)));
    let (beta0, beta) = (beta0_squared.sqrt(), beta_squared.sqrt());
    let coulomb = |b: f64| 1.0 - (-2.0 * PI * FINE_STRUCTURE * z / b).exp();
    let elwert = beta0 / beta * coulomb(beta0) / coulomb(beta);
    (p / p0 * bracket * elwert).max(0.0)
}

impl Material {
    /// Charge of the nucleus that stands for the tissue in the shape: Z²-weighted mean.
    pub(crate) fn radiating_charge(&self) -> f64 {
        let moment = |n: i32| -> f64 {
            self.constituents.iter().map(|c| c.atoms_per_gram * c.atomic_number.powi(n)).sum()
        };
        moment(3) / moment(2)
    }

    /// The scaled spectrum of one electron energy.
    pub fn bremsstrahlung(&self, kev: f64) -> Bremsstrahlung {
        let z = self.radiating_charge();
        let energy = integrate_log(1e-4 * kev, kev, 96, |k| energy_weighted_shape(z, kev, k));
        Bremsstrahlung { z, kev, scale: self.radiative_stopping_power(kev) / energy }
    }
}

/// Bremsstrahlung of electrons of one energy in one tissue.
#[derive(Debug, Clone, Copy)]
pub struct Bremsstrahlung {
    z: f64,
    kev: f64,
    scale: f64,
}

impl Bremsstrahlung {
    /// Cross-section (cm²/g) for photons above `cut_kev`.
    pub fn hard(&self, cut_kev: f64) -> f64 {
        self.scale
            * integrate_log(cut_kev, self.kev, 48, |k| {
                energy_weighted_shape(self.z, self.kev, k) / k
            })
    }

    /// Radiative stopping power by photons below `cut_kev`, keV cm²/g.
    pub fn soft_stopping(&self, cut_kev: f64) -> f64 {
        let high = cut_kev.min(self.kev);
        self.scale
            * integrate_log(1e-4 * self.kev, high, 48, |k| {
                energy_weighted_shape(self.z, self.kev, k)
            })
    }
}

/// Draws a photon energy above `cut_kev` from an electron of `kev`: 1/k, accepted by the shape,
/// which falls with k.
pub fn sample_energy(z: f64, kev: f64, cut_kev: f64, mut uniform: impl FnMut() -> f64) -> f64 {
    let highest = energy_weighted_shape(z, kev, cut_kev);
    let span = (kev / cut_kev).ln();
    loop {
        let k = cut_kev * (span * uniform()).exp();
        if uniform() * highest <= energy_weighted_shape(z, kev, k) {
            return k;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::MaterialLibrary;
    use super::*;

    /// The unscaled formula already comes near ESTAR's radiative stopping power of water between
    /// 100 keV and 2 MeV with Z(Z + 1) for Z²; slow electrons radiate less on electrons than that.
    #[test]
    fn the_shape_needs_little_scaling() {
        let library = MaterialLibrary::embedded();
        let water = library.get(library.by_name("water").unwrap());
        let unit = FINE_STRUCTURE * super::super::CLASSICAL_ELECTRON_RADIUS_CM.powi(2);
        let born: f64 = water
            .constituents
            .iter()
            .map(|c| unit * c.atoms_per_gram * c.atomic_number * (c.atomic_number + 1.0))
            .sum();
        for kev in [100.0, 500.0, 1000.0, 2000.0] {
            let ratio = water.bremsstrahlung(kev).scale / born;
            assert!((0.82..1.1).contains(&ratio), "{kev} keV: {ratio}");
        }
    }

    #[test]
    fn the_shape_falls_with_photon_energy_so_that_rejection_is_sound() {
        for kev in [60.0, 200.0, 1000.0, 2500.0, 9000.0] {
            let mut last = f64::INFINITY;
            for step in 1..100 {
                let k = 10.0 + (kev - 10.0) * f64::from(step) / 100.0;
                let value = energy_weighted_shape(7.5, kev, k);
                assert!(value <= last * 1.0001, "{kev} keV, photon {k} keV");
                last = value;
            }
        }
    }
}
