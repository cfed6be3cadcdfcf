//! Results on their way: deliveries, commitments and announcements.

use super::*;

pub(in crate::archive) fn results_and_deliveries_appear_together_or_not(open: Open<'_>) {
    let archive = open();
    let (id, _) = archive.enqueue("a", "course", "{}").unwrap();
    put(&*archive, "1.2.9.1.1");
    archive.lease("w", 60).unwrap().unwrap();
    let done = |results: &[&str]| JobEnd::Done {
        results: results.iter().map(|r| uid(r)).collect(),
        deliver: ["pacs", "viewer"].map(|peer| (peer.into(), uid("1.2.9.1.1"))).into(),
        announce_to: Vec::new(),
    };
    // One of the results is not in the archive: nothing is published, the job still runs.
    assert!(archive.finish(id, "w", done(&["1.2.9.1.1", "1.2.9.1.2"]), 3).is_err());
    // Nor where something is to be delivered that is no result.
    put(&*archive, "1.2.9.1.3");
    assert!(archive.finish(id, "w", done(&["1.2.9.1.3"]), 3).is_err());
    assert!(archive.job_results(id).unwrap().is_empty());
    assert!(archive.deliveries(10).unwrap().is_empty());
    assert_eq!(archive.jobs(1).unwrap()[0].state, JobState::Running);
    archive.finish(id, "w", done(&["1.2.9.1.1"]), 3).unwrap();
    assert_eq!(archive.job_results(id).unwrap(), [uid("1.2.9.1.1")]);
    assert!(archive.finish(id, "w", done(&["1.2.9.1.1"]), 3).is_err());
    drop(archive);
    let archive = open();
    assert_eq!(archive.jobs(1).unwrap()[0].state, JobState::Done);
    assert_eq!(archive.due_deliveries(Timestamp::now(), 10).unwrap().len(), 2);
}

pub(in crate::archive) fn what_is_queued_for_a_peer_is_queued_once(open: Open<'_>) {
    let archive = open();
    let objects = [uid("1.2.3.1"), uid("1.2.3.2")];
    archive.deliver(&objects, "segmenter").unwrap();
    archive.deliver(&objects, "segmenter").unwrap();
    assert_eq!(archive.due_deliveries(Timestamp::now(), 10).unwrap().len(), 2);
    let first = archive.due_deliveries(Timestamp::now(), 1).unwrap().remove(0);
    archive.finish_delivery(first.id, DeliveryEnd::Delivered).unwrap();
    // Delivered is delivered: asking again sends nothing again.
    archive.deliver(&objects, "segmenter").unwrap();
    assert_eq!(archive.due_deliveries(Timestamp::now(), 10).unwrap().len(), 1);
}

pub(in crate::archive) fn a_delivery_is_tried_until_it_ends(open: Open<'_>) {
    let archive = open();
    let (id, _) = archive.enqueue("a", "course", "{}").unwrap();
    put(&*archive, "1.2.9.1.1");
    archive.lease("w", 60).unwrap().unwrap();
    let results = vec![uid("1.2.9.1.1")];
    let deliver = ["pacs", "viewer"].map(|peer| (peer.into(), uid("1.2.9.1.1"))).into();
    archive.finish(id, "w", JobEnd::Done { results, deliver, announce_to: Vec::new() }, 3).unwrap();
    let now = Timestamp::now();
    let due = archive.due_deliveries(now, 10).unwrap();
    let later = now + jiff::SignedDuration::from_secs(60);
    let retry = DeliveryEnd::Retry { at: later, reason: "no answer".into() };
    archive.finish_delivery(due[0].id, retry).unwrap();
    let refused = DeliveryEnd::Parked { reason: "refused".into() };
    archive.finish_delivery(due[1].id, refused).unwrap();
    assert!(archive.due_deliveries(now, 10).unwrap().is_empty());
    let again = archive.due_deliveries(later, 10).unwrap();
    assert_eq!((again.len(), again[0].id, again[0].attempts), (1, due[0].id, 1));
    archive.finish_delivery(due[0].id, DeliveryEnd::Delivered).unwrap();
    assert!(archive.finish_delivery(due[0].id, DeliveryEnd::Delivered).is_err());
    let states: Vec<_> = archive.deliveries(10).unwrap().iter().map(|d| d.state).collect();
    assert_eq!(states, [DeliveryState::Parked, DeliveryState::Delivered]);
}

/// One result that went to `pacs` and `viewer`, and of which `workflow` is told.
fn delivered(archive: &dyn Archive) -> Vec<Delivery> {
    let (id, _) = archive.enqueue("a", "course", "{}").unwrap();
    for sop in ["1.2.9.1.1", "1.2.9.1.2"] {
        put(archive, sop);
    }
    archive.lease("w", 60).unwrap().unwrap();
    let end = JobEnd::Done {
        results: vec![uid("1.2.9.1.1"), uid("1.2.9.1.2")],
        deliver: ["1.2.9.1.1", "1.2.9.1.2"].map(|sop| ("pacs".into(), uid(sop))).into(),
        announce_to: vec!["workflow".into()],
    };
    archive.finish(id, "w", end, 3).unwrap();
    assert!(archive.due_commitments("pacs", Timestamp::now(), 9).unwrap().is_empty());
    assert!(archive.due_announcements(Timestamp::now(), 9).unwrap().is_empty(), "on their way");
    for delivery in archive.due_deliveries(Timestamp::now(), 9).unwrap() {
        archive.finish_delivery(delivery.id, DeliveryEnd::Delivered).unwrap();
    }
    archive.due_commitments("pacs", Timestamp::now(), 9).unwrap()
}

