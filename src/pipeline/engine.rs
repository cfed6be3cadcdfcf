//! The engine that protocol and plan ask for, and what it says of its dose.

use super::error::parked;
use super::inputs::Inputs;
use super::placement::Placed;
use super::voxels::VoxelTia;
use super::{PipelineError, Request};
use crate::config::{Engine, Sourced};
use crate::dose::atomic::MaterialLibrary;
use crate::dose::choice::{self, Method};
use crate::dose::density::VoxelMass;
use crate::dose::emission::emission_spectrum;
use crate::dose::kernel::{self, PointKernel};
use crate::dose::local::{air_below_density, deposit};
use crate::dose::monte_carlo::{
    self, Control, MonteCarloError, Phantom, Progress, Settings, Source, StopReason,
};
use crate::quantity::{GramPerMl, Warning};
use crate::volume::resample::interpolate;
use crate::volume::{Occupancy, Volume};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// HU of what a CT does not cover.
const AIR_HU: f32 = -1000.0;

/// Noise of single voxels from which a warning goes out: a twentieth of their dose.
const VOXEL_NOISE_WARN: f64 = 0.05;

/// Least step of Monte Carlo's progress that is told.
const PROGRESS_STEP: f64 = 0.01;

/// Dose per voxel and how it was made.
#[derive(Debug)]
pub struct EngineDose {
    pub gy: Volume<f32>,
    /// Statistical, k = 1, of every voxel, where Monte Carlo ran.
    pub standard_error_gy: Option<Volume<f32>>,
    pub name: &'static str,
    /// Who asked for the engine, or the rule that chose it.
    pub because: String,
    /// Energy per decay that the engine had to place, keV.
    pub energy_per_decay_kev: f64,
    pub histories: Option<u64>,
    /// Of the mean dose of each region, in their order: the engine's own, k = 1.
    pub relative_uncertainty: Vec<Option<f64>>,
    pub warnings: Vec<Warning>,
}

/// Dose by the engine that protocol or plan ask for, or by the one that the rule of `dose::choice`
/// finds. `progress` hears from 0 to 1 how far a long engine is.
pub fn absorbed_dose(
    inputs: &Inputs,
    placed: &Placed,
    tia: &VoxelTia,
    masses: &VoxelMass,
    request: &Request,
    progress: &dyn Fn(f64),
) -> Result<EngineDose, PipelineError> {
    let asked = format!("protocol {} or plan asks for it", request.plan.protocol);
    let (method, because) = match request.plan.parameters.dose.engine {
        Engine::Auto => chosen(placed, tia, masses, request)?,
        Engine::Local => (Method::Local, asked),
        Engine::Kernel => (Method::Kernel, asked),
        Engine::MonteCarlo => (Method::MonteCarlo, asked),
    };
    let mut dose = match method {
        Method::Local => local(placed, tia, masses, request),
        Method::Kernel => convolve(placed, tia, masses, request),
        Method::MonteCarlo => simulate(inputs, placed, tia, masses, request, progress),
    }?;
    dose.because = because;
    Ok(dose)
}

fn chosen(
    placed: &Placed,
    tia: &VoxelTia,
    masses: &VoxelMass,
    request: &Request,
) -> Result<(Method, String), PipelineError> {
    let density = placed.ct.is_some().then(|| density(masses));
    let choice = choice::choose(request.nuclide(), &single(&tia.bq_s), density.as_ref())
        .map_err(|error| parked("choice of the dose engine", error))?;
    Ok((choice.method, format!("auto: {}", choice.because)))
}

fn local(
    placed: &Placed,
    tia: &VoxelTia,
    masses: &VoxelMass,
    request: &Request,
) -> Result<EngineDose, PipelineError> {
    // Everything but photons, with the daughters in equilibrium.
    let energy = request.nuclide().decay()?.chain_energies.non_penetrating();
    let dose = deposit(&tia.bq_s, &masses.mass_g, energy, air_below_density())
        .map_err(|error| parked("absorbed dose", error))?;
    Ok(EngineDose {
        gy: dose.dose_gy,
        standard_error_gy: None,
        name: "local",
        because: String::new(),
        energy_per_decay_kev: energy.value(),
        histories: None,
        relative_uncertainty: vec![None; placed.regions.len()],
        warnings: dose.warnings,
    })
}

