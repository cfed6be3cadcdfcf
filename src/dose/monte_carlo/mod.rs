//! Absorbed dose by Monte Carlo on the patient's own matter.
//!
//! Photons fly by Woodcock's method and score kerma by track length; electrons and positrons are
//! class II condensed histories with a random hinge; alphas and recoils stay where they are born.
//! One history is one decay. Histories are numbered and counter-based random numbers belong to
//! the number, batches are fixed and summed in order: the same bits for any number of threads.
//! Method, sources and measured errors: `docs/methods/monte-carlo.md`.
//!
//! Not modelled: annihilation in flight, fluorescence, differences of brems and deflection between
//! electrons and positrons, anything outside the grid (vacuum).

mod batches;
mod electron;
mod geometry;
mod phantom;
mod philox;
mod photon;
mod source;
mod spectrum;
mod tables;

pub use phantom::Phantom;
pub use source::Source;
pub use spectrum::{Continuum, EmissionSpectrum, Line, ParticleSpectrum};

use crate::dose::atomic::{ELECTRON_REST_KEV, HIGHEST_KEV, LOWEST_KEV};
use crate::quantity::Warning;
use crate::volume::{Grid, Occupancy, Volume};
use ndarray::Array3;

/// Two grids whose corners are nearer than this are one grid.
const GRID_TOLERANCE_MM: f64 = 0.01;
const PERCENT: f64 = 100.0;
/// Smallest voxel of the standard accuracy: the range of the 500 keV electrons it takes as kerma.
const STANDARD_VOXEL_MM: f64 = 1.8;
/// Most voxels of a phantom: the tallies of 512³ voxels take 3 GB.
const MOST_VOXELS: usize = 1 << 27;
/// Most decays of a voxel, Bq s: a terabecquerel for eleven days. Keeps every dose finite.
const MOST_BQ_S: f32 = 1e18;
/// Below this density (g/ml, a fifth of inflated lung's lowest) a voxel holds air. What does not
/// travel in tissue does travel there (an alpha of 6 MeV flies 5 cm), so such energy is not
/// deposited in the voxel's few milligrams: it counts as escaped, and a warning says so.
const AIR_DENSITY_G_PER_ML: f64 = 0.02;

/// Why a run cannot be done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MonteCarloError {
    #[error("the grids of {0} differ; resample them to one grid first")]
    GridsDiffer(&'static str),
    #[error(
        "voxel {voxel} has a density of {density_g_per_ml} g/ml; tissue lies between 0.0001 and 20"
    )]
    Density { voxel: usize, density_g_per_ml: f32 },
    #[error("voxel {voxel} of the CT is no number; does the CT cover the dose grid?")]
    CtNumber { voxel: usize },
    #[error("voxel {voxel} of the time-integrated activity is {bq_s} Bq s; it must be 0 to 1e18")]
    Activity { voxel: usize, bq_s: f32 },
    #[error("there is no activity in the grid")]
    NoActivity,
    #[error("the emission spectrum is not possible: {0}")]
    Spectrum(String),
    #[error("setting {name} is {value}; {expected}")]
    Setting { name: &'static str, value: f64, expected: &'static str },
    #[error("{0} voxels are more than this engine takes (2^27); use a coarser grid")]
    TooManyVoxels(usize),
    #[error("a target error needs a region to hold for; give regions, or only max_histories")]
    TargetWithoutRegion,
    #[error("region {region} reaches voxel {voxel}, but the grid has {voxels}")]
    Region { region: usize, voxel: usize, voxels: usize },
    #[error("region {0} is empty; leave it out or draw it on the dose grid")]
    EmptyRegion(usize),
    #[error("the run was cancelled")]
    Cancelled,
}

/// How closely electrons are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accuracy {
    /// Voxels of 1.8 mm and more: electrons to 15 keV (a lower cutoff costs nothing beside range
    /// rejection), single collisions above 50 keV, secondaries of photons below 500 keV as kerma.
    #[default]
    Standard,
    /// Kernels and checks: electrons and secondaries to 10 keV, shorter steps.
    Reference,
}

