//! Takes jobs from the queue, has them computed by a worker process and stores what comes of it.

use super::job::{JobSpec, Outcome, WorkOrder, results_note};
use super::worker::{self, Ended};
use super::{Service, store, until_shutdown};
use crate::archive::{Archive, ArchiveError, AuditEvent, InstanceFilter, Job, JobEnd, JobState};
use crate::dicom::Uid;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long the queue is left alone when nothing says that a job is there.
const IDLE: Duration = Duration::from_secs(5);

/// What a running job gets to end in once the node is to stop; then its lease runs out.
const DRAIN: Duration = Duration::from_secs(30);

/// Comprehensive 3D SR, the result that revisions point at.
const COMPREHENSIVE_3D_SR: &str = "1.2.840.10008.5.1.4.1.1.88.34";

/// How many jobs of a course are looked back at, for the result that a revision supersedes.
pub(super) const LOOK_BACK: u32 = 10_000;

/// One worker slot, until `shutdown`.
pub(super) async fn run(service: Arc<Service>, number: u32, shutdown: watch::Receiver<bool>) {
    let name = format!("{}-{number}", std::process::id());
    while !*shutdown.borrow() {
        // Asked for before the queue is looked at, so that no notice is lost in between.
        let notified = service.jobs.notified();
        match lease(&service, &name).await {
            Ok(Some(job)) => {
                let id = job.id;
                let drained = async {
                    until_shutdown(shutdown.clone()).await;
                    tokio::time::sleep(DRAIN).await;
                };
                tokio::select! {
                    () = run_job(&service, &name, job) => {}
                    () = drained => tracing::warn!(job = id, "job left for the next start"),
                }
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the queue cannot be read; tried again"),
        }
        tokio::select! {
            () = until_shutdown(shutdown.clone()) => break,
            () = notified => {}
            () = tokio::time::sleep(IDLE) => {}
        }
    }
}

async fn lease(service: &Arc<Service>, name: &str) -> Result<Option<Job>, ArchiveError> {
    let lease_s = service.loaded.config.compute.lease_s;
    let name = name.to_owned();
    blocking(service, move |service| service.archive.lease(&name, lease_s)).await
}

/// Runs something that blocks where blocking is allowed.
async fn blocking<T: Send + 'static>(
    service: &Arc<Service>,
    work: impl FnOnce(&Service) -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    let service = service.clone();
    tokio::task::spawn_blocking(move || work(&service)).await.unwrap_or_else(|error| {
        Err(ArchiveError::Index { step: "background task", message: error.to_string() })
    })
}

async fn run_job(service: &Arc<Service>, name: &str, job: Job) {
    tracing::info!(job = job.id, course = job.course, attempt = job.attempts, "job started");
    let folder = service.scratch.join(format!("job-{}-{}", job.id, job.attempts));
    // What an attempt said of its progress goes with it, however it ends: here, since an attempt whose
    // lease is lost is dropped wherever it stands.
    service.progress().remove(&job.id);
    let end = tokio::select! {
        end = attempt(service, &job, folder.clone()) => Some(end),
        () = lease_lost(service, name, job.id) => None,
    };
    service.progress().remove(&job.id);
    remove(&folder);
    let Some(end) = end else {
        tracing::warn!(job = job.id, "lease lost; another worker has the job");
        return;
    };
    let outcome = match &end {
        JobEnd::Done { results, .. } => format!("success: {} objects", results.len()),
        JobEnd::Parked { .. } => "parked".to_owned(),
        JobEnd::Attempt { .. } => "attempt failed".to_owned(),
    };
    tracing::info!(job = job.id, outcome, "job ended");
    let event = AuditEvent {
        at: Timestamp::now(),
        event: "job-ended".into(),
        actor: "grayd".into(),
        object: Some(format!("job {}, course {}", job.id, job.course)),
        outcome,
    };
    let attempts = service.loaded.config.compute.attempts;
    let name = name.to_owned();
    let finished = blocking(service, move |service| {
        service.archive.finish(job.id, &name, end, attempts)?;
        service.archive.audit(event)
    });
    if let Err(error) = finished.await {
        tracing::error!(%error, "the end of a job cannot be written down; its lease runs out");
    }
}