fn convolve(
    placed: &Placed,
    tia: &VoxelTia,
    masses: &VoxelMass,
    request: &Request,
) -> Result<EngineDose, PipelineError> {
    let failed = |error: kernel::KernelError| parked("kernel convolution", error);
    let energies = request.nuclide().decay()?.chain_energies;
    let kernel = PointKernel::of(request.nuclide()).map_err(failed)?;
    let dose = kernel::dose(&kernel, &single(&tia.bq_s), Some(&density(masses))).map_err(failed)?;
    Ok(EngineDose {
        gy: dose.gy,
        standard_error_gy: None,
        name: "kernel",
        because: String::new(),
        energy_per_decay_kev: (energies.non_penetrating() + energies.photon).value(),
        histories: None,
        relative_uncertainty: vec![Some(dose.relative_uncertainty); placed.regions.len()],
        warnings: dose.warnings,
    })
}

fn simulate(
    inputs: &Inputs,
    placed: &Placed,
    tia: &VoxelTia,
    masses: &VoxelMass,
    request: &Request,
    progress: &dyn Fn(f64),
) -> Result<EngineDose, PipelineError> {
    let failed = |error: MonteCarloError| parked("Monte Carlo", error);
    let (phantom, mut warnings) = phantom(inputs, placed, tia, masses, request)?;
    let spectrum = emission_spectrum(request.nuclide())?;
    let decays = single(&tia.bq_s);
    let source = Source { tia_bq_s: &decays, spectrum: &spectrum };
    let limits = limits(request);
    let steering = steering(placed, tia, limits.steering_ml);
    let regions: Vec<Occupancy> =
        steering.iter().map(|&n| placed.on_dose_grid(&placed.regions[n]).clone()).collect();
    let settings = Settings {
        target_relative_error: Some(limits.relative_uncertainty).filter(|_| !regions.is_empty()),
        max_histories: limits.max_histories,
        ..Settings::default()
    };
    let watch = Watch::new(&limits, progress);
    let dose = monte_carlo::run(&phantom, &source, &settings, &regions, &|at| watch.look(at))
        .map_err(failed)?;
    warnings.extend(dose.warnings);
    warnings.extend(stopped_early(dose.stopped_because, dose.histories, &limits));
    warnings.extend(voxel_noise(&dose.gy, &dose.standard_error_gy, &regions));
    let of_region = |n: usize| {
        if let Some(place) = steering.iter().position(|&s| s == n) {
            return Some(dose.regions[place].relative_error()).filter(|u| u.is_finite());
        }
        independent_error(
            &dose.gy,
            &dose.standard_error_gy,
            placed.on_dose_grid(&placed.regions[n]),
        )
    };
    Ok(EngineDose {
        relative_uncertainty: (0..placed.regions.len()).map(of_region).collect(),
        gy: dose.gy,
        standard_error_gy: Some(dose.standard_error_gy),
        name: "monte-carlo",
        because: String::new(),
        energy_per_decay_kev: dose.deposited_kev_per_decay + dose.escaped_kev_per_decay,
        histories: Some(dose.histories),
        warnings,
    })
}

/// Tissues and densities of the CT, or soft tissue of the stated density.
fn phantom(
    inputs: &Inputs,
    placed: &Placed,
    tia: &VoxelTia,
    masses: &VoxelMass,
    request: &Request,
) -> Result<(Phantom, Vec<Warning>), PipelineError> {
    let failed = |error: MonteCarloError| parked("Monte Carlo", error);
    let grid = tia.bq_s.grid();
    if let Some((index, grid_to_ct)) = &placed.ct {
        let hu = interpolate(&inputs.cts[*index].hu, grid, grid_to_ct, AIR_HU);
        return Phantom::from_ct(&hu, &density(masses)).map_err(failed);
    }
    let stated = GramPerMl::new(request.plan.parameters.dose.stated_density_g_per_ml.value);
    let tissue = MaterialLibrary::embedded().by_name("soft-tissue").ok_or_else(|| {
        PipelineError::Failed("no material is named soft-tissue in the tables".into())
    })?;
    Ok((Phantom::uniform(grid.clone(), tissue, stated).map_err(failed)?, Vec::new()))
}

/// How far Monte Carlo goes.
struct Limits {
    relative_uncertainty: f64,
    max_histories: u64,
    steering_ml: f64,
    time_budget: Option<Duration>,
}

/// What protocol or plan state, else `config/dose.yaml`.
fn limits(request: &Request) -> Limits {
    let stated = &request.plan.parameters.dose.monte_carlo;
    let defaults = monte_carlo::default_limits();
    let or = |stated: &Option<Sourced<f64>>, default: f64| {
        stated.as_ref().map_or(default, |stated| stated.value)
    };
    Limits {
        relative_uncertainty: or(&stated.relative_uncertainty, defaults.relative_uncertainty),
        max_histories: or(&stated.max_histories, defaults.max_histories) as u64,
        steering_ml: or(&stated.steering_volume_ml, defaults.steering_volume_ml),
        time_budget: stated.time_budget_s.as_ref().map(|s| Duration::from_secs_f64(s.value)),
    }
}