/// Thresholds and step length of a run, keV.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Physics {
    /// Electrons stop here.
    electron_cutoff_kev: f64,
    /// Collisions with electrons are made singly above this transfer.
    hard_collision_kev: f64,
    /// Bremsstrahlung is followed above this energy.
    hard_photon_kev: f64,
    /// Photons are deposited below.
    photon_cutoff_kev: f64,
    /// Electrons that photons set free are followed from this energy, below they are kerma.
    secondary_electron_kev: f64,
    /// Scattering strength K = ∫ G₁ ds of one condensed step.
    step_strength: f64,
}

impl Accuracy {
    fn physics(self) -> Physics {
        match self {
            Self::Standard => Physics {
                electron_cutoff_kev: 15.0,
                hard_collision_kev: 50.0,
                hard_photon_kev: 50.0,
                photon_cutoff_kev: LOWEST_KEV,
                secondary_electron_kev: 500.0,
                step_strength: 0.15,
            },
            Self::Reference => Physics {
                electron_cutoff_kev: LOWEST_KEV,
                hard_collision_kev: LOWEST_KEV,
                hard_photon_kev: LOWEST_KEV,
                photon_cutoff_kev: LOWEST_KEV,
                secondary_electron_kev: LOWEST_KEV,
                step_strength: 0.05,
            },
        }
    }
}

/// How far a result's simulation goes where nobody says (`config/dose.yaml`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DefaultLimits {
    /// Of every steering region's mean dose, k = 1.
    pub relative_uncertainty: f64,
    pub max_histories: f64,
    /// Regions from this volume on steer.
    pub steering_volume_ml: f64,
}

/// See [`DefaultLimits`].
pub fn default_limits() -> DefaultLimits {
    let constants = &*super::constants::CONSTANTS;
    DefaultLimits {
        relative_uncertainty: constants.monte_carlo_relative_uncertainty.value,
        max_histories: constants.monte_carlo_max_histories.value,
        steering_volume_ml: constants.monte_carlo_steering_volume.value,
    }
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    pub accuracy: Accuracy,
    /// Seed of the random numbers: same seed, same bits.
    pub seed: u64,
    /// Stop when the relative standard error of the mean dose of every region is below this
    /// (0.01 = 1 %); `None` runs to `max_histories`.
    pub target_relative_error: Option<f64>,
    /// Never more decays than this, rounded up to whole batches.
    pub max_histories: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            accuracy: Accuracy::Standard,
            seed: 1,
            target_relative_error: Some(0.01),
            max_histories: 2_000_000_000,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), MonteCarloError> {
        if let Some(value) = self.target_relative_error
            && !(value.is_finite() && value > 0.0 && value < 1.0)
        {
            let expected = "it must lie between 0 and 1";
            return Err(MonteCarloError::Setting {
                name: "target_relative_error",
                value,
                expected,
            });
        }
        if self.max_histories == 0 {
            let expected = "at least one history is needed";
            return Err(MonteCarloError::Setting { name: "max_histories", value: 0.0, expected });
        }
        Ok(())
    }
}

/// How far a run has come, after every few batches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    pub histories: u64,
    pub max_histories: u64,
    /// Largest relative standard error of a region's mean dose; `None` until it can be told.
    pub worst_region_error: Option<f64>,
}

/// What the caller wants next; it holds the clock, the engine has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    Continue,
    /// Time is up: give back what there is.
    Finish,
    /// Give up: [`MonteCarloError::Cancelled`].
    Cancel,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    TargetReached,
    HistoryLimit,
    /// The caller said [`Control::Finish`], for instance at the end of a time budget.
    CallerFinished,
}

/// A region's mean dose (energy over mass) with the uncertainty that its voxels' correlations give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegionDose {
    pub mean_gy: f64,
    pub standard_error_gy: f64,
}

impl RegionDose {
    /// Standard error over mean; infinite where no dose was seen yet.
    pub fn relative_error(&self) -> f64 {
        if self.mean_gy > 0.0 { self.standard_error_gy / self.mean_gy } else { f64::INFINITY }
    }
}

/// Dose and its statistical uncertainty (k = 1).
#[derive(Debug, Clone, PartialEq)]
pub struct Dose {
    pub gy: Volume<f32>,
    pub standard_error_gy: Volume<f32>,
    /// In the order of the regions given.
    pub regions: Vec<RegionDose>,
    /// Decays simulated.
    pub histories: u64,
    pub stopped_because: StopReason,
    /// Mean energy per decay that left the grid, keV.
    pub escaped_kev_per_decay: f64,
    /// Mean energy per decay that stayed, keV.
    pub deposited_kev_per_decay: f64,
    pub warnings: Vec<Warning>,
}