fn remove(folder: &Path) {
    // Left-overs are removed at the next start.
    let _ = std::fs::remove_dir_all(folder);
}

/// Completes when another worker has the job; prolongs the lease until then.
async fn lease_lost(service: &Arc<Service>, name: &str, job: i64) {
    let lease_s = service.loaded.config.compute.lease_s;
    loop {
        tokio::time::sleep(Duration::from_secs((lease_s / 3).max(1).into())).await;
        let name = name.to_owned();
        let kept =
            blocking(service, move |service| service.archive.heartbeat(job, &name, lease_s)).await;
        match kept {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "lease cannot be prolonged; tried again"),
        }
    }
}

/// One attempt: order, worker, results into the archive.
async fn attempt(service: &Arc<Service>, job: &Job, folder: PathBuf) -> JobEnd {
    let owned = job.clone();
    let prepared = {
        let service = service.clone();
        tokio::task::spawn_blocking(move || {
            let memory_mb = service.loaded.config.compute.memory_mb;
            prepare(&*service.archive, memory_mb, &owned, folder)
        })
        .await
    };
    let order = match prepared {
        Ok(Ok(order)) => order,
        Ok(Err(end)) => return end,
        Err(error) => return JobEnd::Attempt { reason: error.to_string() },
    };
    let limit = Duration::from_secs(service.loaded.config.compute.time_limit_s.into());
    let id = job.id;
    let progress = |at: super::job::Progress| {
        tracing::debug!(job = id, stage = at.stage, fraction = at.fraction, "progress");
        service.progress().insert(id, at);
    };
    let ended = worker::run(&service.worker, &order, limit, progress).await;
    match ended {
        Ended::Parked { reason } => JobEnd::Parked { reason },
        Ended::Failed { reason } => JobEnd::Attempt { reason },
        Ended::Done(outcome) => {
            let service = service.clone();
            let job = job.clone();
            tokio::task::spawn_blocking(move || keep(&service, &job, &order, &outcome))
                .await
                .unwrap_or_else(|error| Err(error.to_string()))
                .unwrap_or_else(|reason| JobEnd::Attempt { reason })
        }
    }
}

/// Everything a worker needs; inputs are read back and compared with their hashes first.
pub(super) fn prepare(
    archive: &dyn Archive,
    memory_mb: u64,
    job: &Job,
    output: PathBuf,
) -> Result<WorkOrder, JobEnd> {
    let attempt = |reason: String| JobEnd::Attempt { reason };
    let spec: JobSpec = serde_json::from_str(&job.spec).map_err(|error| JobEnd::Parked {
        reason: format!("the job was made by another version and is not understood ({error})"),
    })?;
    let mut files = std::collections::BTreeMap::new();
    for input in &spec.work.inputs {
        let uid = &input.sop_instance;
        let sound = archive.verify(uid).map_err(|error| attempt(error.to_string()))?;
        if !sound {
            return Err(JobEnd::Parked {
                reason: format!(
                    "input {uid} in the archive is damaged: its bytes no longer have their hash; \
                     restore it from a backup or have it sent again"
                ),
            });
        }
        let path = archive.path(uid).map_err(|error| attempt(error.to_string()))?;
        files.insert(uid.clone(), path);
    }
    let predecessor = predecessor(archive, job, spec.work.cycle);
    let predecessor = predecessor.map_err(|error| attempt(error.to_string()))?;
    std::fs::create_dir_all(&output).map_err(|error| {
        attempt(format!("folder for the worker's results cannot be made: {error}"))
    })?;
    let earlier = earlier(archive, &spec).map_err(|error| attempt(error.to_string()))?;
    let computed_at = job.created;
    Ok(WorkOrder { spec, files, output, predecessor, earlier, computed_at, memory_mb })
}