/// Regions whose mean dose has to be known before the run may end; the others get what there is.
fn steering(placed: &Placed, tia: &VoxelTia, least_ml: f64) -> Vec<usize> {
    let volume_ml =
        |n: usize| placed.on_dose_grid(&placed.regions[n]).volume(tia.bq_s.grid()).value();
    (0..placed.regions.len())
        .filter(|&n| !placed.regions[n].is_remainder && volume_ml(n) >= least_ml)
        .collect()
}

/// Holds the clock that the physics has not: ends the run at the time budget, tells how far it is.
struct Watch<'a> {
    began: Instant,
    time_budget: Option<Duration>,
    target: f64,
    told: Cell<f64>,
    progress: &'a dyn Fn(f64),
}

impl<'a> Watch<'a> {
    fn new(limits: &Limits, progress: &'a dyn Fn(f64)) -> Self {
        Self {
            began: Instant::now(),
            time_budget: limits.time_budget,
            target: limits.relative_uncertainty,
            told: Cell::new(0.0),
            progress,
        }
    }

    fn look(&self, at: Progress) -> Control {
        let elapsed = self.began.elapsed();
        let by_histories = at.histories as f64 / at.max_histories as f64;
        // The error falls with the root of the decays.
        let by_error = at.worst_region_error.map_or(0.0, |worst| (self.target / worst).powi(2));
        let by_time =
            self.time_budget.map_or(0.0, |budget| elapsed.as_secs_f64() / budget.as_secs_f64());
        let done = by_histories.max(by_error).max(by_time).min(1.0);
        if done >= self.told.get() + PROGRESS_STEP {
            self.told.set(done);
            (self.progress)(done);
        }
        if by_time >= 1.0 { Control::Finish } else { Control::Continue }
    }
}

/// Says how noisy single voxels are where that widens histograms: the root mean square of their
/// standard errors over that of their doses, in the steering regions.
fn voxel_noise(gy: &Volume<f32>, error: &Volume<f32>, regions: &[Occupancy]) -> Option<Warning> {
    let (doses, errors) = (gy.as_slice(), error.as_slice());
    let mut squares = [0.0f64; 2];
    for (voxel, fraction) in regions.iter().flat_map(Occupancy::iter) {
        squares[0] += f64::from(fraction) * f64::from(errors[voxel]).powi(2);
        squares[1] += f64::from(fraction) * f64::from(doses[voxel]).powi(2);
    }
    let noise = (squares[0] / squares[1]).sqrt();
    (noise > VOXEL_NOISE_WARN).then(|| {
        let text = format!(
            "the dose of a voxel is known to {:.0} % (k = 1): maximum, D2 and D98 hold that noise; for \
             smoother voxels lower dose: monte_carlo: relative_uncertainty",
            100.0 * noise
        );
        Warning::new("monte-carlo-voxel-noise", text)
    })
}

fn stopped_early(because: StopReason, histories: u64, limits: &Limits) -> Option<Warning> {
    let text = match because {
        StopReason::TargetReached => return None,
        StopReason::HistoryLimit => {
            format!("Monte Carlo ended after {histories} decays without a target reached")
        }
        StopReason::CallerFinished => format!(
            "Monte Carlo ended at its time budget of {} s after {histories} decays: a rerun on \
             another machine ends elsewhere",
            limits.time_budget.unwrap_or_default().as_secs_f64()
        ),
    };
    Some(Warning::new("monte-carlo-stopped", text))
}

/// Relative standard error of a region's mean from its voxels' as if they were independent: a few
/// voxels share tracks, which makes it a little small; used for regions that steer nothing.
fn independent_error(gy: &Volume<f32>, error: &Volume<f32>, region: &Occupancy) -> Option<f64> {
    let (doses, errors) = (gy.as_slice(), error.as_slice());
    let (mut sum, mut variance) = (0.0f64, 0.0f64);
    for (voxel, fraction) in region.iter() {
        sum += f64::from(doses[voxel]) * f64::from(fraction);
        variance += (f64::from(errors[voxel]) * f64::from(fraction)).powi(2);
    }
    Some(variance.sqrt() / sum).filter(|u| u.is_finite())
}

/// Time-integrated activity as the transport engines take it.
fn single(bq_s: &Volume<f64>) -> Volume<f32> {
    Volume::new(bq_s.grid().clone(), bq_s.values().mapv(|value| value as f32))
}

/// g/ml of every voxel.
fn density(masses: &VoxelMass) -> Volume<f32> {
    let grid = masses.mass_g.grid();
    let ml = grid.voxel_volume().value() as f32;
    Volume::new(grid.clone(), masses.mass_g.values().mapv(|mass| mass / ml))
}