/// Simulates the decays of `source` in `phantom`.
///
/// `regions` are occupancies on the phantom's grid; the run stops when all reach the target.
/// `progress` is called every few batches on the calling thread.
///
/// # Errors
/// See [`MonteCarloError`]; nothing impossible is computed with.
pub fn run(
    phantom: &Phantom,
    source: &Source<'_>,
    settings: &Settings,
    regions: &[Occupancy],
    progress: &dyn Fn(Progress) -> Control,
) -> Result<Dose, MonteCarloError> {
    settings.check()?;
    check_regions(phantom.grid(), regions)?;
    if regions.is_empty() && settings.target_relative_error.is_some() {
        return Err(MonteCarloError::TargetWithoutRegion);
    }
    let physics = settings.accuracy.physics();
    let emitter = source::Emitter::new(phantom.grid(), source, &physics)?;
    let highest = emitter.highest_kev().clamp(ELECTRON_REST_KEV, HIGHEST_KEV);
    let tables =
        tables::Tables::new(phantom.materials(), &phantom.highest_densities(), highest, &physics);
    let simulation = batches::Simulation::new(phantom, &tables, &physics, &emitter, settings);
    let outcome = simulation.run(regions, progress)?;
    Ok(to_dose(phantom, settings, outcome))
}

fn check_regions(grid: &Grid, regions: &[Occupancy]) -> Result<(), MonteCarloError> {
    for (region, occupancy) in regions.iter().enumerate() {
        if occupancy.is_empty() {
            return Err(MonteCarloError::EmptyRegion(region));
        }
        if let Some((voxel, _)) = occupancy.iter().find(|&(voxel, _)| voxel >= grid.len()) {
            return Err(MonteCarloError::Region { region, voxel, voxels: grid.len() });
        }
    }
    Ok(())
}

fn warnings(grid: &Grid, settings: &Settings, outcome: &batches::Outcome) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let smallest = grid.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
    if settings.accuracy == Accuracy::Standard && smallest < STANDARD_VOXEL_MM {
        let text = format!(
            "voxels of {smallest:.2} mm are smaller than the {STANDARD_VOXEL_MM} mm that kerma by \
             photons is good for; use the reference accuracy where photons matter"
        );
        warnings.push(Warning::new("monte-carlo-small-voxels", text));
    }
    if outcome.share_in_air > 0.0 {
        let text = format!(
            "{:.3} % of the decays lie in voxels of air (below {AIR_DENSITY_G_PER_ML} g/ml); \
             energy that tissue would absorb on the spot ({:.3} keV per decay) was left out there",
            PERCENT * outcome.share_in_air,
            outcome.left_out_in_air_kev
        );
        warnings.push(Warning::new("monte-carlo-activity-in-air", text));
    }
    if let Some(target) = settings.target_relative_error
        && outcome.stopped_because != StopReason::TargetReached
    {
        let missed: Vec<String> = outcome
            .regions
            .iter()
            .enumerate()
            .filter(|(_, region)| region.relative_error() > target)
            .map(|(n, region)| format!("{n} ({:.2} %)", PERCENT * region.relative_error()))
            .collect();
        if !missed.is_empty() {
            let text = format!(
                "the Monte Carlo run ended before the standard error of {} % was reached in \
                 regions {}",
                PERCENT * target,
                missed.join(", ")
            );
            warnings.push(Warning::new("monte-carlo-target-missed", text));
        }
    }
    warnings
}

fn to_dose(phantom: &Phantom, settings: &Settings, outcome: batches::Outcome) -> Dose {
    let grid = phantom.grid().clone();
    let volume = |values: Vec<f32>| {
        let array = Array3::from_shape_vec(grid.dim(), values).expect("one value per voxel");
        Volume::new(grid.clone(), array)
    };
    let warnings = warnings(&grid, settings, &outcome);
    Dose {
        gy: volume(outcome.gy),
        standard_error_gy: volume(outcome.standard_error_gy),
        regions: outcome.regions,
        histories: outcome.histories,
        stopped_because: outcome.stopped_because,
        escaped_kev_per_decay: outcome.escaped_kev_per_decay,
        deposited_kev_per_decay: outcome.deposited_kev_per_decay,
        warnings,
    }
}
