//! Beta spectra by Fermi theory, one transition at a time.
//!
//! In: end point, sign and forbiddenness of each branch. Out: a histogram of particles per decay.
//! `N(W) = p W (W0 - W)^2 F(Z, W) L0(Z, W) S(Z, W) C(W)` in units of the electron's mass: phase
//! space, point-nucleus Fermi function, finite nuclear size, atomic screening (Rose 1936), shape
//! of the transition. Atomic exchange and radiative corrections are left out: below 0.1 % of the
//! mean energy for every transition here. Equations: `docs/methods/decay-data.md`.

use std::f64::consts::PI;

use super::table::ELECTRON_REST_KEV;
use super::{BetaBranch, BetaSign, KiloElectronvolt, Nuclide, Transition};

/// Fine-structure constant (CODATA 2018).
const ALPHA: f64 = 7.297_352_569_3e-3;
/// Reduced Compton wavelength of the electron, fm (CODATA 2018).
const REDUCED_COMPTON_FM: f64 = 386.159_267_96;
/// Bins of a histogram: 200 keep the mean to 1e-5 and the longest (5 MeV) to 25 keV.
const BINS: usize = 200;
/// Three-point Gauss-Legendre rule on (-1, 1).
const GAUSS: [(f64, f64); 3] =
    [(-0.774_596_669_241_483_4, 5.0 / 9.0), (0.0, 8.0 / 9.0), (0.774_596_669_241_483_4, 5.0 / 9.0)];
/// Hartree-Fock screening coefficients N(Z) of V0 = N alpha^2 Z^(4/3), Z of the parent's shell
/// (Garrett and Bhalla, Z. Phys. 198 (1967) 453, interpolated linearly).
const SCREENING: [(f64, f64); 10] = [
    (1.0, 1.0),
    (8.0, 1.420),
    (13.0, 1.484),
    (16.0, 1.497),
    (23.0, 1.520),
    (27.0, 1.544),
    (29.0, 1.561),
    (49.0, 1.637),
    (84.0, 1.838),
    (92.0, 1.907),
];

/// One bin of a beta spectrum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpectrumBin {
    pub low: KiloElectronvolt,
    pub high: KiloElectronvolt,
    /// Particles in this bin per decay.
    pub intensity: f64,
    /// Mean energy of the particles in this bin.
    pub mean: KiloElectronvolt,
}

/// Histogram of the beta particles of one sign, per decay, from zero to the highest end point.
#[derive(Debug, Clone, PartialEq)]
pub struct BetaSpectrum {
    pub bins: Vec<SpectrumBin>,
}

impl BetaSpectrum {
    /// Particles per decay.
    pub fn intensity(&self) -> f64 {
        self.bins.iter().map(|b| b.intensity).sum()
    }

    /// Mean energy carried per decay.
    pub fn energy_per_decay(&self) -> KiloElectronvolt {
        self.bins.iter().map(|b| b.mean * b.intensity).sum()
    }
}

/// What the shape of one transition depends on.
struct Shape {
    /// Charge the particle sees, negative for positrons: the daughter's, times alpha.
    alpha_z: f64,
    /// Nuclear radius in units of the electron's reduced Compton wavelength.
    radius: f64,
    /// Shift of the total energy by the shell's electrons, units of the rest energy.
    screening: f64,
    /// Total energy at the end point, units of the rest energy.
    w0: f64,
    transition: Transition,
}

impl Shape {
    fn new(nuclide: &Nuclide, branch: &BetaBranch) -> Self {
        let parent = f64::from(nuclide.atomic_number());
        let sign = if branch.sign == BetaSign::Minus { 1.0 } else { -1.0 };
        let a13 = f64::from(nuclide.mass_number()).cbrt();
        // Uniform charge radius (Elton 1961).
        let radius_fm = 1.121 * a13 + 2.426 / a13 - 6.614 / (a13 * a13 * a13);
        Self {
            alpha_z: sign * ALPHA * (parent + sign),
            radius: radius_fm / REDUCED_COMPTON_FM,
            screening: sign
                * screening_coefficient(parent)
                * ALPHA
                * ALPHA
                * parent.powf(4.0 / 3.0),
            w0: 1.0 + branch.end_point.value() / ELECTRON_REST_KEV,
            transition: branch.transition,
        }
    }

    /// Relative number of particles per energy at total energy `w` (1 < w < w0).
    fn density(&self, w: f64) -> f64 {
        let q = self.w0 - w;
        // Rose: the particle is made at an energy shifted by the potential at the nucleus. Where a
        // negative shift would reach below rest, the limit at rest stands in.
        let made = (w - self.screening).max(1.0 + 1e-6);
        let phase_space = momentum(made) * made * q * q;
        phase_space * self.fermi(1, made) * self.finite_size(w) * self.shape_factor(w, q)
    }

    /// Relativistic Fermi function of a point nucleus for angular momentum k (F0 for k = 1).
    fn fermi(&self, k: i32, w: f64) -> f64 {
        let kf = f64::from(k);
        let gamma = (kf * kf - self.alpha_z * self.alpha_z).sqrt();
        let p = momentum(w);
        let y = self.alpha_z * w / p;
        let double_factorial: f64 = (1..=k).map(|i| f64::from(2 * i - 1)).product();
        let front = 4f64.powi(k - 1) * 2.0 * kf * (kf + gamma) * double_factorial.powi(2);
        let exponent = PI * y
            + 2.0 * (gamma - kf) * (2.0 * p * self.radius).ln()
            + 2.0 * ln_gamma_real_part(gamma, y)
            - 2.0 * ln_gamma_real_part(1.0 + 2.0 * gamma, 0.0);
        front * exponent.exp()
    }

