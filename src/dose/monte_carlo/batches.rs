//! Fixed batches of histories, summed in order, and what their scatter says of the uncertainty.

use super::geometry::{Tally, World};
use super::source::Emitter;
use super::tables::Tables;
use super::{
    Control, MonteCarloError, Phantom, Physics, Progress, RegionDose, Settings, StopReason,
};
use crate::quantity::JOULE_PER_EV;
use crate::volume::Occupancy;
use rayon::prelude::*;

/// Batches between two decisions to stop: enough for a variance (its own error is 12 %).
const BATCHES_A_ROUND: u64 = 32;
/// Decays of a batch: enough that summing the voxels costs little beside simulating.
const SMALLEST_BATCH: u64 = 10_000;
const LARGEST_BATCH: u64 = 200_000;
const VOXELS_A_DECAY: u64 = 64;
/// Memory for the tallies of the batches that are under way at one time.
const TALLY_BYTES: usize = 640 << 20;
/// Voxels a task sums at a time.
const CHUNK: usize = 1 << 16;

/// One run, ready to go.
pub(super) struct Simulation<'a> {
    world: World<'a>,
    phantom: &'a Phantom,
    emitter: &'a Emitter,
    settings: &'a Settings,
    batch: u64,
}

/// Raw result, per voxel in Gy.
pub(super) struct Outcome {
    pub gy: Vec<f32>,
    pub standard_error_gy: Vec<f32>,
    pub regions: Vec<RegionDose>,
    pub histories: u64,
    pub stopped_because: StopReason,
    pub escaped_kev_per_decay: f64,
    pub deposited_kev_per_decay: f64,
    /// Share of the decays that happen in air.
    pub share_in_air: f64,
    /// Local energy per decay that was not deposited because of it, keV.
    pub left_out_in_air_kev: f64,
}

/// Sum and sum of squares over batches.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    sum: f64,
    squares: f64,
}

impl Moments {
    #[inline]
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.squares += value * value;
    }

    /// Mean of a batch and its standard error, from `n` batches.
    #[inline]
    fn mean_and_error(&self, n: f64) -> (f64, f64) {
        let mean = self.sum / n;
        if n < 2.0 {
            return (mean, mean.abs());
        }
        let variance = ((self.squares - n * mean * mean) / (n - 1.0)).max(0.0);
        (mean, (variance / n).sqrt())
    }
}

/// What the batches so far add up to.
struct Sums {
    voxels: Vec<Moments>,
    regions: Vec<Moments>,
    escaped_kev: f64,
    batches: u64,
}

impl<'a> Simulation<'a> {
    pub fn new(
        phantom: &'a Phantom,
        tables: &'a Tables,
        physics: &'a Physics,
        emitter: &'a Emitter,
        settings: &'a Settings,
    ) -> Self {
        let world = World::new(phantom, tables, physics);
        let batch = (phantom.grid().len() as u64 / VOXELS_A_DECAY)
            .clamp(SMALLEST_BATCH, LARGEST_BATCH)
            .min(settings.max_histories.div_ceil(BATCHES_A_ROUND));
        Self { world, phantom, emitter, settings, batch }
    }