pub(in crate::archive) fn a_commitment_is_asked_for_until_it_ends(open: Open<'_>) {
    let archive = open();
    let due = delivered(&*archive);
    assert_eq!(due.len(), 2);
    assert!(archive.due_commitments("viewer", Timestamp::now(), 9).unwrap().is_empty());
    let (now, transaction) = (Timestamp::now(), uid("2.25.1"));
    let later = now + jiff::SignedDuration::from_secs(60);
    let ask = CommitmentStep::Ask { transaction: transaction.clone(), again_at: later };
    archive.step_commitments(&due.iter().map(|d| (d.id, ask.clone())).collect::<Vec<_>>()).unwrap();
    drop(archive);
    let archive = open();
    assert!(archive.due_commitments("pacs", now, 9).unwrap().is_empty());
    let asked = archive.in_transaction(&transaction).unwrap();
    assert_eq!(
        asked.iter().map(|d| (d.id, d.asked)).collect::<Vec<_>>(),
        [(due[0].id, 1), (due[1].id, 1)]
    );
    assert!(archive.in_transaction(&uid("2.25.2")).unwrap().is_empty());
    let again = CommitmentStep::SendAgain { at: now, reason: "0112".into() };
    archive
        .step_commitments(&[(due[0].id, CommitmentStep::Committed), (due[1].id, again)])
        .unwrap();
    let wait = CommitmentStep::Wait { again_at: later, reason: None };
    let too_late: Vec<_> = due.iter().map(|d| (d.id, wait.clone())).collect();
    archive.step_commitments(&too_late).unwrap();
    let open = archive.in_transaction(&transaction).unwrap();
    assert_eq!(open.len(), 1, "what is sent again is in no transaction");
    assert_eq!((open[0].id, open[0].state), (due[0].id, DeliveryState::Committed));
    let waiting = archive.due_deliveries(now, 9).unwrap();
    assert_eq!((waiting[0].id, waiting[0].refused), (due[1].id, 1));
    assert_eq!(waiting[0].reason.as_deref(), Some("0112"));
    archive.finish_delivery(due[1].id, DeliveryEnd::Delivered).unwrap();
    let due = archive.due_commitments("pacs", now, 9).unwrap();
    assert_eq!((due.len(), due[0].asked, due[0].refused), (1, 0, 1));
    let failed = CommitmentStep::Failed { reason: "again".into() };
    archive.step_commitments(&[(due[0].id, failed)]).unwrap();
    assert!(archive.due_commitments("pacs", later, 9).unwrap().is_empty());
    let trail = archive.audit_trail(9).unwrap();
    let events: Vec<&str> = trail.iter().map(|line| line.event.as_str()).take(4).collect();
    assert_eq!(
        events,
        [
            "delivery-commitment-failed",
            "delivery-delivered",
            "delivery-commitment-refused",
            "delivery-committed"
        ]
    );
}

pub(in crate::archive) fn an_announcement_waits_for_its_deliveries_and_is_tried_until_it_ends(
    open: Open<'_>,
) {
    let archive = open();
    let due = delivered(&*archive);
    let failed = CommitmentStep::Failed { reason: "refused".into() };
    archive.step_commitments(&[(due[1].id, failed)]).unwrap();
    let now = Timestamp::now();
    let announcements = archive.due_announcements(now, 9).unwrap();
    let [one] = announcements.as_slice() else { panic!("{announcements:?}") };
    assert_eq!((one.peer.as_str(), one.destination.as_str()), ("workflow", "pacs"));
    assert_eq!(archive.announced(one).unwrap(), [uid("1.2.9.1.1")], "only what is stored there");
    let later = now + jiff::SignedDuration::from_secs(60);
    let retry = DeliveryEnd::Retry { at: later, reason: "no answer".into() };
    archive.finish_announcement(one.id, retry).unwrap();
    drop(archive);
    let archive = open();
    assert!(archive.due_announcements(now, 9).unwrap().is_empty());
    assert_eq!(archive.due_announcements(later, 9).unwrap()[0].attempts, 1);
    archive.finish_announcement(one.id, DeliveryEnd::Delivered).unwrap();
    assert!(archive.finish_announcement(one.id, DeliveryEnd::Delivered).is_err());
    assert_eq!(archive.announcements(9).unwrap()[0].state, DeliveryState::Delivered);
    assert_eq!(archive.audit_trail(1).unwrap()[0].event, "announcement-delivered");
}
