//! What every implementation of [`Archive`] promises, as tests: an implementation runs them all
//! with [`contract_tests`], giving a function that opens the same store again and again.

mod delivery;

use super::*;
pub(in crate::archive) use delivery::*;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN;
use std::thread;

/// Opens the store under test; one at a time.
pub(super) type Open<'o> = &'o dyn Fn() -> Box<dyn Archive>;

pub(super) const PET: &str = "1.2.840.10008.5.1.4.1.1.128";

pub(super) fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

/// A small PET slice in Explicit VR Little Endian.
pub(super) fn slice(sop: &str, series: &str, position_mm: f64, fill: u8) -> Vec<u8> {
    let mut object = InMemDicomObject::new_empty();
    let position = format!("0\\0\\{position_mm}");
    for (tag, vr, text) in [
        (tags::SOP_CLASS_UID, VR::UI, PET),
        (tags::SOP_INSTANCE_UID, VR::UI, sop),
        (tags::MODALITY, VR::CS, "PT"),
        (tags::PATIENT_ID, VR::LO, "P-1"),
        (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.9"),
        (tags::SERIES_INSTANCE_UID, VR::UI, series),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, &position),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
    }
    let us = |tag: Tag, n: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(n));
    object.put(us(tags::SAMPLES_PER_PIXEL, 1));
    object.put(us(tags::ROWS, 16));
    object.put(us(tags::COLUMNS, 16));
    object.put(us(tags::BITS_ALLOCATED, 8));
    object.put(us(tags::BITS_STORED, 8));
    object.put(us(tags::HIGH_BIT, 7));
    let pixels = PrimitiveValue::U8(vec![fill; 256].into());
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, pixels));
    let mut bytes = Vec::new();
    object.write_dataset_with_ts(&mut bytes, &EXPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap();
    bytes
}

pub(super) fn arrival(sop: &str, calling_ae: &str) -> Arrival {
    Arrival {
        sop_class: uid(PET),
        sop_instance: uid(sop),
        transfer_syntax: uid("1.2.840.10008.1.2.1"),
        calling_ae: calling_ae.into(),
    }
}

pub(super) fn store(
    archive: &dyn Archive,
    arrival: Arrival,
    data: &[u8],
) -> Result<Receipt, ArchiveError> {
    let mut incoming = archive.receive(arrival)?;
    for chunk in data.chunks(100) {
        incoming.write(chunk)?;
    }
    incoming.commit()
}

fn put(archive: &dyn Archive, sop: &str) -> Instance {
    match store(archive, arrival(sop, "CAM"), &slice(sop, "1.2.9.1", 0.0, 0)).unwrap() {
        Receipt::Stored(instance) => *instance,
        other => panic!("not stored: {other:?}"),
    }
}

pub(super) fn all(archive: &dyn Archive) -> Vec<Instance> {
    archive.instances(&InstanceFilter::default()).unwrap()
}

pub(super) fn what_was_stored_is_there_after_reopening(open: Open<'_>) {
    let archive = open();
    let stored = put(&*archive, "1.2.9.1.1");
    assert_eq!(all(&*archive), std::slice::from_ref(&stored));
    assert!(archive.verify(&uid("1.2.9.1.1")).unwrap());
    drop(archive);
    let archive = open();
    assert_eq!(all(&*archive), [stored]);
    let path = archive.path(&uid("1.2.9.1.1")).unwrap();
    let object = dicom_object::open_file(path).unwrap();
    assert_eq!(object.meta().transfer_syntax(), "1.2.840.10008.1.2.1");
    assert_eq!(object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap(), vec![0; 256]);
}

pub(super) fn what_was_not_committed_leaves_nothing(open: Open<'_>) {
    let archive = open();
    let mut incoming = archive.receive(arrival("1.2.9.1.1", "CAM")).unwrap();
    incoming.write(b"half").unwrap();
    drop(incoming);
    assert!(all(&*archive).is_empty());
    assert!(matches!(archive.path(&uid("1.2.9.1.1")), Err(ArchiveError::NotFound(_))));
    assert!(matches!(archive.verify(&uid("1.2.9.1.1")), Err(ArchiveError::NotFound(_))));
}

pub(super) fn the_same_bytes_again_are_a_duplicate(open: Open<'_>) {
    let archive = open();
    let first = put(&*archive, "1.2.9.1.1");
    let data = slice("1.2.9.1.1", "1.2.9.1", 0.0, 0);
    match store(&*archive, arrival("1.2.9.1.1", "OTHER"), &data).unwrap() {
        Receipt::Duplicate(kept) => assert_eq!(*kept, first),
        other => panic!("{other:?}"),
    }
    assert_eq!(all(&*archive).len(), 1);
}

