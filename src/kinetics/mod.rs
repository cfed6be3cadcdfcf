//! Time-activity curves to time-integrated activity.
//!
//! In: activities of one region at known times after administration, the nuclide's physical
//! constant and the method. Out: the fitted curve, its integral from administration to infinity,
//! uncertainty and warnings. Constants are EFFECTIVE (physical + biological) and never below the
//! physical one. Reference: MIRD pamphlets 16, 21; Glatting 2007 (AICc).

use crate::quantity::{Becquerel, BecquerelSecond, PerSecond, Seconds, Warning};

/// One measured point: `time` counts from the administration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    pub time: Seconds,
    pub activity: Becquerel,
    /// Relative standard uncertainty of the activity (k = 1), where known.
    pub relative_uncertainty: Option<f64>,
}

/// The curve of one region, ascending in time.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeActivityCurve {
    pub points: Vec<CurvePoint>,
    /// Physical decay constant of the nuclide.
    pub physical: PerSecond,
}

/// The curve as a formula: A(t) = Σ amplitude · exp(−rate · t), t from the administration.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Exponential {
    pub amplitude: Becquerel,
    pub rate: PerSecond,
}

/// A fitted curve and what follows from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// `mono-exponential`, `bi-exponential`, `single-time-point`, ...
    pub model: &'static str,
    pub terms: Vec<Exponential>,
    pub time_integrated_activity: BecquerelSecond,
    /// Relative standard uncertainty of the integral from the fit alone; `None` where the data cannot say.
    pub relative_uncertainty: Option<f64>,
    /// ln 2 / rate of the slowest term that matters for the tail.
    pub effective_half_life: Option<Seconds>,
    /// Part of the integral that lies after the last measured point.
    pub extrapolated_fraction: f64,
    /// Corrected Akaike criterion of every model that was tried, with its weight.
    pub candidates: Vec<Candidate>,
    pub warnings: Vec<Warning>,
}

/// One model in the selection.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Candidate {
    pub model: &'static str,
    pub aicc: f64,
    /// Akaike weight among the candidates, 0 to 1.
    pub weight: f64,
}