    pub fn run(
        &self,
        regions: &[Occupancy],
        progress: &dyn Fn(Progress) -> Control,
    ) -> Result<Outcome, MonteCarloError> {
        let voxels = self.world.layout.len();
        let local_kev = self.local_kev();
        let of_region = |region: &Occupancy| -> f64 {
            region.iter().map(|(v, f)| f64::from(f) * local_kev[v]).sum()
        };
        let local: Vec<f64> = regions.iter().map(of_region).collect();
        let regions = &self.in_memory(regions);
        let mut sums = Sums {
            voxels: vec![Moments::default(); voxels],
            regions: vec![Moments::default(); regions.len()],
            escaped_kev: 0.0,
            batches: 0,
        };
        let fitting = TALLY_BYTES / (voxels * size_of::<f64>()).max(1);
        let slots = rayon::current_num_threads().min(fitting).clamp(1, BATCHES_A_ROUND as usize);
        let mut tallies: Vec<Tally> = (0..slots).map(|_| Tally::new(voxels)).collect();
        let most = self.settings.max_histories.div_ceil(self.batch).max(1);
        let stopped_because = loop {
            let round_ends = (sums.batches + BATCHES_A_ROUND).min(most);
            let mut finish = false;
            while sums.batches < round_ends && !finish {
                self.some_batches(&mut tallies, &mut sums, round_ends, regions);
                match progress(self.progress(&sums, &local, most)) {
                    Control::Continue => {}
                    Control::Finish => finish = true,
                    Control::Cancel => return Err(MonteCarloError::Cancelled),
                }
            }
            // Only here, after a fixed number of batches, may statistics decide.
            let worst = self.worst_error(&sums, &local);
            let reached =
                self.settings.target_relative_error.is_some_and(|t| worst.is_some_and(|w| w <= t));
            if reached && sums.batches == round_ends {
                break StopReason::TargetReached;
            }
            if finish {
                break StopReason::CallerFinished;
            }
            if sums.batches >= most {
                break StopReason::HistoryLimit;
            }
        };
        Ok(self.outcome(&sums, regions, &local, &local_kev, stopped_because))
    }

    /// Regions as places in memory and fractions.
    fn in_memory(&self, regions: &[Occupancy]) -> Vec<Vec<(u32, f32)>> {
        let places: Vec<usize> = self.world.layout.in_grid_order().collect();
        let place = |(voxel, f): (usize, f32)| (places[voxel] as u32, f);
        regions.iter().map(|region| region.iter().map(place).collect()).collect()
    }

    /// Simulates as many batches as there are tallies, and adds them in order.
    fn some_batches(
        &self,
        tallies: &mut [Tally],
        sums: &mut Sums,
        round_ends: u64,
        regions: &[Vec<(u32, f32)>],
    ) {
        let number = (tallies.len() as u64).min(round_ends - sums.batches) as usize;
        let tallies = &mut tallies[..number];
        let first = sums.batches;
        tallies.par_iter_mut().enumerate().for_each(|(n, tally)| {
            let history = (first + n as u64) * self.batch;
            self.emitter.batch(&self.world, tally, self.settings.seed, history, self.batch);
        });
        for tally in tallies.iter() {
            for (moments, region) in sums.regions.iter_mut().zip(regions) {
                let kev = region.iter().map(|&(v, f)| f64::from(f) * tally.kev[v as usize]);
                moments.add(kev.sum());
            }
            sums.escaped_kev += tally.escaped_kev;
        }
        // Voxel by voxel in the order of the batches: no sum depends on the threads.
        let parts: Vec<Vec<&mut [f64]>> = transpose_chunks(tallies);
        sums.voxels.par_chunks_mut(CHUNK).zip(parts).for_each(|(voxels, mut batches)| {
            for batch in &mut batches {
                for (moments, kev) in voxels.iter_mut().zip(batch.iter_mut()) {
                    moments.add(*kev);
                    *kev = 0.0;
                }
            }
        });
        tallies.iter_mut().for_each(|tally| tally.escaped_kev = 0.0);
        sums.batches += number as u64;
    }

    /// keV per decay that each voxel receives from emissions that do not travel in tissue.
    fn local_kev(&self) -> Vec<f64> {
        let mut local = vec![0.0f64; self.phantom.grid().len()];
        let per_bq_s = self.emitter.local_kev() / self.emitter.total_bq_s();
        for (voxel, bq_s) in self.emitter.activity().filter(|a| !self.phantom.is_air(a.0)) {
            local[voxel] = per_bq_s * bq_s;
        }
        local
    }

