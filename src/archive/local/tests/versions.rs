//! Indexes of other versions of the program.

use super::*;

#[test]
fn an_index_of_a_newer_version_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let path = directory.path().join("index.sqlite");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 4).unwrap();
    for result in [
        LocalArchive::open(&settings(directory.path()), TimeZone::UTC),
        LocalArchive::attach(&settings(directory.path()), TimeZone::UTC),
    ] {
        let error = result.err().unwrap();
        assert!(matches!(error, ArchiveError::NewerSchema { found: 4, known: 3 }), "{error}");
    }
    let version: i64 = Connection::open(&path)
        .unwrap()
        .pragma_query_value(None, "user_version", |r| r.get(0))
        .unwrap();
    assert_eq!(version, 4);
}

#[test]
fn an_index_of_version_1_learns_to_answer_queries_when_it_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path());
    for (sop, series) in [("1.1", "1.2.9.1"), ("1.2", "1.2.9.1"), ("1.3", "1.2.9.2")] {
        store(&archive, arrival(sop, "CAM"), &slice(sop, series, 0.0, 0)).unwrap();
    }
    let query = Query {
        level: crate::archive::query::QueryLevel::Series,
        conditions: Vec::new(),
        limit: usize::MAX,
    };
    let before = archive.query(&query).unwrap();
    assert_eq!(before.iter().map(|found| found.instances).collect::<Vec<_>>(), [2, 1]);
    drop(archive);
    let index = Connection::open(directory.path().join("index.sqlite")).unwrap();
    index
        .execute_batch(
            "DROP TABLE series; DROP TRIGGER series_gains; DROP TRIGGER series_loses; \
             DROP TRIGGER series_misses;",
        )
        .unwrap();
    forget_commitments(&index);
    index.pragma_update(None, "user_version", 1).unwrap();
    drop(index);
    let archive = open(directory.path());
    let series = |found: &[Match]| -> Vec<(Uid, u64)> {
        found.iter().map(|found| (found.header.series.clone(), found.instances)).collect()
    };
    assert_eq!(series(&archive.query(&query).unwrap()), series(&before));
    store(&archive, arrival("1.4", "CAM"), &slice("1.4", "1.2.9.2", 1.0, 0)).unwrap();
    assert_eq!(archive.query(&query).unwrap()[1].instances, 2);
}

/// Takes from an index what version 3 brought.
fn forget_commitments(index: &Connection) {
    let of_version_3 = "DROP TABLE announcements; DROP INDEX deliveries_by_peer; \
        DROP INDEX deliveries_by_transaction; ALTER TABLE deliveries DROP COLUMN transaction_uid; \
        ALTER TABLE deliveries DROP COLUMN asked; ALTER TABLE deliveries DROP COLUMN refused; \
        PRAGMA user_version = 2;";
    index.execute_batch(of_version_3).unwrap();
}

/// A store with one delivered and one waiting delivery.
fn with_deliveries(directory: &Path) {
    let archive = open(directory);
    let (job, _) = archive.enqueue("a", "course", "{}").unwrap();
    archive.lease("w", 60).unwrap().unwrap();
    put(&archive, 1, 0).unwrap();
    let results = vec![all(&archive)[0].header.sop_instance.clone()];
    let deliver = ["pacs", "viewer"].map(|peer| (peer.into(), results[0].clone())).into();
    archive
        .finish(job, "w", JobEnd::Done { results, deliver, announce_to: Vec::new() }, 3)
        .unwrap();
    let first = archive.due_deliveries(Timestamp::now(), 1).unwrap()[0].id;
    archive.finish_delivery(first, DeliveryEnd::Delivered).unwrap();
}

#[test]
fn an_index_of_version_2_learns_of_commitments_and_keeps_its_deliveries() {
    let directory = tempfile::tempdir().unwrap();
    with_deliveries(directory.path());
    let index = Connection::open(directory.path().join("index.sqlite")).unwrap();
    forget_commitments(&index);
    drop(index);
    let archive = open(directory.path());
    let states: Vec<_> = archive.deliveries(9).unwrap().iter().map(|d| d.state).collect();
    assert_eq!(states, [DeliveryState::Waiting, DeliveryState::Delivered]);
    let due = archive.due_commitments("pacs", Timestamp::now(), 9).unwrap();
    assert_eq!(due.len(), 1, "what was delivered before can be asked about");
    assert_eq!((due[0].asked, due[0].refused, due[0].transaction.clone()), (0, 0, None));
    archive.step_commitments(&[(due[0].id, CommitmentStep::Committed)]).unwrap();
    drop(archive);
    assert_eq!(open(directory.path()).deliveries(9).unwrap()[1].state, DeliveryState::Committed);
}

#[test]
fn deliveries_of_a_damaged_index_of_version_2_are_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    with_deliveries(directory.path());
    let index = Connection::open(directory.path().join("index.sqlite")).unwrap();
    forget_commitments(&index);
    damage(&index);
    drop(index);
    let archive = open(directory.path());
    let events: Vec<String> =
        archive.audit_trail(99).unwrap().into_iter().map(|line| line.event).collect();
    assert!(events.contains(&"index-rebuilt".into()), "{events:?}");
    assert_eq!(archive.deliveries(9).unwrap().len(), 2);
    assert_eq!(archive.jobs(9).unwrap().len(), 1);
}