    /// L0: the field inside the nucleus is finite (Wilkinson 1990, leading terms).
    fn finite_size(&self, w: f64) -> f64 {
        let (az, r) = (self.alpha_z, self.radius);
        let gamma = (1.0 - az * az).sqrt();
        1.0 + 13.0 / 60.0 * az * az
            - az * w * r * (41.0 - 26.0 * gamma) / (15.0 * (2.0 * gamma - 1.0))
            - az * r * gamma * (17.0 - 2.0 * gamma) / (30.0 * w * (2.0 * gamma - 1.0))
    }

    /// C(W). Non-unique transitions take the shape of the unique one of the same spin change: their
    /// own matrix elements are not known, and the Coulomb energy outweighs the rest.
    fn shape_factor(&self, w: f64, q: f64) -> f64 {
        use Transition::*;
        let lambda = |k| self.fermi(k, w) / self.fermi(1, w);
        let (p2, q2) = (w * w - 1.0, q * q);
        match self.transition {
            Allowed | FirstForbidden | NotAssigned => 1.0,
            UniqueFirstForbidden | SecondForbidden => q2 + lambda(2) * p2,
            UniqueSecondForbidden => {
                q2 * q2 + 10.0 / 3.0 * lambda(2) * p2 * q2 + lambda(3) * p2 * p2
            }
        }
    }
}

fn momentum(w: f64) -> f64 {
    ((w - 1.0) * (w + 1.0)).sqrt()
}

fn screening_coefficient(z: f64) -> f64 {
    let last = SCREENING[SCREENING.len() - 1];
    SCREENING.windows(2).find(|pair| z <= pair[1].0).map_or(last.1, |pair| {
        let t = (z - pair[0].0) / (pair[1].0 - pair[0].0);
        pair[0].1 + t * (pair[1].1 - pair[0].1)
    })
}

/// Re ln Gamma(x + i y) for x > 0: recurrence up to |z| > 9, then Stirling's series (to 1e-13).
fn ln_gamma_real_part(x: f64, y: f64) -> f64 {
    let mut re = x;
    let mut below = 0.0;
    while re < 9.0 {
        below += 0.5 * (re * re + y * y).ln();
        re += 1.0;
    }
    let modulus2 = re * re + y * y;
    let argument = y.atan2(re);
    let series: f64 = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0]
        .iter()
        .zip([1.0, 3.0, 5.0, 7.0])
        .map(|(c, n)| c * (n * argument).cos() * modulus2.powf(-0.5 * n))
        .sum();
    (re - 0.5) * 0.5 * modulus2.ln() - y * argument - re + 0.5 * (2.0 * PI).ln() + series - below
}

/// The spectrum of all branches of one sign; `None` where there are none.
pub(super) fn spectrum(
    nuclide: &Nuclide,
    branches: &[BetaBranch],
    sign: BetaSign,
) -> Option<BetaSpectrum> {
    let of_sign = || branches.iter().filter(|b| b.sign == sign && b.intensity > 0.0);
    let top = of_sign().map(|b| b.end_point.value()).fold(0.0, f64::max);
    if top <= 0.0 {
        return None;
    }
    let width = top / BINS as f64;
    let mut count = [0.0; BINS];
    let mut energy = [0.0; BINS];
    for branch in of_sign() {
        let moments = branch_moments(&Shape::new(nuclide, branch), branch, width);
        let norm = branch.intensity / moments.iter().map(|m| m.0).sum::<f64>();
        for (bin, (n, e)) in moments.iter().enumerate() {
            count[bin] += norm * n;
            energy[bin] += norm * e;
        }
    }
    let bins = (0..BINS).map(|i| SpectrumBin {
        low: KiloElectronvolt::new(i as f64 * width),
        high: KiloElectronvolt::new((i + 1) as f64 * width),
        intensity: count[i],
        mean: KiloElectronvolt::new(if count[i] > 0.0 {
            energy[i] / count[i]
        } else {
            (i as f64 + 0.5) * width
        }),
    });
    Some(BetaSpectrum { bins: bins.collect() })
}

/// Particles and energy of one branch in each bin, not normalised.
fn branch_moments(shape: &Shape, branch: &BetaBranch, width: f64) -> [(f64, f64); BINS] {
    let end = branch.end_point.value();
    let mut out = [(0.0, 0.0); BINS];
    for (i, bin) in out.iter_mut().enumerate() {
        let low = i as f64 * width;
        let high = ((i + 1) as f64 * width).min(end);
        if high <= low {
            break;
        }
        let (centre, half) = (0.5 * (low + high), 0.5 * (high - low));
        for (x, weight) in GAUSS {
            let e = centre + half * x;
            let n = half * weight * shape.density(1.0 + e / ELECTRON_REST_KEV);
            bin.0 += n;
            bin.1 += n * e;
        }
    }
    out
}
