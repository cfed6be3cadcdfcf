//! Electrons and positrons: class II condensed history with a random hinge.
//!
//! As in DPM (Sempau, Wilderman and Bielajew, Phys Med Biol 45:2263, 2000): steps of fixed scattering
//! strength K = ∫ G₁ ds cross voxel walls without stopping; the deflection of the whole step, from
//! Goudsmit and Saunderson's distribution, takes place at a point drawn evenly over K. Collisions
//! and photons above their thresholds are made singly; the rest is lost continuously. An electron
//! whose range ends inside its voxel is deposited there, after giving off what bremsstrahlung
//! it still would.

use super::geometry::{Kind, Location, Particle, Tally, World, inverse};
use super::philox::{Philox, deflect, turn};
use super::tables::{ElectronRow, ElectronTable, Place, TissueTables, locate};
use crate::dose::atomic::bremsstrahlung;
use crate::dose::atomic::collision::{Charge, largest_transfer, shape};
use crate::dose::atomic::{ELECTRON_REST_KEV, kinematics};

/// How far the electron is from its next hard collision and its next deflection.
struct Ahead {
    /// Mean free paths to the next hard collision.
    collision: f64,
    /// Scattering strength to the hinge, or past it to the end of the step.
    strength: f64,
    /// What follows the hinge; `None` when it has been passed.
    after_hinge: Option<f64>,
}

impl Ahead {
    fn new(rng: &mut Philox, step_strength: f64) -> Self {
        let mut ahead = Self { collision: rng.exponential(), strength: 0.0, after_hinge: None };
        ahead.next_step(rng, step_strength);
        ahead
    }
    #[inline]
    fn next_step(&mut self, rng: &mut Philox, step_strength: f64) {
        self.strength = rng.uniform() * step_strength;
        self.after_hinge = Some(step_strength - self.strength);
    }
}

/// What ended a straight piece of the track.
enum Event {
    Wall(usize),
    Collision,
    Strength,
}

fn table(tissue: &TissueTables, charge: Charge) -> &ElectronTable {
    match charge {
        Charge::Negative => &tissue.electron,
        Charge::Positive => &tissue.positron,
    }
}

/// True where an electron or positron of `kev` born at `at` ends in its voxel, which is then done:
/// most electrons of a soft emitter are, and need not even be given a direction.
#[inline]
pub(super) fn stays(
    world: &World<'_>,
    tally: &mut Tally,
    rng: &mut Philox,
    stack: &mut Vec<Particle>,
    kind: Kind,
    kev: f64,
    at: &Location,
) -> bool {
    let voxel = world.voxels[world.index(at.voxel)];
    let mut particle = Particle { kind, kev, at: *at, direction: [0.0; 3] };
    if kev > world.physics.electron_cutoff_kev {
        let tissue = &world.tables.tissues[voxel.slot()];
        let charge = charge_of(kind);
        let row = table(tissue, charge).at(locate(kev));
        if row.range >= voxel.density() * world.nearest_wall(at) {
            return false;
        }
        radiate_while_stopping(world, rng, stack, &mut particle, tissue, charge, &row);
    }
    stop(world, tally, rng, stack, &particle);
    true
}

fn charge_of(kind: Kind) -> Charge {
    if kind == Kind::Positron { Charge::Positive } else { Charge::Negative }
}

/// Follows one electron or positron until it stops or leaves the grid.
pub(super) fn follow(
    world: &World<'_>,
    tally: &mut Tally,
    rng: &mut Philox,
    stack: &mut Vec<Particle>,
    mut particle: Particle,
) {
    let charge = charge_of(particle.kind);
    let mut ahead: Option<Ahead> = None;
    let mut inverse_direction = [0.0; 3];
    loop {
        if particle.kev <= world.physics.electron_cutoff_kev {
            return stop(world, tally, rng, stack, &particle);
        }
        let index = world.index(particle.at.voxel);
        let voxel = world.voxels[index];
        let tissue = &world.tables.tissues[voxel.slot()];
        let place = locate(particle.kev);
        let row = table(tissue, charge).at(place);
        let density = voxel.density();
        if row.range < density * world.nearest_wall(&particle.at) {
            radiate_while_stopping(world, rng, stack, &mut particle, tissue, charge, &row);
            return stop(world, tally, rng, stack, &particle);
        }
        // Most electrons of a soft emitter never come this far: only now is a track begun.
        let ahead = ahead.get_or_insert_with(|| {
            inverse_direction = inverse(&particle.direction);
            Ahead::new(rng, world.physics.step_strength)
        });
        let (event, length) =
            next_event(world, &particle, &inverse_direction, ahead, &row, density);
        let path = length * density;
        let lost = energy_loss(table(tissue, charge), place, &row, particle.kev, path);
        tally.deposit(index, lost);
        particle.kev -= lost;
        ahead.collision -= path * row.hard;
        ahead.strength -= path * row.transport;
        for axis in 0..3 {
            particle.at.position[axis] += length * particle.direction[axis];
        }
        match event {
            Event::Wall(axis) => {
                let forward = inverse_direction[axis] > 0.0;
                if !world.cross(&mut particle.at, axis, forward) {
                    tally.escaped_kev += particle.kev;
                    if charge == Charge::Positive {
                        tally.escaped_kev += 2.0 * ELECTRON_REST_KEV;
                    }
                    return;
                }
                continue;
            }
            Event::Strength => match ahead.after_hinge.take() {
                Some(rest) => {
                    let cosine = tissue.angle.sample(particle.kev, rng);
                    particle.direction = deflect(particle.direction, cosine, rng);
                    ahead.strength = rest;
                }
                None => {
                    ahead.next_step(rng, world.physics.step_strength);
                    continue;
                }
            },
            Event::Collision => {
                ahead.collision = rng.exponential();
                if rng.uniform() < row.bremsstrahlung_share {
                    radiate(world, rng, stack, &mut particle, tissue);
                } else {
                    collide(world, rng, stack, &mut particle, charge);
                }
            }
        }
        inverse_direction = inverse(&particle.direction);
    }
}

