//! Keeps looking at archive and plans, and queues what is due.

use super::job::JobSpec;
use super::priors::PriorsWanted;
use super::{Found, Service, signature, until_shutdown};
use crate::archive::{ArchiveError, AuditEvent, Instance, InstanceFilter};
use crate::config::{PlanFolder, Plans, watch};
use crate::dicom::Uid;
use crate::intake::{Decision, View, Waiting, Why, decide};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How often the archive is asked for what is new: one indexed query.
const POLL: Duration = Duration::from_secs(1);

/// Instances are asked for again from so long before the newest one known: rows are committed in
/// groups and may appear after later ones.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);

/// Runs until `shutdown`.
pub(super) async fn run(service: Arc<Service>, shutdown: tokio::sync::watch::Receiver<bool>) {
    let notified = service.clone();
    let folder = service.loaded.config.plans.0.clone();
    let plans_changed = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let flag = plans_changed.clone();
    let watcher = watch::watch(&folder, move || {
        flag.store(true, std::sync::atomic::Ordering::Release);
        notified.something_came();
    });
    if let Err(error) = &watcher {
        tracing::warn!(%error, "plans are only looked at from time to time");
    }
    let rescan = Duration::from_secs(service.loaded.config.intake.rescan_seconds.into());
    let mut state = State::new(PlanFolder::new(folder));
    let mut last_scan = tokio::time::Instant::now();
    loop {
        let scan = plans_changed.swap(false, std::sync::atomic::Ordering::AcqRel)
            || last_scan.elapsed() >= rescan;
        if scan {
            last_scan = tokio::time::Instant::now();
        }
        let owned = service.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let result = state.look(&owned, scan, Timestamp::now());
            (state, result)
        });
        match looked.await {
            Ok((back, result)) => {
                state = back;
                if let Err(error) = result {
                    tracing::error!(%error, "intake could not look; it tries again");
                }
            }
            Err(error) => {
                tracing::error!(%error, "intake failed; it starts anew");
                state = State::new(PlanFolder::new(service.loaded.config.plans.0.clone()));
                plans_changed.store(true, std::sync::atomic::Ordering::Release);
            }
        }
        tokio::select! {
            () = until_shutdown(shutdown.clone()) => break,
            () = service.look.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// What intake remembers between looks; all of it can be had again from archive and plans.
struct State {
    folder: PlanFolder,
    plans: Plans,
    known: BTreeMap<Uid, Instance>,
    newest: Option<Timestamp>,
    queued: BTreeSet<String>,
    look_again: Option<Timestamp>,
    looked: bool,
}

impl State {
    fn new(folder: PlanFolder) -> Self {
        Self {
            folder,
            plans: Plans::default(),
            known: BTreeMap::new(),
            newest: None,
            queued: BTreeSet::new(),
            look_again: None,
            looked: false,
        }
    }

    fn look(
        &mut self,
        service: &Service,
        scan_plans: bool,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        if scan_plans {
            self.plans = self.folder.rescan(&service.loaded.protocols);
            self.plans.notes.iter().for_each(|note| tracing::info!("{note}"));
            self.plans.faults.iter().for_each(|fault| tracing::warn!("{fault}"));
        }
        let forgot = service.forget.swap(false, std::sync::atomic::Ordering::AcqRel);
        if forgot {
            self.known.clear();
            self.newest = None;
            // What was computed may have gone; then the same work is due again.
            self.queued.clear();
        }
        let new = self.take_new(service)? || forgot;
        let due = self.look_again.is_some_and(|at| at <= now);
        if !(new || due || scan_plans || !self.looked) {
            return Ok(());
        }
        let instances: Vec<Instance> = self.known.values().cloned().collect();
        let mut decision = decide(&View {
            instances: &instances,
            plans: &self.plans.in_force,
            now,
            settle_seconds: service.loaded.config.intake.settle_seconds,
        });
        self.look_again = decision.look_again;
        self.queue(service, &decision, now)?;
        ask_for_regions(service, &mut decision)?;
        self.looked = true;
        let zone = service.loaded.config.site.zone();
        service.board.set(Found {
            priors: self
                .plans
                .in_force
                .iter()
                .filter_map(|plan| PriorsWanted::of(plan, &zone, now))
                .collect(),
            looked: Some(now),
            decision,
            plan_faults: self.plans.faults.clone(),
            stale_plans: self.plans.stale.clone(),
            patients_with_plans: self
                .plans
                .faults
                .is_empty()
                .then(|| self.plans.in_force.iter().map(|plan| plan.patient.clone()).collect()),
        });
        Ok(())
    }

    /// Adds what came since; is there anything?
    fn take_new(&mut self, service: &Service) -> Result<bool, ArchiveError> {
        let since = self.newest.and_then(|newest| newest.checked_sub(OVERLAP).ok());
        let filter = InstanceFilter {
            own_results: Some(false),
            received_since: since,
            ..InstanceFilter::default()
        };
        let mut new = false;
        for instance in service.archive.instances(&filter)? {
            self.newest = self.newest.max(Some(instance.received));
            let uid = instance.header.sop_instance.clone();
            new |= self.known.insert(uid, instance).is_none();
        }
        Ok(new)
    }

    fn queue(
        &mut self,
        service: &Service,
        decision: &Decision,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        for work in &decision.work {
            let Some(plan) = self.plans.in_force.iter().find(|p| p.course_id() == work.course)
            else {
                continue;
            };
            let Some(protocol) = service.loaded.protocols.find(&plan.protocol) else { continue };
            let mut spec = JobSpec::new(work.clone(), plan, protocol, &service.loaded.config);
            let key = spec.key(plan);
            if self.queued.contains(&key) {
                continue;
            }
            let archive = service.archive.as_ref();
            let before = plan.cycles.iter().map(|cycle| cycle.number).filter(|n| *n < work.cycle);
            spec.signed_results = signature::of_cycles(archive, &work.course, before)?;
            let text = serde_json::to_string(&spec).map_err(|error| ArchiveError::Index {
                step: "job specification",
                message: error.to_string(),
            })?;
            let (id, is_new) = service.archive.enqueue(&key, &work.course, &text)?;
            self.queued.insert(key);
            if is_new {
                tracing::info!(job = id, course = work.course, cycle = work.cycle, "job queued");
                service.archive.audit(AuditEvent {
                    at: now,
                    event: "job-queued".into(),
                    actor: "grayd".into(),
                    object: Some(format!("job {id}, course {}, cycle {}", work.course, work.cycle)),
                    outcome: "success".into(),
                })?;
            }
            service.jobs.notify_waiters();
        }
        Ok(())
    }
}

/// Queues CTs for the peers that segment. A peer that the configuration does not know is said where
/// the cycle waits.
fn ask_for_regions(service: &Service, decision: &mut Decision) -> Result<(), ArchiveError> {
    for request in &decision.requests {
        if service.loaded.config.peers.iter().any(|peer| peer.name == request.peer) {
            service.archive.deliver(&request.objects, &request.peer)?;
            continue;
        }
        let of_request = |waiting: &&mut Waiting| {
            waiting.why == Why::RegionsMissing
                && waiting.course.as_deref() == Some(&request.course)
                && waiting.cycle == Some(request.cycle)
        };
        for waiting in decision.waiting.iter_mut().filter(of_request) {
            waiting.reason =
                format!("regions are to come from {}, which is no peer of this node", request.peer);
            waiting.supply =
                "add it to `peers:` of the configuration, or correct `regions: from:`".into();
        }
    }
    Ok(())
}
