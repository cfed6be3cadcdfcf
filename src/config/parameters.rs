//! What steers the pipeline for one course: a protocol's defaults with the plan's overrides.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The key of a map of half-lives that stands for every region not named.
pub const DEFAULT_REGION: &str = "default";

/// Everything that steers one computation; its JSON is part of a job's key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    pub imaging: Imaging,
    pub regions: Regions,
    pub kinetics: Kinetics,
    pub dose: Dose,
    pub biology: Biology,
    /// Constants recalled from the literature that no physicist of the site has confirmed
    /// (provenance M); every report lists them.
    pub unconfirmed: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imaging {
    /// Time points that make a cycle's imaging complete.
    pub time_points: u32,
    /// Time points without which nothing can be computed.
    pub at_least: u32,
    /// Compute provisionally after each time point from `at_least` on.
    pub provisional: bool,
    /// Images later than this after the administration do not belong to the cycle, h.
    pub window_h: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regions {
    /// Names of regions, first wins where they overlap in the voxel map; the rest follow by
    /// their number.
    pub order: Vec<String>,
    /// Does the remainder of the body get a curve and a dose?
    pub remainder: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KineticsMethod {
    /// The model with the smallest corrected Akaike criterion among those the data can carry.
    SelectByAicc,
    MonoExponential,
    BiExponential,
    /// One measured point and a stated effective half-life.
    SingleTimePoint,
    /// Physical decay alone after the measured point.
    PhysicalOnly,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kinetics {
    pub method: KineticsMethod,
    /// Relative standard uncertainty (k = 1) of a measured activity where none is known.
    pub relative_sigma: f64,
    /// Stated effective half-lives, h, by region; [`DEFAULT_REGION`] for those not named.
    pub effective_half_life_h: BTreeMap<String, f64>,
    /// Relative standard uncertainty (k = 1) of a stated half-life; absent: unknown.
    pub half_life_relative_uncertainty: Option<f64>,
}

impl Kinetics {
    /// The stated effective half-life of a region, h.
    pub fn half_life_h(&self, region: &str) -> Option<f64> {
        let stated = &self.effective_half_life_h;
        stated.get(region).or_else(|| stated.get(DEFAULT_REGION)).copied()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// All non-penetrating energy stays in its voxel.
    Local,
    /// Convolution with dose kernels.
    Kernel,
    /// Particle transport on the patient's CT.
    MonteCarlo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoseGrid {
    /// The grid of the reference time point's SPECT or PET.
    Emission,
    /// The frame of the CT at `spacing_mm`.
    Ct,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dose {
    pub engine: Engine,
    pub grid: DoseGrid,
    /// Voxel edge of a grid in the CT's frame, mm.
    pub spacing_mm: Option<f64>,
    /// Mass density where there is no CT, g/mL.
    pub stated_density_g_per_ml: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Biology {
    /// Is biologically effective dose reported?
    pub bed: bool,
    /// Overrides of the table of biological parameters, by region.
    pub bed_parameters: BTreeMap<String, BedParameters>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BedParameters {
    pub alpha_beta_gy: f64,
    pub repair_half_time_h: f64,
}

/// `settings:` of a plan; what is absent stays as the protocol has it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanSettings {
    pub imaging: ImagingSettings,
    pub regions: RegionSettings,
    pub kinetics: KineticsSettings,
    pub dose: DoseSettings,
    pub biology: BiologySettings,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImagingSettings {
    pub time_points: Option<u32>,
    pub provisional: Option<bool>,
    pub window_h: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegionSettings {
    pub order: Option<Vec<String>>,
    pub remainder: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KineticsSettings {
    pub method: Option<KineticsMethod>,
    pub relative_sigma: Option<f64>,
    pub effective_half_life_h: BTreeMap<String, f64>,
    pub half_life_relative_uncertainty: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DoseSettings {
    pub engine: Option<Engine>,
    pub grid: Option<DoseGrid>,
    pub spacing_mm: Option<f64>,
    pub stated_density_g_per_ml: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BiologySettings {
    pub bed: Option<bool>,
    pub bed_parameters: BTreeMap<String, BedParameters>,
}

impl Parameters {
    /// These parameters with a plan's overrides.
    pub fn with(&self, settings: &PlanSettings) -> Self {
        let mut out = self.clone();
        let PlanSettings { imaging, regions, kinetics, dose, biology } = settings;
        replace(&mut out.imaging.time_points, imaging.time_points);
        replace(&mut out.imaging.provisional, imaging.provisional);
        replace(&mut out.imaging.window_h, imaging.window_h);
        out.imaging.at_least = out.imaging.at_least.min(out.imaging.time_points);
        replace(&mut out.regions.order, regions.order.clone());
        replace(&mut out.regions.remainder, regions.remainder);
        replace(&mut out.kinetics.method, kinetics.method);
        replace(&mut out.kinetics.relative_sigma, kinetics.relative_sigma);
        out.kinetics.effective_half_life_h.extend(kinetics.effective_half_life_h.clone());
        if kinetics.half_life_relative_uncertainty.is_some() {
            out.kinetics.half_life_relative_uncertainty = kinetics.half_life_relative_uncertainty;
        }
        replace(&mut out.dose.engine, dose.engine);
        replace(&mut out.dose.grid, dose.grid);
        out.dose.spacing_mm = dose.spacing_mm.or(out.dose.spacing_mm);
        replace(&mut out.dose.stated_density_g_per_ml, dose.stated_density_g_per_ml);
        replace(&mut out.biology.bed, biology.bed);
        out.biology.bed_parameters.extend(biology.bed_parameters.clone());
        // A value that the plan states is confirmed by whoever signs the plan.
        let stated = [
            ("imaging.time_points", imaging.time_points.is_some()),
            ("kinetics.relative_sigma", kinetics.relative_sigma.is_some()),
            ("dose.stated_density_g_per_ml", dose.stated_density_g_per_ml.is_some()),
        ];
        out.unconfirmed.retain(|key| !stated.iter().any(|(name, given)| *given && name == key));
        out
    }
}

fn replace<T>(value: &mut T, with: Option<T>) {
    if let Some(with) = with {
        *value = with;
    }
}

impl PlanSettings {
    /// What cannot be: the path of the key below `settings`, and what to write instead.
    pub fn faults(&self) -> Vec<(Vec<String>, String)> {
        let half_lives = self.kinetics.effective_half_life_h.iter().map(|(region, hours)| {
            (vec!["kinetics", "effective_half_life_h", region.as_str()], Some(*hours), 0.01, 1e5)
        });
        let bed = self.biology.bed_parameters.iter().flat_map(|(region, bed)| {
            let path = |key| vec!["biology", "bed_parameters", region.as_str(), key];
            [
                (path("alpha_beta_gy"), Some(bed.alpha_beta_gy), 0.1, 100.0),
                (path("repair_half_time_h"), Some(bed.repair_half_time_h), 0.01, 100.0),
            ]
        });
        let plain = [
            (
                vec!["imaging", "time_points"],
                self.imaging.time_points.map(f64::from),
                1.0,
                f64::from(TIME_POINTS_MAX),
            ),
            (vec!["imaging", "window_h"], self.imaging.window_h, 1.0, 1e4),
            (vec!["kinetics", "relative_sigma"], self.kinetics.relative_sigma, 0.001, 1.0),
            (
                vec!["kinetics", "half_life_relative_uncertainty"],
                self.kinetics.half_life_relative_uncertainty,
                0.0,
                1.0,
            ),
            (vec!["dose", "spacing_mm"], self.dose.spacing_mm, 0.5, 20.0),
            (vec!["dose", "stated_density_g_per_ml"], self.dose.stated_density_g_per_ml, 0.1, 3.0),
        ];
        plain
            .into_iter()
            .chain(half_lives)
            .chain(bed)
            .filter_map(|(path, value, low, high)| {
                let value = value?;
                let path = path.into_iter().map(str::to_owned).collect();
                (!(low..=high).contains(&value))
                    .then(|| (path, format!("{value} is out of range; write {low} to {high}")))
            })
            .collect()
    }
}

/// More time points than any protocol images.
pub const TIME_POINTS_MAX: u32 = 20;