/// The nearest of wall, hard collision and end of the scattering strength.
#[inline]
fn next_event(
    world: &World<'_>,
    particle: &Particle,
    inverse_direction: &[f64; 3],
    ahead: &Ahead,
    row: &ElectronRow,
    density: f64,
) -> (Event, f64) {
    let (axis, wall) = world.wall_ahead(&particle.at, inverse_direction);
    let strength = ahead.strength / (density * row.transport);
    // Where nothing hard can happen the cross-section is 0 and the distance infinite.
    let collision = ahead.collision / (density * row.hard);
    if strength < wall && strength < collision {
        (Event::Strength, strength)
    } else if collision < wall {
        (Event::Collision, collision)
    } else {
        (Event::Wall(axis), wall)
    }
}

/// Continuous loss over `path` g/cm² with the stopping power at mid-path.
#[inline]
fn energy_loss(table: &ElectronTable, place: Place, row: &ElectronRow, kev: f64, path: f64) -> f64 {
    let first = path * row.stopping;
    let middle = kev - 0.5 * first;
    let middle_place =
        if middle > crate::dose::atomic::LOWEST_KEV { locate(middle) } else { place };
    (path * table.stopping(middle_place)).min(kev)
}

/// The end of a track: what is left is deposited, a positron annihilates at rest.
fn stop(
    world: &World<'_>,
    tally: &mut Tally,
    rng: &mut Philox,
    stack: &mut Vec<Particle>,
    particle: &Particle,
) {
    tally.deposit(world.index(particle.at.voxel), particle.kev);
    if particle.kind == Kind::Positron {
        let direction = rng.isotropic();
        for direction in [direction, direction.map(|c| -c)] {
            let photon =
                Particle { kind: Kind::Photon, kev: ELECTRON_REST_KEV, at: particle.at, direction };
            stack.push(photon);
        }
    }
}

/// An electron that ends in its voxel may still give off a hard photon on the way: drawn from the
/// number to come, emitted here, in any direction.
fn radiate_while_stopping(
    world: &World<'_>,
    rng: &mut Philox,
    stack: &mut Vec<Particle>,
    particle: &mut Particle,
    tissue: &TissueTables,
    charge: Charge,
    row: &ElectronRow,
) {
    if row.photons_to_come <= 0.0 {
        return;
    }
    let drawn = rng.uniform();
    if drawn >= row.photons_to_come {
        return;
    }
    let cut = world.physics.hard_photon_kev;
    let kev = table(tissue, charge).energy_of_photon(drawn).clamp(cut, particle.kev);
    let k = bremsstrahlung::sample_energy(tissue.radiating_charge, kev, cut, || rng.uniform());
    particle.kev -= k;
    let direction = rng.isotropic();
    stack.push(Particle { kind: Kind::Photon, kev: k, at: particle.at, direction });
}

/// A hard photon. Its direction is that of a dipole boosted to the electron's speed; the electron
/// flies on undeflected (its recoil is in the elastic cross-section's shadow).
fn radiate(
    world: &World<'_>,
    rng: &mut Philox,
    stack: &mut Vec<Particle>,
    particle: &mut Particle,
    tissue: &TissueTables,
) {
    let cut = world.physics.hard_photon_kev;
    if particle.kev <= cut {
        return;
    }
    let k =
        bremsstrahlung::sample_energy(tissue.radiating_charge, particle.kev, cut, || rng.uniform());
    let beta = kinematics(particle.kev).1.sqrt();
    let isotropic = 2.0 * rng.uniform() - 1.0;
    let cosine = (isotropic + beta) / (1.0 + beta * isotropic);
    let direction = deflect(particle.direction, cosine, rng);
    particle.kev -= k;
    stack.push(Particle { kind: Kind::Photon, kev: k, at: particle.at, direction });
}

/// Møller or Bhabha scattering: energy by rejection from 1/W², directions by kinematics.
fn collide(
    world: &World<'_>,
    rng: &mut Philox,
    stack: &mut Vec<Particle>,
    particle: &mut Particle,
    charge: Charge,
) {
    let kev = particle.kev;
    let (cut, highest) = (world.physics.hard_collision_kev, largest_transfer(charge, kev));
    if highest <= cut {
        return;
    }
    let bound = match charge {
        Charge::Negative => {
            let (gamma, _, _) = kinematics(kev);
            1.0 + 1.25 * ((gamma - 1.0) / gamma).powi(2)
        }
        Charge::Positive => 1.0,
    };
    let transfer = loop {
        let w = cut * highest / (highest - rng.uniform() * (highest - cut));
        if rng.uniform() * bound <= shape(charge, kev, w) {
            break w;
        }
    };
    let two_m = 2.0 * ELECTRON_REST_KEV;
    let after = kev - transfer;
    let cosine = |t: f64| (t * (kev + two_m) / (kev * (t + two_m))).sqrt().min(1.0);
    let (cos, sin) = rng.azimuth();
    let direction = turn(particle.direction, cosine(transfer), (-cos, -sin));
    stack.push(Particle { kind: Kind::Electron, kev: transfer, at: particle.at, direction });
    particle.direction = turn(particle.direction, cosine(after), (cos, sin));
    particle.kev = after;
}