/// Results of the cycles of the plan before this one.
fn earlier(archive: &dyn Archive, spec: &JobSpec) -> Result<Vec<serde_json::Value>, ArchiveError> {
    let Ok((plan, _)) = spec.plan() else { return Ok(Vec::new()) };
    let mut results = Vec::new();
    for cycle in plan.cycles.iter().filter(|cycle| cycle.number < spec.work.cycle) {
        let note = archive.note(&results_note(&spec.work.course, cycle.number))?;
        results.extend(note.and_then(|text| serde_json::from_str(&text).ok()));
    }
    Ok(results)
}

/// Finished jobs of one cycle of a course, newest first.
pub(super) fn finished(
    archive: &dyn Archive,
    course: &str,
    cycle: u32,
) -> Result<Vec<Job>, ArchiveError> {
    let mut jobs = archive.jobs_of(course, LOOK_BACK)?;
    jobs.retain(|job| {
        job.state == JobState::Done
            && serde_json::from_str::<JobSpec>(&job.spec).is_ok_and(|spec| spec.work.cycle == cycle)
    });
    Ok(jobs)
}

/// With several workers a revision may end before what it supersedes.
pub(super) fn has_newer_result(
    archive: &dyn Archive,
    job: &Job,
    cycle: u32,
) -> Result<bool, ArchiveError> {
    Ok(finished(archive, &job.course, cycle)?.iter().any(|other| other.id > job.id))
}

/// SR of the newest finished job of the same cycle that was made before this one.
fn predecessor(archive: &dyn Archive, job: &Job, cycle: u32) -> Result<Option<Uid>, ArchiveError> {
    for other in finished(archive, &job.course, cycle)?.iter().filter(|o| o.id < job.id) {
        for uid in archive.job_results(other.id)? {
            let filter =
                InstanceFilter { sop_instance: Some(uid.clone()), ..InstanceFilter::default() };
            let found = archive.instances(&filter)?;
            if found.iter().any(|i| i.header.sop_class.as_str() == COMPREHENSIVE_3D_SR) {
                return Ok(Some(uid));
            }
        }
    }
    Ok(None)
}

/// Stores the objects and `results.json`; only then is the job done.
fn keep(
    service: &Service,
    job: &Job,
    order: &WorkOrder,
    outcome: &Outcome,
) -> Result<JobEnd, String> {
    let mut results = Vec::new();
    for name in outcome.objects.iter().chain([&outcome.results]) {
        // Names are the worker's own, yet a path must not leave its folder.
        if Path::new(name).components().count() != 1 || name.contains("..") {
            return Err("the worker names a file outside its folder".into());
        }
    }
    for name in &outcome.objects {
        results.push(store::store_file(service.archive.as_ref(), &order.output.join(name))?);
    }
    let text = std::fs::read_to_string(order.output.join(&outcome.results))
        .map_err(|error| format!("results.json cannot be read: {error}"))?;
    let work = &order.spec.work;
    if !has_newer_result(&*service.archive, job, work.cycle).map_err(|error| error.to_string())? {
        service
            .archive
            .put_note(&results_note(&work.course, work.cycle), &text)
            .map_err(|error| error.to_string())?;
    }
    let deliver = deliveries(service, &results).map_err(|error| error.to_string())?;
    let told = service.loaded.config.peers.iter().filter(|peer| peer.announce);
    let announce_to = told.map(|peer| peer.name.clone()).collect();
    Ok(JobEnd::Done { results, deliver, announce_to })
}

/// Which result goes to which peer, by the configuration.
fn deliveries(service: &Service, results: &[Uid]) -> Result<Vec<(String, Uid)>, ArchiveError> {
    let mut all = Vec::new();
    for uid in results {
        let filter =
            InstanceFilter { sop_instance: Some(uid.clone()), ..InstanceFilter::default() };
        for instance in service.archive.instances(&filter)? {
            let to = service.loaded.config.results.send_to.iter();
            let to = to.filter(|to| to.gets(&instance.header.sop_class));
            all.extend(to.map(|to| (to.peer.clone(), uid.clone())));
        }
    }
    Ok(all)
}
