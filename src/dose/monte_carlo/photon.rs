//! Photons: Woodcock flights, kerma by track length, Klein-Nishina with S(q), Rayleigh with form
//! factors, photoelectric absorption, pair production.
//!
//! Every voxel a photon crosses is given E μ_tr l, the expected energy of the electrons it would
//! free there, as far as these are slower than the secondary threshold; a real collision only
//! changes the photon. Faster electrons are followed, and their energy is not in that μ_tr.
//! Each tentative collision is real with the probability local over highest attenuation
//! (Woodcock et al. 1965), so a flight need not know the tissues it crosses.

use super::geometry::{Flight, Kind, Location, Particle, Tally, World};
use super::philox::{Philox, deflect, turn};
use super::tables::{PhotonTable, locate};
use crate::dose::atomic::ELECTRON_REST_KEV;
use crate::dose::atomic::photon::{PAIR_THRESHOLD_KEV, momentum_transfer};

/// Slots that a packed voxel can name.
const SLOTS: usize = 16;

/// Follows one photon until it is absorbed, too soft, or out of the grid.
pub(super) fn follow(
    world: &World<'_>,
    tally: &mut Tally,
    rng: &mut Philox,
    stack: &mut Vec<Particle>,
    photon: Particle,
) {
    let Particle { mut kev, mut at, mut direction, .. } = photon;
    loop {
        if kev < world.physics.photon_cutoff_kev {
            tally.deposit(world.index(at.voxel), kev);
            return;
        }
        let Some(collision) = fly(world, tally, rng, kev, &at, &direction) else {
            tally.escaped_kev += kev;
            return;
        };
        at = collision;
        let voxel = world.voxels[world.index(at.voxel)];
        let table = &world.tables.tissues[voxel.slot()].photon;
        let row = table.at(locate(kev));
        let kind = rng.uniform();
        if kind < row.compton {
            (kev, direction) = compton(world, rng, stack, table, kev, &at, direction);
        } else if kind < row.compton_or_rayleigh {
            direction = deflect(direction, rayleigh(table, kev, rng), rng);
        } else {
            if kind >= row.not_pair && kev > PAIR_THRESHOLD_KEV {
                pair(rng, stack, kev, at, direction);
            } else if kev >= world.physics.secondary_electron_kev {
                let direction = deflect(direction, sauter(kev, rng), rng);
                stack.push(Particle { kind: Kind::Electron, kev, at, direction });
            }
            return;
        }
    }
}

/// Flies to the next real collision, scoring on the way; `None` where the grid ends.
fn fly(
    world: &World<'_>,
    tally: &mut Tally,
    rng: &mut Philox,
    kev: f64,
    start: &Location,
    direction: &[f64; 3],
) -> Option<Location> {
    let place = locate(kev);
    let majorant = world.tables.majorant(place);
    let (mut attenuation, mut kerma) = ([0.0; SLOTS], [0.0; SLOTS]);
    for (slot, tissue) in world.tables.tissues.iter().enumerate() {
        let row = tissue.photon.at(place);
        attenuation[slot] = row.attenuation;
        kerma[slot] = kev * row.transfer;
    }
    let mut flight = Flight::new(world, start, direction);
    loop {
        let inside = flight.advance(world, rng.exponential() / majorant, |index, length| {
            let voxel = world.voxels[index];
            tally.deposit(index, kerma[voxel.slot()] * voxel.density() * length);
        });
        if !inside {
            return None;
        }
        let voxel = world.voxels[flight.index()];
        if rng.uniform() * majorant < voxel.density() * attenuation[voxel.slot()] {
            return Some(flight.location(world, start, direction));
        }
    }
}

/// Energy and direction after Compton scattering; a fast electron goes on the stack.
fn compton(
    world: &World<'_>,
    rng: &mut Philox,
    stack: &mut Vec<Particle>,
    table: &PhotonTable,
    kev: f64,
    at: &Location,
    direction: [f64; 3],
) -> (f64, [f64; 3]) {
    let alpha = kev / ELECTRON_REST_KEV;
    let (ratio, versine) = klein_nishina(alpha, rng, |versine| {
        table.scattering_function(momentum_transfer(kev, versine))
    });
    let scattered = ratio * kev;
    let azimuth = rng.azimuth();
    let after = turn(direction, 1.0 - versine, azimuth);
    let electron_kev = kev - scattered;
    if electron_kev >= world.physics.secondary_electron_kev {
        let momentum: [f64; 3] = std::array::from_fn(|c| kev * direction[c] - scattered * after[c]);
        let length = momentum.iter().map(|p| p * p).sum::<f64>().sqrt();
        let direction = momentum.map(|p| p / length);
        stack.push(Particle { kind: Kind::Electron, kev: electron_kev, at: *at, direction });
    }
    (scattered, after)
}

