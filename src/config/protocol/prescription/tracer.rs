//! Rules of a therapy planned with a tracer, and of several agents.

use crate::config::protocol::Sourced;
use crate::prescribe::Objective;
use serde::{Deserialize, Serialize};

/// A value of men and of women.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SexPair<T> {
    pub male: T,
    pub female: T,
}

/// 131I-tositumomab: whole-body dose by residence time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeBody {
    pub reference_gy: Sourced<f64>,
    /// By platelets, the highest bound first.
    pub targets: Vec<PlateletTarget>,
    /// The first count comes before voiding: no later than this, h.
    pub first_count_h_most: Sourced<f64>,
    pub residence_h_least: Sourced<f64>,
    pub residence_h_most: Sourced<f64>,
    pub electron_kev: Sourced<f64>,
    pub photon_kev: Sourced<f64>,
    pub photon_absorbed_fraction: Sourced<f64>,
    pub reference_mass_kg: Sourced<f64>,
    pub effective_mass: EffectiveMass,
    pub expected_gbq: Sourced<[f64; 2]>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlateletTarget {
    pub platelets_giga_l_from: Sourced<f64>,
    pub target_gy: Sourced<f64>,
}

/// The cap on body mass in obesity: factor × (at 152 cm + per cm above), kg.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectiveMass {
    pub factor: Sourced<f64>,
    pub lean_at_152_cm: SexPair<Sourced<f64>>,
    pub lean_per_cm: SexPair<Sourced<f64>>,
}

/// 90Y-ibritumomab: an organ's dose by another nuclide's biology.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surrogate {
    /// As the table of S values calls it.
    pub organ: String,
    pub target_gy: Sourced<f64>,
    /// Result expected within, MBq/(kg·Gy).
    pub expected_mbq_per_kg_gy: Sourced<[f64; 2]>,
}

/// 153Sm-EDTMP: marrow dose by retention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurfaceSeeker {
    pub marrow_gy: Sourced<f64>,
    pub half_life_h: Sourced<f64>,
    pub electron_kev: Sourced<f64>,
    pub trabecular: Sourced<f64>,
    pub absorbed_fraction: Sourced<f64>,
    pub marrow_mass_g: Sourced<f64>,
    /// Part of `standard_mbq_per_kg` the result is expected within.
    pub expected_part: Sourced<[f64; 2]>,
    pub standard_mbq_per_kg: Sourced<f64>,
}

/// 131I-MIBG: a total by weight, reduced for organs; limits are in `limits`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReducedTotal {
    pub heavy_from_kg: Sourced<f64>,
    pub heavy_gbq_per_cycle: Sourced<f64>,
    pub light_mbq_per_kg: Sourced<f64>,
    pub cycles: Sourced<u32>,
    /// Marrow dose above which a person should know.
    pub marrow_flag_gy: Sourced<f64>,
}

/// 90Y-DOTATOC and 131I-MIBG; limits are in `limits`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoAgents {
    pub first: String,
    pub second: String,
    pub objective: Objective,
    pub cycles: Sourced<u32>,
}

/// 131I in thyroid cancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thyroid {
    pub blood_gy: Sourced<f64>,
    pub beta_gy_per_gbq_h_ml: Sourced<f64>,
    pub gamma_gy_per_gbq_h_kg23: Sourced<f64>,
    pub blood_fraction: Sourced<f64>,
    /// mL: per cm, per kg, offset.
    pub blood_volume_offset: SexPair<Sourced<[f64; 3]>>,
    pub at_48_h_gbq: Sourced<f64>,
    pub at_48_h_lungs_gbq: Sourced<f64>,
    pub lesions: Option<LesionNeed>,
}

/// What lesions need, Gy; energy of electrons, g·mGy/(MBq·h).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LesionNeed {
    pub soft_tissue_gy: Sourced<f64>,
    pub bone_gy: Sourced<f64>,
    pub half_life_h: Sourced<f64>,
    pub delta_g_mgy_per_mbq_h: Sourced<f64>,
}
