//! Rules of 90Y microspheres.

use crate::config::protocol::Sourced;
use serde::{Deserialize, Serialize};

/// Glass, by compartments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Glass {
    pub gy_kg_per_gbq: Sourced<f64>,
    pub tumour_target_gy: Sourced<f64>,
    pub tumour_least_gy: Sourced<f64>,
    pub normal_liver_gy: Sourced<f64>,
    pub lungs_gy: Sourced<f64>,
    pub lung_mass_g: Sourced<f64>,
    pub residual: Sourced<f64>,
    pub standard_gy: Sourced<f64>,
    /// Least part of the liver that is not perfused.
    pub hepatic_reserve: Sourced<f64>,
    pub vials: Vials,
}

/// What can be ordered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vials {
    pub sizes_gbq: Sourced<Vec<f64>>,
    pub tolerance: Sourced<f64>,
    pub shelf_life_h: Sourced<f64>,
    pub half_life_h: Sourced<f64>,
}

/// Resin, by body surface area.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResinBsa {
    /// Factor, power of height in m, power of weight in kg.
    pub surface: Sourced<[f64; 3]>,
    pub less_m2: Sourced<f64>,
    /// (lung shunt from which it holds, factor), ascending.
    pub reductions: Sourced<Vec<(f64, f64)>>,
    pub none_from: Sourced<f64>,
}

/// Resin, by partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResinPartition {
    pub gy_kg_per_gbq: Sourced<f64>,
    pub normal_liver_gy: Sourced<f64>,
    pub lungs_gy: Sourced<f64>,
    pub lung_mass_g: Sourced<f64>,
    pub none_from: Sourced<f64>,
}
