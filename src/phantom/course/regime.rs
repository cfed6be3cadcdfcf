//! `config/phantom_courses.yaml`: how the digital patient goes through each protocol.

use crate::phantom::{Body, PhantomError, SpectStorage, Views};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// One entry of the file, which explains the keys.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Regime {
    pub cycles: usize,
    pub first_gbq: Option<f64>,
    #[serde(default)]
    pub weeks: i64,
    pub hours: Vec<Vec<f64>>,
    #[serde(default)]
    pub views: Views,
    pub spect_h: Option<f64>,
    pub storage: Option<SpectStorage>,
    #[serde(default)]
    pub body: Body,
    #[serde(default)]
    pub kinetics: Vec<BTreeMap<String, [f64; 2]>>,
    #[serde(default)]
    pub uptake: Vec<f64>,
    #[serde(default)]
    pub retained: bool,
    pub therapy: Option<String>,
    #[serde(default)]
    pub tracers: Vec<Tracer>,
    #[serde(default)]
    pub facts: BTreeMap<String, Value>,
    #[serde(default)]
    pub measured: BTreeMap<String, Value>,
    #[serde(default)]
    pub measured_gy_per_gbq: BTreeMap<String, f64>,
    #[serde(default)]
    pub half_lives_stated: bool,
}

/// What is given and imaged in a cycle in place of the therapy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tracer {
    pub radiopharmaceutical: String,
    pub stands_for: Option<String>,
}

impl Regime {
    /// Of the numbered cycle, from 0; the last one listed stands for those after it.
    pub fn of_cycle<T>(listed: &[T], cycle: usize) -> Option<&T> {
        listed.get(cycle).or(listed.last())
    }
}

pub(super) fn all() -> Result<BTreeMap<String, Regime>, PhantomError> {
    serde_saphyr::from_str(include_str!("../../../config/phantom_courses.yaml"))
        .map_err(|e| PhantomError::Description(e.to_string()))
}
