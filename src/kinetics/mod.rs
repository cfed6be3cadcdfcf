//! Time-activity curves to time-integrated activity.
//!
//! In: activities of one region at known times after administration, the nuclide's physical
//! constant and the method. Out: the fitted curve, its integral from administration to infinity,
//! uncertainty and warnings. Constants are EFFECTIVE (physical + biological) and never below the
//! physical one. Reference: MIRD pamphlets 16, 21; Glatting 2007 (AICc).
//!
//! The error of an activity is relative (multiplicative), so all models are fitted to ln A by
//! weighted least squares: a mono-exponential is then a straight line with a closed solution.
//! Every amplitude but that of an uptake phase is positive by construction.

mod bias;
mod carried;
mod constants;
mod covariance;
mod error;
mod library;
mod line;
mod phases;
mod selection;
mod shape;
mod solution;
mod spectral;
mod transfer;
mod trapezoid;
mod voxelwise;

pub use bias::Bias;
pub use carried::{HalfLifeOrigin, published_uncertainty};
pub use constants::{CONSTANTS, Constants};
pub use covariance::{Covariance, ParameterChecks};
pub use error::KineticsError;
pub use library::{CurveLibrary, LibraryTerm};
pub use selection::{aicc, akaike_weights};
pub use voxelwise::{Frame, VoxelFits, fit_voxels};

use crate::quantity::{Becquerel, BecquerelSecond, PerSecond, Seconds, Warning};
use solution::{Data, Solution};

/// Model of a fit whose shape and scale come from different images.
pub const HYBRID: &str = "hybrid";

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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fit {
    /// `mono-exponential`, `bi-exponential`, `single-time-point`, ...
    pub model: &'static str,
    /// Slowest first; empty for a method without a formula (trapezoid).
    pub terms: Vec<Exponential>,
    pub time_integrated_activity: BecquerelSecond,
    /// Relative standard uncertainty of the integral from the fit alone; `None` where the data cannot say.
    pub relative_uncertainty: Option<f64>,
    /// ln 2 / rate of the slowest term that matters for the tail.
    pub effective_half_life: Option<Seconds>,
    /// Part of the integral that lies before the first measured point.
    pub interpolated_fraction: f64,
    /// Part of the integral that lies after the last measured point.
    pub extrapolated_fraction: f64,
    /// First and last measured point, from the administration.
    pub measured: [Seconds; 2],
    /// Of the terms; `None` for methods without fitted terms and where the data cannot say.
    pub covariance: Option<Covariance>,
    /// Are the fitted parameters known, each and apart?
    pub checks: Option<ParameterChecks>,
    /// What the method itself may be off by, where it rests on an assumption of known effect.
    pub bias: Option<Bias>,
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

/// What a trapezoid takes from the administration to the first point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrapezoidStart {
    /// The first point's activity all the while.
    Constant,
    /// A straight rise from nothing.
    FromZero,
}

/// How a trapezoid goes on after the last point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrapezoidTail {
    /// Physical decay alone: not too low.
    Physical,
    /// The rate between the last two points, not below the physical one.
    LastTwo,
}

/// How a curve becomes an integral.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method<'a> {
    /// a·exp(−λt), two points or more.
    MonoExponential,
    /// Two phases, four points or more: two clearances or, where it fits better, uptake and
    /// clearance from nothing at time 0. Where no second phase shows, the one phase that does.
    BiExponential,
    /// As `BiExponential` without uptake: no amplitude below 0.
    TwoClearances,
    /// Three clearances, six points or more; where no third phase shows, as `BiExponential`.
    TriExponential,
    /// a(e^(−λt) − e^(−λᵤt)), three points or more: nothing at time 0.
    UptakeClearance,
    /// The lowest corrected Akaike criterion among physical decay, mono-exponential,
    /// uptake-clearance, bi- and tri-exponential, each where the number of points defines it;
    /// mono-exponential below five.
    SelectByAicc,
    /// Amplitude from the points, effective half-life from the plan, an earlier cycle or a
    /// population (Madsen 2018): one point is enough.
    SingleTimePoint {
        effective_half_life: Seconds,
        /// Relative standard uncertainty of that half-life, where stated.
        relative_uncertainty: Option<f64>,
    },
    /// One point, integral = A(t) · 2t / ln 2: exact for a half-life equal to t or to t/2, −12 % to
    /// +6 % for half-lives from t/2.5 to t/0.75 (Hänscheid 2018).
    TwoTimes,
    /// No biological clearance.
    PhysicalOnly,
    /// No model between the points.
    Trapezoid { start: TrapezoidStart, tail: TrapezoidTail },
    /// Many decays at fixed rates, amplitudes of 0 or more; four points or more.
    Spectral,
    /// One point, and the curves of other patients through it (Jackson 2020).
    Library(&'a CurveLibrary),
}

/// Fits the curve and integrates it from the administration to infinity.
///
/// # Errors
/// Whatever makes the curve meaningless (see [`KineticsError`]). A fitted rate below the physical
/// constant is no error: the physical constant takes its place and a warning says so.
pub fn fit(curve: &TimeActivityCurve, method: Method<'_>) -> Result<Fit, KineticsError> {
    let data = Data::new(curve)?;
    let (solution, candidates) = match method {
        Method::MonoExponential => alone(&data, line::mono_exponential(&data)?),
        Method::BiExponential => alone(&data, phases::two_phases(&data)?),
        Method::TwoClearances => alone(&data, phases::two_clearances(&data)?),
        Method::SelectByAicc => selection::select(&data)?,
        Method::SingleTimePoint { effective_half_life, relative_uncertainty } => {
            (line::stated_half_life(&data, effective_half_life, relative_uncertainty)?, Vec::new())
        }
        Method::TwoTimes => (line::two_times(&data)?, Vec::new()),
        Method::PhysicalOnly => alone(&data, line::physical_decay(&data)),
        Method::TriExponential => alone(&data, phases::three_phases(&data)?),
        Method::UptakeClearance => alone(&data, phases::uptake_or_one_phase(&data)?),
        Method::Trapezoid { start, tail } => {
            (trapezoid::trapezoid(&data, start, tail)?, Vec::new())
        }
        Method::Spectral => (spectral::spectral(&data)?, Vec::new()),
        Method::Library(library) => (library::from_library(&data, library)?, Vec::new()),
    };
    Ok(solution.into_fit(&data, candidates))
}

/// The only model tried, with its criterion where the number of points defines one.
fn alone(data: &Data, solution: Solution) -> (Solution, Vec<Candidate>) {
    let candidates = solution
        .aicc(data)
        .map(|aicc| Candidate { model: solution.model, aicc, weight: 1.0 })
        .into_iter()
        .collect();
    (solution, candidates)
}

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod tests;
