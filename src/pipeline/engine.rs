//! The engine that protocol and plan ask for, and what it says of its dose.

use super::error::parked;
use super::inputs::Inputs;
use super::placement::Placed;
use super::voxels::VoxelTia;
use super::{PipelineError, Request};
use crate::config::Engine;
use crate::dose::atomic::MaterialLibrary;
use crate::dose::density::VoxelMass;
use crate::dose::emission::emission_spectrum;
use crate::dose::kernel::{self, PointKernel};
use crate::dose::local::{air_below_density, deposit};
use crate::dose::monte_carlo::{self, Control, Phantom, Settings, Source, StopReason};
use crate::quantity::{GramPerMl, Warning};
use crate::volume::resample::interpolate;
use crate::volume::{Occupancy, Volume};

/// HU of what a CT does not cover.
const AIR_HU: f32 = -1000.0;

/// Most decays that are simulated for one result: some minutes on two cores. Where a region is not
/// known to the target by then, the result says how well it is.
const HISTORIES_MAX: u64 = 100_000_000;

/// Regions smaller than this do not steer how long is simulated, ml; they get what there is.
const STEERING_ML: f64 = 20.0;

/// Dose per voxel and how it was made.
#[derive(Debug)]
pub struct EngineDose {
    pub gy: Volume<f32>,
    pub name: &'static str,
    /// Energy per decay that the engine had to place, keV.
    pub energy_per_decay_kev: f64,
    pub histories: Option<u64>,
    /// Of the mean dose of each region, in their order: the engine's own, k = 1.
    pub relative_uncertainty: Vec<Option<f64>>,
    pub warnings: Vec<Warning>,
}

pub fn absorbed_dose(
    inputs: &Inputs,
    placed: &Placed,
    tia: &VoxelTia,
    masses: &VoxelMass,
    request: &Request,
) -> Result<EngineDose, PipelineError> {
    match request.plan.parameters.dose.engine {
        Engine::Local => local(placed, tia, masses, request),
        Engine::Kernel => convolve(placed, tia, masses, request),
        Engine::MonteCarlo => simulate(inputs, placed, tia, masses, request),
    }
}

fn local(
    placed: &Placed,
    tia: &VoxelTia,
    masses: &VoxelMass,
    request: &Request,
) -> Result<EngineDose, PipelineError> {
    // Everything but photons, with the daughters in equilibrium.
    let energy = request.plan.nuclide.decay()?.chain_energies.non_penetrating();
    let dose = deposit(&tia.bq_s, &masses.mass_g, energy, air_below_density())
        .map_err(|error| parked("absorbed dose", error))?;
    Ok(EngineDose {
        gy: dose.dose_gy,
        name: "local",
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
    let energies = request.plan.nuclide.decay()?.chain_energies;
    let kernel = PointKernel::of(&request.plan.nuclide).map_err(failed)?;
    let dose = kernel::dose(&kernel, &single(&tia.bq_s), Some(&density(masses))).map_err(failed)?;
    Ok(EngineDose {
        gy: dose.gy,
        name: "kernel",
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
) -> Result<EngineDose, PipelineError> {
    let failed = |error: monte_carlo::MonteCarloError| parked("Monte Carlo", error);
    let grid = tia.bq_s.grid();
    let (phantom, mut warnings) = match &placed.ct {
        Some((index, grid_to_ct)) => {
            let hu = interpolate(&inputs.cts[*index].hu, grid, grid_to_ct, AIR_HU);
            Phantom::from_ct(&hu, &density(masses)).map_err(failed)?
        }
        None => {
            let stated = GramPerMl::new(request.plan.parameters.dose.stated_density_g_per_ml.value);
            let tissue = MaterialLibrary::embedded().by_name("soft-tissue").ok_or_else(|| {
                PipelineError::Failed("no material is named soft-tissue in the tables".into())
            })?;
            (Phantom::uniform(grid.clone(), tissue, stated).map_err(failed)?, Vec::new())
        }
    };
    let spectrum = emission_spectrum(&request.plan.nuclide)?;
    let decays = single(&tia.bq_s);
    let source = Source { tia_bq_s: &decays, spectrum: &spectrum };
    // Regions that steer come first, so that the target is theirs alone.
    let steering: Vec<usize> = (0..placed.regions.len())
        .filter(|&n| {
            let region = &placed.regions[n];
            !region.is_remainder
                && region.occupancy[placed.reference].volume(grid).value() >= STEERING_ML
        })
        .collect();
    let regions: Vec<Occupancy> =
        steering.iter().map(|&n| placed.regions[n].occupancy[placed.reference].clone()).collect();
    let defaults = Settings::default();
    let settings = Settings {
        target_relative_error: defaults.target_relative_error.filter(|_| !regions.is_empty()),
        max_histories: HISTORIES_MAX,
        ..defaults
    };
    let dose = monte_carlo::run(&phantom, &source, &settings, &regions, &|_| Control::Continue)
        .map_err(failed)?;
    warnings.extend(dose.warnings);
    if dose.stopped_because != StopReason::TargetReached {
        warnings.push(Warning::new(
            "monte-carlo-stopped",
            format!("Monte Carlo ended after {} decays without a target reached", dose.histories),
        ));
    }
    let of_region = |n: usize| {
        if let Some(place) = steering.iter().position(|&s| s == n) {
            return Some(dose.regions[place].relative_error()).filter(|u| u.is_finite());
        }
        independent_error(
            &dose.gy,
            &dose.standard_error_gy,
            &placed.regions[n].occupancy[placed.reference],
        )
    };
    Ok(EngineDose {
        relative_uncertainty: (0..placed.regions.len()).map(of_region).collect(),
        gy: dose.gy,
        name: "monte-carlo",
        energy_per_decay_kev: dose.deposited_kev_per_decay + dose.escaped_kev_per_decay,
        histories: Some(dose.histories),
        warnings,
    })
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
