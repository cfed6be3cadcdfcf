//! Rules of courses over several cycles.

use crate::config::protocol::Sourced;
use crate::prescribe::Clock;
use serde::{Deserialize, Serialize};

/// A fixed activity (or one by weight) a cycle, until a limit or the last cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    pub activity_gbq: Option<Sourced<f64>>,
    pub activity_mbq_per_kg: Option<Sourced<f64>>,
    /// Instead of the above where platelets lie below a bound.
    pub low_platelets: Option<LowPlatelets>,
    pub cap_gbq: Option<Sourced<f64>>,
    /// The most cycles.
    pub cycles: Sourced<u32>,
    /// Cycles after those, at another activity.
    pub then: Option<PhaseFile>,
    pub clock: Clock,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LowPlatelets {
    pub below_giga_l: Sourced<f64>,
    pub activity_mbq_per_kg: Sourced<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseFile {
    pub activity_gbq: Sourced<f64>,
    pub cycles: Sourced<u32>,
}

/// A fixed number of cycles, the rest of every limit spread over those left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedNumber {
    pub cycles: Sourced<u32>,
    pub first: First,
    pub cap_gbq: Option<Sourced<f64>>,
    /// At most this times the activity before.
    pub relative_cap: Option<Sourced<f64>>,
    /// Less is not worth a cycle.
    pub least_gbq: Sourced<f64>,
    /// What the trial's control arm gives in each cycle: reported beside.
    pub fixed_regime_gbq: Option<Sourced<f64>>,
    pub sink: Option<Sink>,
}

/// The first cycle, before anything was measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct First {
    pub activity_gbq: Option<Sourced<f64>>,
    /// Dose wanted of the first cycle in the tissue `limits` calls so.
    pub target_gy: Option<Sourced<f64>>,
    /// The site's coefficients; without them such a first cycle is refused.
    pub regression: Option<Sourced<RegressionFile>>,
}

/// d = exp(intercept + per_egfr eGFR + per_bsa BSA), Gy/GBq.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegressionFile {
    pub intercept: f64,
    pub per_egfr: f64,
    pub per_bsa: f64,
}

/// Organs get more once tumours take up less.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    pub shrinking: Sourced<f64>,
    pub margin: Sourced<f64>,
}
