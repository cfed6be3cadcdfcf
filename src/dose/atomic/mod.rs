//! How photons and electrons meet matter: cross-sections and stopping powers of body tissues.
//!
//! Element and tissue tables (`config/atomic`, `config/tissues/materials.yaml`) are read once; one
//! file per interaction turns them into macroscopic quantities per unit mass. Energies are keV,
//! cross-sections cm²/g, stopping powers keV cm²/g.
//!
//! Sources: NIST XCOM (SRD 8) and ESTAR (SRD 124, ICRU 37), xraylib 4.3 form factors.
//! Not modelled: fluorescence (at most 4 keV in tissue, deposited locally), Doppler broadening of
//! Compton lines, molecular interference in Rayleigh scatter.

pub mod bremsstrahlung;
pub mod collision;
pub mod elastic;
pub mod material;
pub mod photon;
mod table;

pub(super) use material::TABLES;
pub use material::{Material, MaterialId, MaterialLibrary};

/// Electron rest energy, keV (CODATA 2018).
pub const ELECTRON_REST_KEV: f64 = 510.998_95;
/// Classical electron radius, cm (CODATA 2018).
pub const CLASSICAL_ELECTRON_RADIUS_CM: f64 = 2.817_940_326e-13;
/// Avogadro constant, 1/mol (exact since 2019).
pub const AVOGADRO: f64 = 6.022_140_76e23;
/// Fine-structure constant (CODATA 2018).
pub const FINE_STRUCTURE: f64 = 7.297_352_569e-3;
/// h c in keV Å (exact since 2019, rounded).
pub const HC_KEV_ANGSTROM: f64 = 12.398_42;
/// Bohr radius in Å (CODATA 2018).
pub const BOHR_RADIUS_ANGSTROM: f64 = 0.529_177_21;
/// Lowest energy of the electron tables (ESTAR begins here) and lowest photon cutoff, keV.
pub const LOWEST_KEV: f64 = 10.0;
/// Highest energy of the tables, keV.
pub const HIGHEST_KEV: f64 = 10_000.0;

/// Lorentz factor, β² and momentum (in units of mₑc) of an electron of kinetic energy `kev`.
pub(crate) fn kinematics(kev: f64) -> (f64, f64, f64) {
    let gamma = 1.0 + kev / ELECTRON_REST_KEV;
    let momentum_squared = gamma * gamma - 1.0;
    (gamma, momentum_squared / (gamma * gamma), momentum_squared.sqrt())
}

/// ∫ f(x) dx over [low, high] by Simpson's rule in ln x: cross-sections fall like 1/x or 1/x².
pub(crate) fn integrate_log(low: f64, high: f64, intervals: usize, f: impl Fn(f64) -> f64) -> f64 {
    if high <= low {
        return 0.0;
    }
    let n = intervals + intervals % 2;
    let step = (high / low).ln() / n as f64;
    let sum: f64 = (0..=n)
        .map(|i| {
            let x = low * (step * i as f64).exp();
            let weight = if i == 0 || i == n { 1.0 } else { 2.0 + 2.0 * (i % 2) as f64 };
            weight * x * f(x)
        })
        .sum();
    sum * step / 3.0
}
