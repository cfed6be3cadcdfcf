//! Makes room: what is old, safe elsewhere and of no open course is deleted, oldest studies first.
//!
//! Whatever `storage.retention` says, three things stay: everything of a patient who has a plan in
//! the folder, what a job still waits for, and a result (with its inputs) that a peer has yet to
//! confirm or, where it is asked to, to commit itself to. While a plan has faults, or there is none at all (a lost mount looks the same), nobody
//! knows which courses are open, and nothing goes.

use super::job::JobSpec;
use super::{Service, until_shutdown};
use crate::archive::{
    ArchiveError, Delete, Delivery, DeliveryState, Instance, InstanceFilter, Job, JobState,
    RetentionSettings, Space,
};
use crate::config::plan::PlanPatient;
use crate::dicom::Uid;
use crate::node::settings::Peer;
use crate::service::store::OWN_AE;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks.
const STEP: Duration = Duration::from_secs(600);

/// Runs until `shutdown`.
pub(super) async fn run(service: Arc<Service>, shutdown: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = until_shutdown(shutdown.clone()) => return,
            () = tokio::time::sleep(STEP) => {}
        }
        let owned = service.clone();
        let looked = tokio::task::spawn_blocking(move || make_room(&owned, Timestamp::now())).await;
        match looked {
            Ok(Ok(0)) => {}
            Ok(Ok(studies)) => tracing::info!(studies, "deleted as storage.retention says"),
            Ok(Err(error)) => tracing::error!(%error, "nothing could be deleted"),
            Err(error) => tracing::error!(%error, "nothing could be deleted"),
        }
    }
}

/// Deletes what may go and has to; from how many studies.
pub fn make_room(service: &Service, now: Timestamp) -> Result<usize, ArchiveError> {
    let settings = &service.loaded.config.storage.retention;
    let archive = &*service.archive;
    let is_due = |space: Space, percent| used_percent(space) > f64::from(percent);
    match settings.delete {
        Delete::Never => return Ok(0),
        Delete::WhenFull if !is_due(archive.space()?, settings.above_percent) => return Ok(0),
        Delete::WhenFull | Delete::ByAge => {}
    }
    let patients = service.board.get().patients_with_plans;
    let Some(patients) = patients.filter(|patients| !patients.is_empty()) else {
        tracing::warn!("nothing is deleted while a plan has faults, or there is none");
        return Ok(0);
    };
    let instances = archive.instances(&InstanceFilter::default())?;
    let peers = &service.loaded.config.peers;
    let is_safe = |delivery: &Delivery| is_safe(delivery, peers);
    let kept =
        kept_by_jobs(&archive.jobs(u32::MAX)?, &archive.deliveries(u32::MAX)?, is_safe, |job| {
            archive.job_results(job)
        })?;
    let mut studies = 0;
    for (study, doomed) in choose(&instances, &patients, &kept, settings, now) {
        if settings.delete == Delete::WhenFull
            && !is_due(archive.space()?, settings.down_to_percent)
        {
            break;
        }
        if service.board.get().patients_with_plans.as_ref() != Some(&patients) {
            tracing::info!("plans changed; what may be deleted is looked at anew later");
            break;
        }
        let why = format!("older than {} days, confirmed elsewhere", settings.keep_days);
        if archive.delete(&study, &doomed, &why)? > 0 {
            studies += 1;
            service.forget.store(true, Ordering::Release);
        }
    }
    if studies > 0 {
        service.something_came();
    }
    Ok(studies)
}

fn used_percent(space: Space) -> f64 {
    let total = space.total_bytes.max(1) as f64;
    100.0 * (1.0 - space.free_bytes as f64 / total)
}

/// What jobs keep from being deleted.
struct Kept {
    instances: BTreeSet<Uid>,
    /// Own results that every peer they went to has confirmed; no other result may go.
    confirmed: BTreeSet<Uid>,
}

/// Whether the peer answers for the object: by its commitment where that is asked for, else by its
/// answer as it was stored.
fn is_safe(delivery: &Delivery, peers: &[Peer]) -> bool {
    match delivery.state {
        DeliveryState::Committed => true,
        DeliveryState::Delivered => {
            !peers.iter().any(|peer| peer.name == delivery.peer && peer.commitment)
        }
        DeliveryState::Waiting | DeliveryState::CommitmentFailed | DeliveryState::Parked => false,
    }
}

