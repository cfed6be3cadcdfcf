//! `grayd work`: one job for the node that started this process.

use crate::pipeline::{self, PipelineError};
use crate::report::{Kind, Written};
use crate::service::job::{Outcome, Progress, WorkError, WorkOrder};
use crate::service::worker;
use std::path::Path;
use std::process::ExitCode;

pub fn run() -> ExitCode {
    worker::work(compute)
}

fn compute(
    order: &WorkOrder,
    output: &Path,
    progress: &dyn Fn(Progress),
) -> Result<Outcome, WorkError> {
    let inputs = order.files.values().cloned().collect();
    let request = order.spec.request(inputs, order.predecessor.clone(), order.computed_at);
    let mut request = request.map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        WorkError::Parked(faults.join("; "))
    })?;
    // A result of another cycle that cannot be read is a cycle that was not measured.
    let plan = &request.plan;
    let earlier = order.earlier.iter().filter_map(|r| pipeline::course::from_results(r, plan).ok());
    request.earlier = earlier.collect();
    let tell = |at: pipeline::Progress| {
        progress(Progress { fraction: at.done, stage: at.stage.to_owned() });
    };
    let outcome = pipeline::compute(&request, output, &tell).map_err(|error| match error {
        PipelineError::Parked(reason) => WorkError::Parked(reason),
        PipelineError::Failed(reason) => WorkError::Failed(reason),
    })?;
    let objects = outcome.written.iter().filter(|written| written.sop_instance.is_some());
    let json = outcome.written.iter().find(|written| written.kind == Kind::Json);
    let name = |written: &Written| {
        written.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    };
    Ok(Outcome {
        objects: objects.map(name).collect(),
        results: json.map(name).unwrap_or_default(),
    })
}
