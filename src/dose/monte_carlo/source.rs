//! Where decays happen and what they send out.

use super::geometry::{Kind, Location, Particle, Tally, World};
use super::philox::Philox;
use super::spectrum::{EmissionSpectrum, EnergySampler};
use super::{GRID_TOLERANCE_MM, MOST_BQ_S, MonteCarloError, Physics, electron, photon};
use crate::volume::{Grid, Volume};

/// Decays and their emissions.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Time-integrated activity of each voxel (not per ml), Bq s, on the phantom's grid.
    pub tia_bq_s: &'a Volume<f32>,
    pub spectrum: &'a EmissionSpectrum,
}

/// The source as the histories draw from it.
pub(super) struct Emitter {
    /// Active voxels with the time-integrated activity up to and with each, Bq s.
    active: Vec<(u32, f64)>,
    electrons: EnergySampler,
    positrons: EnergySampler,
    photons: EnergySampler,
    local_kev: f64,
    highest_kev: f64,
}

impl Emitter {
    pub fn new(
        grid: &Grid,
        source: &Source<'_>,
        physics: &Physics,
    ) -> Result<Self, MonteCarloError> {
        source.spectrum.check()?;
        if !grid.coincides(source.tia_bq_s.grid(), GRID_TOLERANCE_MM) {
            return Err(MonteCarloError::GridsDiffer("phantom and time-integrated activity"));
        }
        let mut active = Vec::new();
        let mut total = 0.0;
        for (voxel, &bq_s) in source.tia_bq_s.as_slice().iter().enumerate() {
            if !(0.0..=MOST_BQ_S).contains(&bq_s) {
                return Err(MonteCarloError::Activity { voxel, bq_s });
            }
            if bq_s > 0.0 {
                total += f64::from(bq_s);
                active.push((voxel as u32, total));
            }
        }
        if active.is_empty() {
            return Err(MonteCarloError::NoActivity);
        }
        let spectrum = source.spectrum;
        let (electrons, soft_electrons) = spectrum.electrons.split_at(physics.electron_cutoff_kev);
        let (photons, soft_photons) = spectrum.photons.split_at(physics.photon_cutoff_kev);
        Ok(Self {
            active,
            electrons: EnergySampler::new(&electrons),
            positrons: EnergySampler::new(&spectrum.positrons),
            photons: EnergySampler::new(&photons),
            local_kev: spectrum.local_kev_per_decay + soft_electrons + soft_photons,
            highest_kev: spectrum.highest_kev(),
        })
    }

    pub fn highest_kev(&self) -> f64 {
        self.highest_kev
    }

    /// Energy per decay that stays where the decay is, keV.
    pub fn local_kev(&self) -> f64 {
        self.local_kev
    }

    /// All decays, Bq s.
    pub fn total_bq_s(&self) -> f64 {
        self.active.last().map_or(0.0, |last| last.1)
    }

    /// Time-integrated activity of the active voxels, Bq s.
    pub fn activity(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let mut before = 0.0;
        self.active.iter().map(move |&(voxel, up_to)| {
            let bq_s = up_to - before;
            before = up_to;
            (voxel as usize, bq_s)
        })
    }

    /// Simulates one batch: `number` decays with the history numbers from `first` on, spread
    /// evenly over the cumulated activity (one in each of `number` equal strata).
    pub fn batch(&self, world: &World<'_>, tally: &mut Tally, seed: u64, first: u64, number: u64) {
        let mut stack = Vec::with_capacity(64);
        let stratum = self.total_bq_s() / number as f64;
        let mut place = 0;
        for n in 0..number {
            let mut rng = Philox::new(seed, first + n);
            let target = (n as f64 + rng.uniform()) * stratum;
            while self.active[place].1 < target && place + 1 < self.active.len() {
                place += 1;
            }
            self.decay(world, tally, &mut rng, &mut stack, self.active[place].0);
        }
    }

    /// One decay at a random point of `voxel`, and all that comes of it.
    fn decay(
        &self,
        world: &World<'_>,
        tally: &mut Tally,
        rng: &mut Philox,
        stack: &mut Vec<Particle>,
        voxel: u32,
    ) {
        let [ni, nj, _] = world.extent;
        let voxel = voxel as i32;
        let voxel = [voxel % ni, voxel / ni % nj, voxel / ni / nj];
        let position = std::array::from_fn(|axis| {
            (f64::from(voxel[axis]) + rng.uniform()) * world.size_cm[axis]
        });
        let at = Location { position, voxel };
        for (sampler, kind) in [
            (&self.electrons, Kind::Electron),
            (&self.positrons, Kind::Positron),
            (&self.photons, Kind::Photon),
        ] {
            for _ in 0..sampler.number(rng) {
                let kev = sampler.energy(rng);
                if kind == Kind::Photon
                    || !electron::stays(world, tally, rng, stack, kind, kev, &at)
                {
                    stack.push(Particle { kind, kev, at, direction: rng.isotropic() });
                }
                while let Some(particle) = stack.pop() {
                    match particle.kind {
                        Kind::Photon => photon::follow(world, tally, rng, stack, particle),
                        _ => electron::follow(world, tally, rng, stack, particle),
                    }
                }
            }
        }
    }
}
