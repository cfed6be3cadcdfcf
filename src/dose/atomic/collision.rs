//! Collisions of electrons and positrons with electrons: hard ones (Møller, Bhabha) singly, soft
//! ones as a restricted stopping power, and the range that follows from both.
//!
//! Møller 1932, Bhabha 1936; formulas as in ICRU 37 (1984) and the PENELOPE manual (2018), ch. 3.

use super::material::Material;
use super::{
    CLASSICAL_ELECTRON_RADIUS_CM, ELECTRON_REST_KEV, LOWEST_KEV, integrate_log, kinematics,
};
use std::f64::consts::{LN_2, PI};

/// Electron or positron.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    Negative,
    Positive,
}

/// Largest energy that the *slower* outgoing electron can take: half for indistinguishable ones.
pub fn largest_transfer(charge: Charge, kev: f64) -> f64 {
    match charge {
        Charge::Negative => 0.5 * kev,
        Charge::Positive => kev,
    }
}

/// W² dσ/dW in units of 2πr²mc²/β² for a transfer `w` by a particle of kinetic energy `kev`.
pub fn shape(charge: Charge, kev: f64, w: f64) -> f64 {
    let (gamma, _, _) = kinematics(kev);
    let kappa = w / kev;
    match charge {
        Charge::Negative => {
            let rest = kappa / (1.0 - kappa);
            let a = ((gamma - 1.0) / gamma).powi(2);
            1.0 + rest * rest - (1.0 - a) * rest + a * kappa * kappa
        }
        Charge::Positive => {
            let a = ((gamma - 1.0) / gamma).powi(2);
            let plus = (gamma + 1.0) * (gamma + 1.0);
            let b1 = a * (2.0 * plus - 1.0) / (gamma * gamma - 1.0);
            let b2 = a * (3.0 * plus + 1.0) / plus;
            let b3 = a * 2.0 * gamma * (gamma - 1.0) / plus;
            let b4 = a * (gamma - 1.0).powi(2) / plus;
            1.0 - kappa * (b1 - kappa * (b2 - kappa * (b3 - kappa * b4)))
        }
    }
}

impl Material {
    /// 2πr²mc² × electrons per gram / β², keV cm²/g.
    fn rutherford_scale(&self, kev: f64) -> f64 {
        let (_, beta_squared, _) = kinematics(kev);
        2.0 * PI
            * CLASSICAL_ELECTRON_RADIUS_CM.powi(2)
            * ELECTRON_REST_KEV
            * self.electrons_per_gram
            / beta_squared
    }

    /// Cross-section (cm²/g) for transfers above `cut_kev`.
    pub fn hard_collision(&self, charge: Charge, kev: f64, cut_kev: f64) -> f64 {
        self.rutherford_scale(kev)
            * integrate_log(cut_kev, largest_transfer(charge, kev), 64, |w| {
                shape(charge, kev, w) / (w * w)
            })
    }

    /// Unrestricted collision stopping power, keV cm²/g: ESTAR for electrons, and for positrons
    /// ESTAR plus the difference of the F terms of ICRU 37 (equations 2.10 and 2.11).
    pub fn collision_stopping(&self, charge: Charge, kev: f64) -> f64 {
        let electrons = self.collision_stopping_power(kev);
        if charge == Charge::Negative {
            return electrons;
        }
        let (gamma, beta_squared, _) = kinematics(kev);
        let tau = gamma - 1.0;
        let f_minus =
            1.0 - beta_squared + (tau * tau / 8.0 - (2.0 * tau + 1.0) * LN_2) / (gamma * gamma);
        let t2 = tau + 2.0;
        let f_plus = 2.0 * LN_2
            - beta_squared / 12.0 * (23.0 + 14.0 / t2 + 10.0 / (t2 * t2) + 4.0 / (t2 * t2 * t2));
        electrons + self.rutherford_scale(kev) * (f_plus - f_minus)
    }

    /// Collision stopping power restricted to transfers below `cut_kev`, keV cm²/g.
    pub fn soft_collision_stopping(&self, charge: Charge, kev: f64, cut_kev: f64) -> f64 {
        let hard = self.rutherford_scale(kev)
            * integrate_log(cut_kev, largest_transfer(charge, kev), 64, |w| {
                shape(charge, kev, w) / w
            });
        self.collision_stopping(charge, kev) - hard
    }

    /// Range in the continuous-slowing-down approximation, g/cm².
    ///
    /// Below [`LOWEST_KEV`] the stopping power is continued as T^-0.77, its slope there.
    pub fn csda_range(&self, charge: Charge, kev: f64) -> f64 {
        const SLOPE: f64 = 0.77;
        let total = |t: f64| self.collision_stopping(charge, t) + self.radiative_stopping_power(t);
        let start = kev.min(LOWEST_KEV);
        let below = start / (total(LOWEST_KEV) * (LOWEST_KEV / start).powf(SLOPE) * (1.0 + SLOPE));
        below + integrate_log(LOWEST_KEV, kev, 400, |t| 1.0 / total(t))
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

    #[test]
    fn ranges_in_water_are_those_of_icru_37() {
        for (kev, range_mm, tolerance) in [
            (10.0, 2.515e-3, 0.01),
            (133.0, 0.23, 0.01),
            (498.0, 1.76, 0.01),
            (933.0, 4.0, 0.01),
            (1000.0, 4.367, 0.003),
            (2280.0, 11.3, 0.01),
        ] {
            let range = 10.0 * water().csda_range(Charge::Negative, kev);
            assert!((range / range_mm - 1.0).abs() < tolerance, "{kev} keV: {range} mm");
        }
    }

    /// Møller's formula written out term by term (ICRU 37), as a check of the factored form.
    #[test]
    fn moller_shape_is_the_textbook_sum() {
        let (t, w) = (1000.0, 200.0);
        let tau: f64 = t / ELECTRON_REST_KEV;
        let textbook =
            1.0 / (w * w) + 1.0 / ((t - w) * (t - w)) + (tau / (tau + 1.0)).powi(2) / (t * t)
                - (2.0 * tau + 1.0) / (tau + 1.0).powi(2) / (w * (t - w));
        let ours = shape(Charge::Negative, t, w) / (w * w);
        assert!((ours / textbook - 1.0).abs() < 1e-12, "{ours} {textbook}");
    }

    /// ICRU 37 table 12.x, water: positrons lose 3 % more at 50 keV and 2 % less at 1 MeV.
    #[test]
    fn positrons_lose_more_when_slow_and_less_when_fast() {
        let ratio = |kev| {
            water().collision_stopping(Charge::Positive, kev)
                / water().collision_stopping(Charge::Negative, kev)
        };
        assert!(ratio(50.0) > 1.02 && ratio(50.0) < 1.06, "{}", ratio(50.0));
        assert!(ratio(1000.0) < 0.99 && ratio(1000.0) > 0.97, "{}", ratio(1000.0));
    }

    #[test]
    fn soft_and_hard_losses_make_up_the_whole() {
        for charge in [Charge::Negative, Charge::Positive] {
            let soft = water().soft_collision_stopping(charge, 1500.0, 50.0);
            let whole = water().collision_stopping(charge, 1500.0);
            assert!(soft > 0.6 * whole && soft < 0.95 * whole, "{soft} of {whole}");
            let nothing_hard = water().soft_collision_stopping(charge, 40.0, 50.0);
            assert_eq!(nothing_hard, water().collision_stopping(charge, 40.0));
        }
    }
}
