//! The chain, one stage a line: the only place where stages meet.
//!
//! In: one cycle's instances on disk, the plan and the site's calibrations. Out: one typed result and its
//! objects in a folder. The order of the instances does not matter; every refusal says what to supply.

mod activity;
mod administered;
mod alignment;
mod bed;
pub mod calibration;
pub mod course;
mod ct_grid;
mod curves;
mod derived;
mod drawn;
mod effect;
mod engine;
mod error;
mod inputs;
mod placement;
mod planar;
mod result;
mod space;
mod therapy;
mod tissue;
mod views;
mod voxels;

pub use error::PipelineError;

use crate::config::{CameraSettings, Plan};
use crate::dicom::Uid;
use crate::quantity::Warning;
use crate::quantity::nuclide::Nuclide;
use crate::report::{self, Completeness, CycleResult, ReportOptions, TimePoint, Written};
use inputs::Inputs;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};

/// What one run is asked to do.
#[derive(Debug, Clone)]
pub struct Request {
    pub plan: Plan,
    /// Version of the plan's protocol, for the report.
    pub protocol_version: String,
    pub cycle: u32,
    pub completeness: Completeness,
    /// SR that this result supersedes, where it is a revision.
    pub predecessor: Option<Uid>,
    /// Part 10 files of the cycle, in any order: emission images, CT, regions, registrations,
    /// value maps.
    pub inputs: Vec<PathBuf>,
    /// Doses of the course's other cycles that were computed before, for the ledger.
    pub earlier: Vec<course::CycleDoses>,
    /// What intake has to say about how the inputs were chosen.
    pub notes: Vec<Warning>,
    /// Results of cycles before that were signed, for the report.
    pub signed_results: Vec<report::SignedResult>,
    pub cameras: Vec<CameraSettings>,
    /// Zone of dates and times that have no offset of their own.
    pub zone: TimeZone,
    pub report: ReportOptions,
    /// When the computation is made: goes into dates of the objects, into no number.
    pub computed_at: Timestamp,
}

impl Request {
    /// What was given in the cycle.
    pub fn nuclide(&self) -> &Nuclide {
        self.plan.nuclide_of(self.cycle)
    }
}

/// What a run left behind.
#[derive(Debug)]
pub struct Outcome {
    pub result: report::CycleResult,
    pub written: Vec<Written>,
}

/// How far a run is: 0 to 1, and what it does now.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Progress {
    pub done: f64,
    pub stage: &'static str,
}

/// From the images to the dose of every voxel.
fn of_voxels(
    inputs: &mut Inputs,
    request: &Request,
    at: &dyn Fn(f64, &'static str),
) -> Result<CycleResult, PipelineError> {
    at(0.2, "registering");
    inputs.alignments = alignment::align(inputs, request)?;
    at(0.25, "unmixing planar views");
    planar::unmix_scans(inputs, request)?;
    at(0.3, "quantifying");
    let images = activity::quantify(inputs, request)?;
    at(0.4, "placing regions");
    let placed = placement::place(inputs, &images, request)?;
    at(0.6, "fitting curves");
    let curves = curves::fit(inputs, &images, &placed, request)?;
    at(0.7, "integrating voxels");
    let tia = voxels::time_integrated_activity(inputs, &images, &placed, &curves, request)?;
    let masses = voxels::masses(inputs, &placed, &tia, request)?;
    at(0.75, "depositing energy");
    let simulating = |part: f64| at(0.75 + 0.15 * part, "simulating decays");
    let dose = engine::absorbed_dose(inputs, &placed, &tia, &masses, request, &simulating)?;
    let voxels = result::Voxels { tia, masses, dose };
    result::assemble(request, inputs, &images, &placed, &curves, voxels)
}

/// Runs the whole chain and writes the result's objects and `results.json` below `output`.
///
/// # Errors
/// [`PipelineError::Parked`] when a person must supply something; [`PipelineError::Failed`] when
/// the machine failed.
pub fn compute(
    request: &Request,
    output: &Path,
    progress: &dyn Fn(Progress),
) -> Result<Outcome, PipelineError> {
    let at = |done, stage| progress(Progress { done, stage });
    at(0.0, "reading");
    let mut inputs = inputs::read(&request.inputs, &request.zone)?;
    let mut result = if views::are_alone(&inputs) {
        at(0.3, "measuring planar views");
        views::result(&inputs, request)?
    } else {
        of_voxels(&mut inputs, request, &at)?
    };
    at(0.9, "prescribing");
    result.warnings.extend(administered::check(&inputs, request)?);
    effect::add(request, &mut result);
    therapy::project(request, &mut result)?;
    course::prescribe(request, &mut result);
    at(0.92, "writing");
    // The study's own dates are copied, so ours are written in the zone that they are in.
    let of_reference = |point: &&TimePoint| point.series == result.reference_series;
    let point = result.time_points.iter().find(of_reference).or(result.time_points.first());
    let zone = request.zone.to_offset(point.map_or(request.computed_at, |point| point.acquired));
    let options = ReportOptions { utc_offset: zone, ..request.report.clone() };
    let written = report::write_all(&result, output, &options)?;
    at(1.0, "done");
    Ok(Outcome { result, written })
}