/// E'/E and 1 − cos θ: Klein-Nishina as a mixture of 1/ε and ε (Butcher and Messel 1960), accepted
/// with the incoherent scattering function.
#[inline]
fn klein_nishina(
    alpha: f64,
    rng: &mut Philox,
    scattering_function: impl Fn(f64) -> f64,
) -> (f64, f64) {
    let lowest = 1.0 / (1.0 + 2.0 * alpha);
    let lowest_squared = lowest * lowest;
    let log_weight = (1.0 + 2.0 * alpha).ln();
    let weight = log_weight + 0.5 * (1.0 - lowest_squared);
    loop {
        let ratio = if rng.uniform() * weight < log_weight {
            (-log_weight * rng.uniform()).exp()
        } else {
            (lowest_squared + (1.0 - lowest_squared) * rng.uniform()).sqrt()
        };
        let versine = ((1.0 - ratio) / (alpha * ratio)).min(2.0);
        let sin_squared = versine * (2.0 - versine);
        let accept = 1.0 - ratio * sin_squared / (1.0 + ratio * ratio);
        if rng.uniform() < accept * scattering_function(versine) {
            return (ratio, versine);
        }
    }
}

/// cos θ of Rayleigh scattering: q² from F², accepted with (1 + cos² θ)/2.
fn rayleigh(table: &PhotonTable, kev: f64, rng: &mut Philox) -> f64 {
    let highest = momentum_transfer(kev, 2.0).powi(2);
    loop {
        let q_squared = table.sample_form(highest, rng.uniform());
        let cosine = 1.0 - 2.0 * q_squared / highest;
        if rng.uniform() < 0.5 * (1.0 + cosine * cosine) {
            return cosine;
        }
    }
}

/// cos θ of a photoelectron of kinetic energy `kev`, Sauter's K-shell distribution (sampling of
/// the PENELOPE manual, section 2.2).
fn sauter(kev: f64, rng: &mut Philox) -> f64 {
    let gamma = 1.0 + kev / ELECTRON_REST_KEV;
    let beta = (1.0 - 1.0 / (gamma * gamma)).sqrt();
    let a = 1.0 / beta - 1.0;
    let b = 0.5 * beta * gamma * (gamma - 1.0) * (gamma - 2.0);
    let highest = 2.0 * (1.0 / a + b);
    loop {
        let u = rng.uniform();
        let a2 = a + 2.0;
        let versine = 2.0 * a / (a2 * a2 - 4.0 * u) * (2.0 * u + a2 * u.sqrt());
        if rng.uniform() * highest <= (2.0 - versine) * (1.0 / (a + versine) + b) {
            return 1.0 - versine;
        }
    }
}

/// Electron and positron share the energy above threshold evenly distributed, both at the mean
/// angle mc²/E of the photon's direction; the nucleus takes the rest of the momentum.
fn pair(rng: &mut Philox, stack: &mut Vec<Particle>, kev: f64, at: Location, along: [f64; 3]) {
    let shared = kev - PAIR_THRESHOLD_KEV;
    let electron_kev = shared * rng.uniform();
    let cosine = (ELECTRON_REST_KEV / kev).cos();
    let electron = deflect(along, cosine, rng);
    let positron = deflect(along, cosine, rng);
    stack.push(Particle { kind: Kind::Electron, kev: electron_kev, at, direction: electron });
    stack.push(Particle {
        kind: Kind::Positron,
        kev: shared - electron_kev,
        at,
        direction: positron,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean energy fraction of Klein-Nishina (no binding) in closed form: T̄/E = 0.1380 at 100 keV,
    /// 0.4402 at 1 MeV (Attix 1986, table D.1).
    #[test]
    fn compton_electrons_take_the_mean_energy_of_klein_and_nishina() {
        let mut rng = Philox::new(3, 0);
        for (kev, fraction) in [(100.0, 0.1380), (1000.0, 0.4402)] {
            let n = 200_000;
            let sum: f64 = (0..n)
                .map(|_| 1.0 - klein_nishina(kev / ELECTRON_REST_KEV, &mut rng, |_| 1.0).0)
                .sum();
            let mean = sum / f64::from(n);
            assert!((mean / fraction - 1.0).abs() < 0.005, "{kev} keV: {mean}");
        }
    }

    #[test]
    fn photoelectrons_turn_forward_as_they_get_faster() {
        let mut rng = Philox::new(4, 0);
        let mean = |kev: f64, rng: &mut Philox| -> f64 {
            (0..20_000).map(|_| sauter(kev, rng)).sum::<f64>() / 20_000.0
        };
        let (slow, fast) = (mean(10.0, &mut rng), mean(1000.0, &mut rng));
        assert!(slow > 0.1 && slow < 0.4, "{slow}");
        assert!(fast > 0.75, "{fast}");
    }
}