    /// Mean energy per decay in each region and its standard error, keV.
    fn region_kev<'s>(
        &self,
        sums: &'s Sums,
        local: &'s [f64],
    ) -> impl Iterator<Item = (f64, f64)> + 's {
        let per_decay = 1.0 / self.batch as f64;
        let n = sums.batches as f64;
        sums.regions.iter().zip(local).map(move |(moments, local)| {
            let (mean, error) = moments.mean_and_error(n);
            (local + mean * per_decay, error * per_decay)
        })
    }

    /// Largest relative error of a region; `None` without regions or before the second batch.
    fn worst_error(&self, sums: &Sums, local: &[f64]) -> Option<f64> {
        if sums.batches < 2 {
            return None;
        }
        let relative =
            |(mean, error): (f64, f64)| if mean > 0.0 { error / mean } else { f64::INFINITY };
        self.region_kev(sums, local).map(relative).reduce(f64::max)
    }

    fn progress(&self, sums: &Sums, local: &[f64], most: u64) -> Progress {
        Progress {
            histories: sums.batches * self.batch,
            max_histories: most * self.batch,
            worst_region_error: self.worst_error(sums, local),
        }
    }

    fn outcome(
        &self,
        sums: &Sums,
        regions: &[Vec<(u32, f32)>],
        local: &[f64],
        local_kev: &[f64],
        stopped_because: StopReason,
    ) -> Outcome {
        let (n, decays) = (sums.batches as f64, (sums.batches * self.batch) as f64);
        let total = self.emitter.total_bq_s();
        // keV per decay to Gy: all decays, joule per keV, gram per kilogram.
        let gy_g_per_kev = total * JOULE_PER_EV * 1e3 * 1e3;
        let per_decay = 1.0 / self.batch as f64;
        let volume_ml = self.phantom.grid().voxel_volume().value();
        let mass = |place: usize| self.world.voxels[place].density() * volume_ml;
        let places = self.world.layout.in_grid_order();
        let (gy, standard_error_gy) = places
            .zip(local_kev)
            .map(|(place, local)| {
                let (mean, error) = sums.voxels[place].mean_and_error(n);
                let scale = gy_g_per_kev / mass(place);
                let gy = (mean * per_decay + local) * scale;
                (gy as f32, (error * per_decay * scale) as f32)
            })
            .unzip();
        let regions = regions
            .iter()
            .zip(self.region_kev(sums, local))
            .map(|(region, (mean, error))| {
                let grams: f64 = region.iter().map(|&(v, f)| f64::from(f) * mass(v as usize)).sum();
                let scale = gy_g_per_kev / grams;
                RegionDose { mean_gy: mean * scale, standard_error_gy: error * scale }
            })
            .collect();
        let deposited: f64 = sums.voxels.iter().map(|m| m.sum).sum();
        let in_air = self.emitter.activity().filter(|a| self.phantom.is_air(a.0));
        let share_in_air = in_air.map(|a| a.1).sum::<f64>() / total;
        let left_out_in_air_kev = share_in_air * self.emitter.local_kev();
        Outcome {
            gy,
            standard_error_gy,
            regions,
            histories: sums.batches * self.batch,
            stopped_because,
            escaped_kev_per_decay: sums.escaped_kev / decays + left_out_in_air_kev,
            deposited_kev_per_decay: deposited / decays + local_kev.iter().sum::<f64>(),
            share_in_air,
            left_out_in_air_kev,
        }
    }
}

/// The tallies cut into the same chunks: one list of batches for each chunk of voxels.
fn transpose_chunks(tallies: &mut [Tally]) -> Vec<Vec<&mut [f64]>> {
    let voxels = tallies.first().map_or(0, |tally| tally.kev.len());
    let mut parts: Vec<Vec<&mut [f64]>> = Vec::new();
    parts.resize_with(voxels.div_ceil(CHUNK), Vec::new);
    for tally in tallies {
        for (part, chunk) in parts.iter_mut().zip(tally.kev.chunks_mut(CHUNK)) {
            part.push(chunk);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_give_mean_and_standard_error() {
        let mut moments = Moments::default();
        [1.0, 2.0, 3.0, 4.0].iter().for_each(|&v| moments.add(v));
        let (mean, error) = moments.mean_and_error(4.0);
        assert_eq!(mean, 2.5);
        assert!((error - (5.0f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
    }
}
