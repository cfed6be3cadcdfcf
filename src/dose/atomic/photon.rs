//! Photon interactions in a tissue: XCOM cross-sections, Klein-Nishina with the incoherent
//! scattering function, Rayleigh with form factors.

use super::material::Material;
use super::{ELECTRON_REST_KEV, HC_KEV_ANGSTROM, integrate_log};

const CM2_PER_BARN: f64 = 1e-24;
/// Below this the pair cross-section is nil: twice the electron's rest energy.
pub const PAIR_THRESHOLD_KEV: f64 = 2.0 * ELECTRON_REST_KEV;

/// Mass attenuation by interaction, cm²/g.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MassAttenuation {
    pub coherent: f64,
    pub incoherent: f64,
    pub photoelectric: f64,
    pub pair: f64,
}

impl MassAttenuation {
    pub fn total(&self) -> f64 {
        self.coherent + self.incoherent + self.photoelectric + self.pair
    }
}

/// q = sin(θ/2)/λ in 1/Å of a photon of `kev` scattered by θ with 1 − cos θ = `versine`.
pub fn momentum_transfer(kev: f64, versine: f64) -> f64 {
    kev / HC_KEV_ANGSTROM * (0.5 * versine).sqrt()
}

impl Material {
    /// XCOM's mass attenuation at `kev`.
    pub fn mass_attenuation(&self, kev: f64) -> MassAttenuation {
        let sum = |f: &dyn Fn(&super::material::ElementTables) -> f64| -> f64 {
            self.constituents.iter().map(|c| c.atoms_per_gram * CM2_PER_BARN * f(&c.tables)).sum()
        };
        MassAttenuation {
            coherent: sum(&|t| t.coherent.at(kev)),
            incoherent: sum(&|t| t.incoherent.at(kev)),
            photoelectric: sum(&|t| t.photoelectric.at(kev)),
            pair: if kev > PAIR_THRESHOLD_KEV { sum(&|t| t.pair.at(kev)) } else { 0.0 },
        }
    }

    /// Incoherent scattering function per electron, 0 to 1.
    pub fn scattering_function(&self, q_per_angstrom: f64) -> f64 {
        let per_gram: f64 = self
            .constituents
            .iter()
            .map(|c| c.atoms_per_gram * c.tables.scattering_function.at(q_per_angstrom))
            .sum();
        (per_gram / self.electrons_per_gram).min(1.0)
    }

    /// Squared form factor per gram (independent atoms), arbitrary scale.
    pub fn squared_form_factor(&self, q_per_angstrom: f64) -> f64 {
        self.constituents
            .iter()
            .map(|c| c.atoms_per_gram * c.tables.form_factor.at(q_per_angstrom).powi(2))
            .sum()
    }

    /// Mean fraction of the photon's energy that a Compton electron takes, counting only electrons
    /// of less than `below_kev`: ∫ T dσ / (E σ).
    pub fn compton_transfer_fraction(&self, kev: f64, below_kev: f64) -> f64 {
        let alpha = kev / ELECTRON_REST_KEV;
        let integrand = |versine: f64| {
            let ratio = 1.0 / (1.0 + alpha * versine);
            let sin_squared = versine * (2.0 - versine);
            let klein_nishina = ratio * ratio * (ratio + 1.0 / ratio - sin_squared);
            (klein_nishina * self.scattering_function(momentum_transfer(kev, versine)), 1.0 - ratio)
        };
        const LOWEST_VERSINE: f64 = 1e-6;
        let total = integrate_log(LOWEST_VERSINE, 2.0, 160, |v| integrand(v).0);
        // The electron's energy grows with the angle: T < below_kev is an angular limit.
        let limit = if below_kev < kev {
            (below_kev / (kev - below_kev) / alpha).clamp(LOWEST_VERSINE, 2.0)
        } else {
            2.0
        };
        integrate_log(LOWEST_VERSINE, limit, 160, |v| {
            let (cross_section, transferred) = integrand(v);
            cross_section * transferred
        }) / total
    }
}

#[cfg(test)]
mod tests {
    use super::super::MaterialLibrary;

    /// NIST XCOM (SRD 8) and Hubbell & Seltzer (SRD 126), liquid water, cm²/g.
    #[test]
    fn water_attenuates_and_absorbs_as_nist_says() {
        let library = MaterialLibrary::embedded();
        let water = library.get(library.by_name("water").unwrap());
        for (kev, mu, mu_en) in [
            (20.0, 0.8096, 0.5503),
            (60.0, 0.2059, 0.03190),
            (100.0, 0.1707, 0.02546),
            (200.0, 0.1370, 0.02967),
            (500.0, 0.09687, 0.03299),
            (1000.0, 0.07072, 0.03103),
        ] {
            let attenuation = water.mass_attenuation(kev);
            assert!((attenuation.total() / mu - 1.0).abs() < 0.002, "{kev} keV: {attenuation:?}");
            let transfer = attenuation.photoelectric
                + attenuation.incoherent * water.compton_transfer_fraction(kev, f64::INFINITY);
            // μ_en omits what secondary electrons radiate away, some 0.2 % at 1 MeV.
            assert!((transfer / mu_en - 1.0).abs() < 0.006, "{kev} keV: {transfer}");
        }
    }

    #[test]
    fn restricted_transfer_counts_slow_electrons_only() {
        let library = MaterialLibrary::embedded();
        let water = library.get(library.by_name("water").unwrap());
        let all = water.compton_transfer_fraction(2000.0, f64::INFINITY);
        let slow = water.compton_transfer_fraction(2000.0, 500.0);
        assert!(slow > 0.0 && slow < 0.2 * all, "{slow} of {all}");
        assert_eq!(
            water.compton_transfer_fraction(300.0, 500.0),
            water.compton_transfer_fraction(300.0, f64::INFINITY)
        );
    }
}