pub(super) fn other_bytes_under_a_uid_do_not_replace_the_first(open: Open<'_>) {
    let archive = open();
    let first = put(&*archive, "1.2.9.1.1");
    let data = slice("1.2.9.1.1", "1.2.9.1", 0.0, 1);
    match store(&*archive, arrival("1.2.9.1.1", "OTHER"), &data).unwrap() {
        Receipt::Conflict { kept, quarantined_sha256 } => {
            assert_eq!(*kept, first);
            assert_ne!(quarantined_sha256, first.sha256);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(all(&*archive), [first]);
    let trail = archive.audit_trail(10).unwrap();
    let alarm = trail.iter().find(|line| line.event == "instance-conflict").unwrap();
    assert_eq!((alarm.actor.as_str(), alarm.object.as_deref()), ("OTHER", Some("1.2.9.1.1")));
}

pub(super) fn what_does_not_match_its_command_is_refused(open: Open<'_>) {
    let archive = open();
    let data = slice("1.2.9.1.1", "1.2.9.1", 0.0, 0);
    let error = store(&*archive, arrival("1.2.9.1.2", "CAM"), &data).unwrap_err();
    assert_eq!(error.dimse_status(), 0xA900, "{error}");
    let mut other_class = arrival("1.2.9.1.1", "CAM");
    other_class.sop_class = uid("1.2.840.10008.5.1.4.1.1.2");
    assert_eq!(store(&*archive, other_class, &data).unwrap_err().dimse_status(), 0xA900);
    let cut = &data[..data.len() - 1];
    let error = store(&*archive, arrival("1.2.9.1.1", "CAM"), cut).unwrap_err();
    assert_eq!(error.dimse_status(), 0xC000, "{error}");
    for ae in ["", "SEVENTEEN-LETTERS", "A\\B", "A\u{1b}"] {
        assert!(archive.receive(arrival("1.2.9.1.1", ae)).is_err(), "{ae:?}");
    }
    assert!(all(&*archive).is_empty());
}

pub(super) fn instances_come_in_the_order_of_space(open: Open<'_>) {
    let archive = open();
    for (n, (series, position)) in
        [("1.2.9.2", 4.0), ("1.2.9.1", 7.5), ("1.2.9.1", -3.25), ("1.2.9.1", 0.1 + 0.2)]
            .into_iter()
            .enumerate()
    {
        let sop = format!("1.2.9.9.{n}");
        let data = slice(&sop, series, position, 0);
        store(&*archive, arrival(&sop, if n == 0 { "grayd" } else { "CAM" }), &data).unwrap();
    }
    let order = |filter: InstanceFilter| -> Vec<Option<f64>> {
        let found = archive.instances(&filter).unwrap();
        found.iter().map(|instance| instance.header.slice_position_mm).collect()
    };
    let everything = order(InstanceFilter::default());
    assert_eq!(everything, [Some(-3.25), Some(0.1 + 0.2), Some(7.5), Some(4.0)]);
    let series = Some(uid("1.2.9.2"));
    assert_eq!(order(InstanceFilter { series, ..Default::default() }), [Some(4.0)]);
    let own = |own| InstanceFilter { own_results: Some(own), ..Default::default() };
    assert_eq!((order(own(true)).len(), order(own(false)).len()), (1, 3));
    let nobody = InstanceFilter { patient_id: Some("P-2".into()), ..Default::default() };
    assert!(order(nobody).is_empty());
    let last = all(&*archive).iter().map(|i| i.received).max();
    let since = InstanceFilter { received_since: last, ..Default::default() };
    assert!(!order(since).is_empty());
}

/// The definition is `query::answer_from_instances`, over all instances.
pub(super) fn queries_are_answered_as_their_definition_says(open: Open<'_>) {
    use query::{Attribute, Condition, Matching, QueryLevel};
    let archive = open();
    for (sop, series) in [("1.1", "1.2.9.1"), ("1.2", "1.2.9.1"), ("1.3", "1.2.9.2")] {
        store(&*archive, arrival(sop, "CAM"), &slice(sop, series, 1.0, 0)).unwrap();
    }
    let levels = [QueryLevel::Patient, QueryLevel::Study, QueryLevel::Series, QueryLevel::Instance];
    let one_of = |values: &[&str]| Matching::OneOf(values.iter().map(|v| (*v).into()).collect());
    let conditions = [
        None,
        Some((Attribute::PatientId, one_of(&["P-1"]))),
        Some((Attribute::PatientId, one_of(&["P-2"]))),
        Some((Attribute::Modality, Matching::Pattern("P?".into()))),
        Some((Attribute::SeriesInstanceUid, one_of(&["1.2.9.2", "1.2.9.3"]))),
        Some((Attribute::SopInstanceUid, one_of(&["1.3"]))),
        Some((Attribute::StudyDate, Matching::Range { from: None, to: Some("20990101".into()) })),
    ];
    let check = |archive: &dyn Archive| {
        let mut matches = 0;
        for level in levels {
            for condition in &conditions {
                let made = condition
                    .clone()
                    .map(|(attribute, matching)| Condition { attribute, matching });
                let query =
                    Query { level, conditions: made.into_iter().collect(), limit: usize::MAX };
                let found = archive.query(&query).unwrap();
                assert_eq!(found, query::answer_from_instances(&query, all(archive)), "{query:?}");
                matches += found.len();
            }
        }
        matches
    };
    assert_eq!(check(&*archive), 29);
    archive.delete(&uid("1.2.9"), &[uid("1.3")], "test").unwrap();
    assert!(check(&*archive) < 29, "a series without instances is gone");
    drop(archive);
    check(&*open());
}

pub(super) fn many_senders_lose_nothing(open: Open<'_>) {
    let archive = open();
    thread::scope(|scope| {
        for sender in 0..8 {
            let archive = &*archive;
            scope.spawn(move || {
                for n in 0..12 {
                    // Neighbours send the same instances, so that they race for one UID.
                    let sop = format!("1.2.9.{}.{n}", sender / 2 + 1);
                    let data = slice(&sop, "1.2.9.1", f64::from(n), 0);
                    match store(archive, arrival(&sop, "CAM"), &data).unwrap() {
                        Receipt::Stored(_) | Receipt::Duplicate(_) => {}
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    let found = all(&*archive);
    assert_eq!(found.len(), 4 * 12);
    assert!(found.iter().all(|i| archive.verify(&i.header.sop_instance).unwrap()));
}

pub(super) fn a_race_for_one_uid_has_one_winner(open: Open<'_>) {
    let archive = open();
    let receipts: Vec<Receipt> = thread::scope(|scope| {
        let senders: Vec<_> = (0..6u8)
            .map(|fill| {
                let archive = &*archive;
                scope.spawn(move || {
                    let data = slice("1.2.9.1.1", "1.2.9.1", 0.0, fill);
                    store(archive, arrival("1.2.9.1.1", "CAM"), &data).unwrap()
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let stored = receipts.iter().filter(|r| matches!(r, Receipt::Stored(_))).count();
    let conflicts = receipts.iter().filter(|r| matches!(r, Receipt::Conflict { .. })).count();
    assert_eq!((stored, conflicts), (1, 5));
    assert!(archive.verify(&uid("1.2.9.1.1")).unwrap());
}

pub(super) fn the_same_work_is_queued_once(open: Open<'_>) {
    let archive = open();
    let (id, new) = archive.enqueue("key", "course", "{}").unwrap();
    assert!(new);
    assert_eq!(archive.enqueue("key", "course", "{}").unwrap(), (id, false));
    drop(archive);
    let jobs = open().jobs(10).unwrap();
    assert_eq!((jobs.len(), jobs[0].id, jobs[0].state), (1, id, JobState::Queued));
}

pub(super) fn jobs_of_a_course_are_its_own_and_come_newest_first(open: Open<'_>) {
    let archive = open();
    for (key, course) in [("1", "a"), ("2", "b"), ("3", "a"), ("4", "A"), ("5", "a")] {
        archive.enqueue(key, course, "{}").unwrap();
    }
    drop(archive);
    let archive = open();
    let keys = |course: &str, limit| -> Vec<String> {
        archive.jobs_of(course, limit).unwrap().into_iter().map(|job| job.key).collect()
    };
    assert_eq!(keys("a", 10), ["5", "3", "1"]);
    assert_eq!(keys("a", 2), ["5", "3"]);
    assert_eq!(keys("b", 10), ["2"]);
    assert!(keys("", 10).is_empty());
    assert_eq!(archive.jobs_of("b", 1).unwrap()[0], archive.jobs(10).unwrap()[3]);
}

pub(super) fn a_job_is_leased_to_one_worker_until_its_lease_ends(open: Open<'_>) {
    let archive = open();
    let (first, _) = archive.enqueue("a", "course", "{}").unwrap();
    let (second, _) = archive.enqueue("b", "course", "{}").unwrap();
    let job = archive.lease("w1", 1000).unwrap().unwrap();
    assert_eq!((job.id, job.state, job.attempts), (first, JobState::Running, 1));
    assert_eq!(archive.lease("w2", 0).unwrap().unwrap().id, second);
    // A lease of no length has run out: the job goes to the next taker, whose it is then.
    assert_eq!(archive.lease("w3", 1000).unwrap().unwrap().attempts, 2);
    assert!(archive.lease("w4", 1000).unwrap().is_none());
    assert!(archive.heartbeat(first, "w1", 1000).unwrap());
    assert!(!archive.heartbeat(second, "w2", 1000).unwrap());
    let late = JobEnd::Parked { reason: "late".into() };
    let error = archive.finish(second, "w2", late, 3).unwrap_err();
    assert!(matches!(error, ArchiveError::NotFound(_)), "{error}");
    drop(archive);
    // The lease of w1 outlives a restart of the node: its worker may still be at it.
    assert!(open().lease("w5", 1000).unwrap().is_none());
}

pub(super) fn attempts_run_out(open: Open<'_>) {
    let archive = open();
    let (id, _) = archive.enqueue("a", "course", "{}").unwrap();
    let end = || JobEnd::Attempt { reason: "crashed".into() };
    for expected in [JobState::Queued, JobState::Queued, JobState::Failed] {
        archive.lease("w", 60).unwrap().unwrap();
        archive.finish(id, "w", end(), 3).unwrap();
        let job = &archive.jobs(1).unwrap()[0];
        assert_eq!((job.state, job.reason.as_deref()), (expected, Some("crashed")));
    }
    assert!(archive.lease("w", 60).unwrap().is_none());
}

pub(super) fn notes_are_replaced_whole_and_survive(open: Open<'_>) {
    let archive = open();
    assert_eq!(archive.note("course").unwrap(), None);
    archive.put_note("course", "one").unwrap();
    archive.put_note("course", "two \u{0}\u{1f9ea}").unwrap();
    drop(archive);
    assert_eq!(open().note("course").unwrap().as_deref(), Some("two \u{0}\u{1f9ea}"));
}

pub(super) fn every_change_has_its_audit_line(open: Open<'_>) {
    let archive = open();
    put(&*archive, "1.2.9.1.1");
    let (id, _) = archive.enqueue("a", "course", "{}").unwrap();
    archive.lease("w", 60).unwrap();
    archive.finish(id, "w", JobEnd::Parked { reason: "no calibration".into() }, 3).unwrap();
    let event = AuditEvent {
        at: Timestamp::from_microsecond(1_000_000).unwrap(),
        event: "association-refused".into(),
        actor: "10.0.0.1".into(),
        object: None,
        outcome: "unknown AE title".into(),
    };
    archive.audit(event.clone()).unwrap();
    drop(archive);
    let trail = open().audit_trail(10).unwrap();
    let events: Vec<&str> = trail.iter().map(|line| line.event.as_str()).collect();
    assert_eq!(events, ["association-refused", "job-parked", "job-queued", "instance-stored"]);
    assert_eq!(trail[0], event);
    assert!(trail.iter().all(|line| !format!("{line:?}").contains("P-1")), "names a patient");
}

/// A test for each promise; `$open` opens the store below a directory.
macro_rules! contract_tests {
    ($open:path) => {
        $crate::archive::contract::contract_tests! { $open:
            what_was_stored_is_there_after_reopening,
            what_was_not_committed_leaves_nothing,
            the_same_bytes_again_are_a_duplicate,
            other_bytes_under_a_uid_do_not_replace_the_first,
            what_does_not_match_its_command_is_refused,
            instances_come_in_the_order_of_space,
            queries_are_answered_as_their_definition_says,
            many_senders_lose_nothing,
            a_race_for_one_uid_has_one_winner,
            the_same_work_is_queued_once,
            jobs_of_a_course_are_its_own_and_come_newest_first,
            a_job_is_leased_to_one_worker_until_its_lease_ends,
            attempts_run_out,
            results_and_deliveries_appear_together_or_not,
            a_delivery_is_tried_until_it_ends,
            a_commitment_is_asked_for_until_it_ends,
            an_announcement_waits_for_its_deliveries_and_is_tried_until_it_ends,
            what_is_queued_for_a_peer_is_queued_once,
            notes_are_replaced_whole_and_survive,
            every_change_has_its_audit_line
        }
    };
    ($open:path: $($promise:ident),*) => {
        $(#[test]
        fn $promise() {
            let directory = tempfile::tempdir().unwrap();
            $crate::archive::contract::$promise(&|| $open(directory.path()));
        })*
    };
}
pub(super) use contract_tests;
