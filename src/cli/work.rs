//! `grayd work`: the worker process of one job.

use crate::service::job::{Outcome, Progress, WorkError, WorkOrder};
use crate::service::worker;
use std::path::Path;
use std::process::ExitCode;

pub fn run() -> ExitCode {
    super::serve::start_log(super::serve::Log::Text, "warn");
    worker::work(compute)
}

fn compute(
    _order: &WorkOrder,
    _output: &Path,
    _progress: &dyn Fn(Progress),
) -> Result<Outcome, WorkError> {
    Err(WorkError::Failed("this program was built without its pipeline".into()))
}