/// Inputs and results of every job that is not done, or whose results are not confirmed.
fn kept_by_jobs(
    jobs: &[Job],
    deliveries: &[Delivery],
    is_safe: impl Fn(&Delivery) -> bool,
    results: impl Fn(i64) -> Result<Vec<Uid>, ArchiveError>,
) -> Result<Kept, ArchiveError> {
    let mut by_instance: BTreeMap<&Uid, bool> = BTreeMap::new();
    for delivery in deliveries {
        *by_instance.entry(&delivery.sop_instance).or_insert(true) &= is_safe(delivery);
    }
    let confirmed: BTreeSet<Uid> =
        by_instance.iter().filter(|(_, all)| **all).map(|(uid, _)| (*uid).clone()).collect();
    let mut instances = BTreeSet::new();
    for job in jobs {
        let made = results(job.id)?;
        let done = job.state == JobState::Done;
        // Results that were deleted before had been confirmed; they are in no delivery any more.
        let pending = |uid: &Uid| by_instance.get(uid) == Some(&false);
        if done && !made.iter().any(pending) && made.iter().any(|uid| confirmed.contains(uid)) {
            continue;
        }
        if done && job.key.contains(" deleted ") {
            continue;
        }
        instances.extend(made);
        let spec = serde_json::from_str::<JobSpec>(&job.spec);
        instances.extend(spec.into_iter().flat_map(|s| s.work.inputs).map(|i| i.sop_instance));
    }
    Ok(Kept { instances, confirmed })
}

/// What may go, by study, the study that has rested longest first.
fn choose(
    instances: &[Instance],
    patients: &[PlanPatient],
    kept: &Kept,
    settings: &RetentionSettings,
    now: Timestamp,
) -> Vec<(Uid, Vec<Uid>)> {
    let mut studies: BTreeMap<&Uid, Vec<&Instance>> = BTreeMap::new();
    for instance in instances {
        studies.entry(&instance.header.study).or_default().push(instance);
    }
    let age = SignedDuration::from_hours(24 * i64::from(settings.keep_days));
    let mut chosen: Vec<(Timestamp, Uid, Vec<Uid>)> = Vec::new();
    for (study, members) in studies {
        let newest = members.iter().map(|instance| instance.received).max().unwrap_or(now);
        let is_open = |instance: &&Instance| {
            patients.iter().any(|patient| patient.is(&instance.header.patient))
        };
        if now.duration_since(newest) < age || members.iter().any(is_open) {
            continue;
        }
        let may_go = |instance: &&&Instance| {
            let uid = &instance.header.sop_instance;
            let own = instance.source == OWN_AE;
            !kept.instances.contains(uid)
                && if own { kept.confirmed.contains(uid) } else { settings.received }
        };
        let doomed: Vec<Uid> =
            members.iter().filter(may_go).map(|i| i.header.sop_instance.clone()).collect();
        if !doomed.is_empty() {
            chosen.push((newest, study.clone(), doomed));
        }
    }
    chosen.sort();
    chosen.into_iter().map(|(_, study, doomed)| (study, doomed)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_safe_when_the_peer_has_said_what_is_asked_of_it() {
        use DeliveryState::{CommitmentFailed, Committed, Delivered, Parked, Waiting};
        let commits = Peer { name: "pacs".into(), commitment: true, ..Peer::default() };
        let peers = [commits, Peer { name: "viewer".into(), ..Peer::default() }];
        let safe = |peer: &str| -> Vec<DeliveryState> {
            let delivery = |state| Delivery {
                id: 1,
                peer: peer.into(),
                sop_instance: Uid::parse("1.2").unwrap(),
                state,
                attempts: 1,
                next_attempt: Timestamp::UNIX_EPOCH,
                reason: None,
                transaction: None,
                asked: 0,
                refused: 0,
            };
            let states = [Waiting, Delivered, Committed, CommitmentFailed, Parked];
            states.into_iter().filter(|state| is_safe(&delivery(*state), &peers)).collect()
        };
        assert_eq!(safe("pacs"), [Committed]);
        assert_eq!(safe("viewer"), [Delivered, Committed]);
        assert_eq!(safe("one that is no longer configured"), [Delivered, Committed]);
    }

    #[test]
    fn inputs_and_results_stay_until_every_peer_has_them_safe() {
        let uid = |text: &str| Uid::parse(text).unwrap();
        let job = Job {
            id: 1,
            key: "k".into(),
            course: "c".into(),
            spec: "{}".into(),
            state: JobState::Done,
            attempts: 1,
            reason: None,
            created: Timestamp::UNIX_EPOCH,
            changed: Timestamp::UNIX_EPOCH,
        };
        let delivery = |peer: &str, state| Delivery {
            id: 1,
            peer: peer.into(),
            sop_instance: uid("1.2"),
            state,
            attempts: 1,
            next_attempt: Timestamp::UNIX_EPOCH,
            reason: None,
            transaction: None,
            asked: 0,
            refused: 0,
        };
        let commits = [Peer { name: "pacs".into(), commitment: true, ..Peer::default() }];
        let kept = |state| {
            let deliveries =
                [delivery("pacs", state), delivery("viewer", DeliveryState::Delivered)];
            let safe = |delivery: &Delivery| is_safe(delivery, &commits);
            let results = |_| Ok(vec![uid("1.2")]);
            kept_by_jobs(std::slice::from_ref(&job), &deliveries, safe, results).unwrap()
        };
        let sent = kept(DeliveryState::Delivered);
        assert!(sent.instances.contains(&uid("1.2")) && sent.confirmed.is_empty());
        let committed = kept(DeliveryState::Committed);
        assert!(committed.instances.is_empty() && committed.confirmed.contains(&uid("1.2")));
    }
}
