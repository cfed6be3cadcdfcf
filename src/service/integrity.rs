//! Does what the archive holds still follow from what it was made of? Objects against their
//! hashes, results against a second computation.

use super::job::{JobSpec, SOFTWARE, results_note};
use super::runner::{has_newer_result, prepare};
use super::worker::{self, Ended};
use crate::archive::{
    Archive, ArchiveError, InstanceFilter, Job, JobEnd, JobState, data_set_sha256,
};
use crate::config::NodeConfig;
use crate::dicom::Uid;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// Objects that are read back between two signs of life.
const STRETCH: u32 = 256;

/// Reads every object back; how many, and which are damaged. `tell` hears how many so far and of how
/// many.
pub fn verify_objects(
    archive: &dyn Archive,
    mut tell: impl FnMut(u64, u64),
) -> Result<(u64, Vec<Uid>), ArchiveError> {
    let (mut checked, mut damaged, mut after) = (0, Vec::new(), None);
    loop {
        let found = archive.scrub(after.as_ref(), STRETCH)?;
        checked += u64::from(found.checked);
        damaged.extend(found.rotten);
        tell(checked, found.instances);
        match found.last {
            Some(last) => after = Some(last),
            None => return Ok((checked, damaged)),
        }
    }
}

/// What became of computing a job's results again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recomputed {
    /// Bit for bit what the archive holds: so many objects, and `results.json`.
    Same { objects: usize },
    /// Something differs; says what.
    Different(String),
    /// Another version of the program made it: nothing is wrong, and nothing can be compared.
    OtherVersion(String),
    /// It could not be computed again; says why.
    NotComputed(String),
}

/// Jobs that have results, newest first.
pub fn finished_jobs(archive: &dyn Archive) -> Result<Vec<Job>, ArchiveError> {
    let mut jobs = archive.jobs(u32::MAX)?;
    jobs.retain(|job| job.state == JobState::Done);
    Ok(jobs)
}

/// Computes a job again from the inputs in the archive and compares.
pub async fn recompute(
    archive: &dyn Archive,
    config: &NodeConfig,
    program: &[OsString],
    job: &Job,
    folder: &Path,
) -> Result<Recomputed, ArchiveError> {
    let other = |why: String| Ok(Recomputed::NotComputed(why));
    match serde_json::from_str::<JobSpec>(&job.spec) {
        Ok(spec) if spec.software == SOFTWARE => {}
        Ok(spec) => return Ok(Recomputed::OtherVersion(spec.software)),
        Err(error) => return other(format!("its order is not understood: {error}")),
    }
    let order = match prepare(archive, config.compute.memory_mb, job, folder.to_owned()) {
        Ok(order) => order,
        Err(JobEnd::Parked { reason } | JobEnd::Attempt { reason }) => return other(reason),
        Err(JobEnd::Done { .. }) => return other("it has no order".into()),
    };
    let limit = Duration::from_secs(config.compute.time_limit_s.into());
    let outcome = match worker::run(program, &order, limit, |_| {}).await {
        Ended::Done(outcome) => outcome,
        Ended::Parked { reason } | Ended::Failed { reason } => return other(reason),
    };
    let mut made = BTreeSet::new();
    for name in &outcome.objects {
        match data_set_sha256(&folder.join(name)) {
            Ok(Some(sha256)) => made.insert(sha256),
            Ok(None) => return other(format!("{name} is no whole DICOM file")),
            Err(error) => return other(format!("{name} cannot be read: {error}")),
        };
    }
    let held = held_results(archive, job)?;
    if made != held {
        return Ok(Recomputed::Different(format!(
            "{} of {} objects differ from those computed again",
            held.symmetric_difference(&made).count().div_ceil(2),
            held.len()
        )));
    }
    let cycle = order.spec.work.cycle;
    let note = archive.note(&results_note(&order.spec.work.course, cycle))?;
    let text = std::fs::read_to_string(folder.join(&outcome.results)).ok();
    if note != text && !has_newer_result(archive, job, cycle)? {
        return Ok(Recomputed::Different(
            "results.json differs from the one computed again".into(),
        ));
    }
    Ok(Recomputed::Same { objects: made.len() })
}

/// Hashes of the objects that the job published, as they stand in the archive.
fn held_results(archive: &dyn Archive, job: &Job) -> Result<BTreeSet<String>, ArchiveError> {
    let mut held = BTreeSet::new();
    for uid in archive.job_results(job.id)? {
        let filter = InstanceFilter { sop_instance: Some(uid), ..InstanceFilter::default() };
        held.extend(archive.instances(&filter)?.into_iter().map(|instance| instance.sha256));
    }
    Ok(held)
}
