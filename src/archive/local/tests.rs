use super::*;
use crate::archive::contract::{self, all, arrival, slice, store, uid};
use crate::archive::{DeliveryState, JobState, Receipt};
use proptest::prelude::*;
use rusqlite::Connection;
use std::io::{Error, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};

mod deletion;
mod power;
mod versions;

/// Is told each disk operation before it is done.
type Watcher = Box<dyn FnMut(super::disk::Operation<'_>) + Send>;

/// Makes the n-th disk operation from now fail once, with an error code.
#[derive(Default)]
pub(in crate::archive) struct Faults {
    countdown: AtomicI64,
    code: AtomicI32,
    watcher: std::sync::Mutex<Option<Watcher>>,
}

impl Faults {
    pub(super) fn strike(&self, operation: super::disk::Operation<'_>) -> std::io::Result<()> {
        if let Some(watcher) = self.watcher.lock().unwrap().as_mut() {
            watcher(operation);
        }
        if self.countdown.load(Ordering::SeqCst) > 0
            && self.countdown.fetch_sub(1, Ordering::SeqCst) == 1
        {
            return Err(Error::from_raw_os_error(self.code.load(Ordering::SeqCst)));
        }
        Ok(())
    }

    pub(in crate::archive) fn arm(&self, n: i64, code: i32) {
        self.code.store(code, Ordering::SeqCst);
        self.countdown.store(n, Ordering::SeqCst);
    }

    /// Whether the fault has struck; disarms it.
    pub(in crate::archive) fn struck(&self) -> bool {
        self.countdown.swap(0, Ordering::SeqCst) <= 0
    }
}

pub(super) fn settings(directory: &Path) -> StorageSettings {
    StorageSettings { directory: directory.into(), reserve_mb: 0, ..Default::default() }
}

pub(super) fn open(directory: &Path) -> LocalArchive {
    LocalArchive::open(&settings(directory), TimeZone::UTC).unwrap()
}

fn open_boxed(directory: &Path) -> Box<dyn Archive> {
    Box::new(open(directory))
}

contract::contract_tests!(open_boxed);

pub(super) fn put(archive: &dyn Archive, n: u32, fill: u8) -> Result<Receipt, ArchiveError> {
    let sop = format!("1.2.9.1.{n}");
    store(archive, arrival(&sop, "CAM"), &slice(&sop, "1.2.9.1", f64::from(n), fill))
}

pub(super) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// In memory where the system has such a place: sweeps open hundreds of stores.
pub(super) fn fast_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// What must hold at any moment: every row's object is there and intact, nothing is half received.
pub(super) fn check_invariants(archive: &LocalArchive, acknowledged: &[Uid]) {
    let found = all(archive);
    for sop in acknowledged {
        assert!(found.iter().any(|i| i.header.sop_instance == *sop), "{sop} was acknowledged");
    }
    for instance in &found {
        assert!(archive.verify(&instance.header.sop_instance).unwrap());
    }
    assert!(archive.audit_is_intact().unwrap());
}

/// Fails the n-th disk operation for n = 1, 2, ... until none fails any more.
fn sweep(code: i32, scenario: impl Fn(&LocalArchive) -> Vec<Uid>) -> i64 {
    for n in 1.. {
        let directory = fast_directory();
        let disk = Disk::default();
        let faults = disk.faults.clone();
        let archive =
            LocalArchive::open_on(disk, &settings(directory.path()), TimeZone::UTC).unwrap();
        faults.arm(n, code);
        let acknowledged = scenario(&archive);
        let struck = faults.struck();
        check_invariants(&archive, &acknowledged);
        // The node goes on: what failed can be sent again.
        put(&archive, 77, 0).unwrap();
        drop(archive);
        let archive = open(directory.path());
        assert!(files(&directory.path().join("incoming")).is_empty());
        check_invariants(&archive, &acknowledged);
        if !struck {
            return n - 1;
        }
    }
    unreachable!("a scenario ends")
}

/// Everything of study 1.2.9 but instance 2.
fn delete_but_one(archive: &LocalArchive) -> Result<u64, ArchiveError> {
    archive.delete(&uid("1.2.9"), &[uid("1.2.9.1.1"), uid("1.2.9.1.3"), uid("1.2.9.1.99")], "test")
}

#[test]
fn any_disk_operation_may_fail_while_receiving() {
    use rustix::io::Errno;
    for code in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::MFILE, Errno::ROFS] {
        let points = sweep(code.raw_os_error(), |archive| {
            let mut acknowledged = Vec::new();
            for (n, fill) in [(1, 0), (2, 0), (1, 0), (1, 9)] {
                match put(archive, n, fill) {
                    Ok(Receipt::Stored(i) | Receipt::Duplicate(i)) => {
                        acknowledged.push(i.header.sop_instance);
                    }
                    Ok(Receipt::Conflict { kept, quarantined_sha256 }) => {
                        acknowledged.push(kept.header.sop_instance.clone());
                        let kept_aside = archive.store.layout.quarantined(&quarantined_sha256);
                        assert!(kept_aside.is_file());
                    }
                    Err(error) => assert_eq!(error.dimse_status(), 0xA700, "{error}"),
                }
            }
            acknowledged
        });
        assert!(points > 30, "only {points} points were swept");
    }
}

#[test]
fn any_disk_operation_may_fail_while_a_job_ends() {
    let points = sweep(rustix::io::Errno::IO.raw_os_error(), |archive| {
        let Ok(Receipt::Stored(result)) = put(archive, 1, 0) else { return Vec::new() };
        let result = result.header.sop_instance;
        let run = || -> Result<(), ArchiveError> {
            let (id, _) = archive.enqueue("key", "course", "{}")?;
            archive.lease("w", 60)?;
            let end = JobEnd::Done {
                results: vec![result.clone()],
                deliver: vec![("pacs".into(), result.clone())],
                announce_to: Vec::new(),
            };
            archive.finish(id, "w", end, 3)
        };
        let ended = run();
        let done = archive.jobs(1).unwrap().first().is_some_and(|job| job.state == JobState::Done);
        assert_eq!(done, ended.is_ok());
        let queued = archive.deliveries(9).unwrap();
        assert_eq!(queued.len(), usize::from(done), "results and deliveries go together");
        assert!(queued.iter().all(|d| d.state == DeliveryState::Waiting));
        vec![result]
    });
    assert!(points >= 10, "only {points} points were swept");
}

#[test]
fn any_disk_operation_may_fail_at_start() {
    for n in 1.. {
        let directory = fast_directory();
        let disk = Disk::default();
        disk.faults.arm(n, rustix::io::Errno::IO.raw_os_error());
        let faults = disk.faults.clone();
        let opened = LocalArchive::open_on(disk, &settings(directory.path()), TimeZone::UTC);
        let struck = faults.struck();
        assert_eq!(opened.is_err(), struck);
        drop(opened);
        put(&open(directory.path()), 1, 0).unwrap();
        if !struck {
            assert!(n > 256, "only {n} points were swept");
            return;
        }
    }
}

#[test]
fn a_failed_fsync_is_never_taken_for_success() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let faults = disk.faults.clone();
    let archive = LocalArchive::open_on(disk, &settings(directory.path()), TimeZone::UTC).unwrap();
    let mut incoming = archive.receive(arrival("1.2.9.1.1", "CAM")).unwrap();
    incoming.write(&slice("1.2.9.1.1", "1.2.9.1", 0.0, 0)).unwrap();
    faults.arm(1, rustix::io::Errno::IO.raw_os_error());
    let error = incoming.commit().unwrap_err();
    assert!(matches!(error, ArchiveError::Storage { step: "sync object", .. }), "{error}");
    assert!(files(&directory.path().join("incoming")).is_empty());
    assert!(files(&directory.path().join("objects")).is_empty());
}

#[test]
fn start_removes_what_was_half_received() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    std::fs::write(directory.path().join("incoming/00000001-0.part"), b"half").unwrap();
    drop(open(directory.path()));
    assert!(files(&directory.path().join("incoming")).is_empty());
}

#[test]
fn a_missing_or_damaged_index_is_rebuilt_from_the_objects() {
    for damage in ["missing", "garbage", "page", "truncated"] {
        let directory = tempfile::tempdir().unwrap();
        let archive = open(directory.path());
        for n in 0..40 {
            put(&archive, n, 0).unwrap();
        }
        let before = all(&archive);
        drop(archive);
        let index = directory.path().join("index.sqlite");
        let length = std::fs::metadata(&index).unwrap().len();
        match damage {
            "missing" => std::fs::remove_file(&index).unwrap(),
            "garbage" => std::fs::write(&index, vec![0xA5; 8192]).unwrap(),
            "page" => {
                let mut file = std::fs::OpenOptions::new().write(true).open(&index).unwrap();
                file.seek(SeekFrom::Start(4096)).unwrap();
                file.write_all(&vec![0xA5; 4096]).unwrap();
            }
            _ => {
                let file = std::fs::OpenOptions::new().write(true).open(&index).unwrap();
                file.set_len(length - 4096 - 1).unwrap();
            }
        }
        let archive = open(directory.path());
        assert_eq!(all(&archive), before, "{damage}");
        let trail = archive.audit_trail(1).unwrap();
        assert_eq!(trail[0].event, "index-rebuilt", "{damage}");
        put(&archive, 99, 0).unwrap();
    }
}

#[test]
fn a_log_of_the_index_that_was_cut_or_lost_costs_no_instance() {
    for keep in [0, 1, 2] {
        let directory = fast_directory();
        let archive = open(directory.path());
        for n in 0..20 {
            put(&archive, n, 0).unwrap();
        }
        let before = all(&archive);
        // As a crash leaves it, since a sound end would empty the log first: the files are copied
        // under the open archive, the log in part.
        let crashed = fast_directory();
        for file in files(directory.path()) {
            let to = crashed.path().join(file.strip_prefix(directory.path()).unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&file, to).unwrap();
        }
        std::fs::remove_file(crashed.path().join("index.sqlite-shm")).unwrap();
        let log = crashed.path().join("index.sqlite-wal");
        let length = std::fs::metadata(&log).unwrap().len();
        assert!(length > 100_000, "the log holds the rows");
        std::fs::File::options()
            .write(true)
            .open(&log)
            .unwrap()
            .set_len(length * keep / 2)
            .unwrap();
        let again = open(crashed.path());
        assert_eq!(all(&again), before, "{keep} halves of the log are left");
        assert!(again.audit_is_intact().unwrap());
    }
}

/// Row and index of the table of instances disagree: quick_check finds it, the rest is sound.
fn damage(index: &Connection) {
    index
        .execute_batch(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = \
             (SELECT rootpage FROM sqlite_schema WHERE name = 'notes') \
             WHERE name = 'instances_by_study';",
        )
        .unwrap();
}

#[test]
fn jobs_notes_and_audit_are_taken_over_from_a_damaged_index() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path());
    archive.put_note("course", "state").unwrap();
    archive.enqueue("key", "course", "{}").unwrap();
    put(&archive, 1, 0).unwrap();
    drop(archive);
    damage(&Connection::open(directory.path().join("index.sqlite")).unwrap());
    let archive = open(directory.path());
    assert_eq!(archive.note("course").unwrap().as_deref(), Some("state"));
    assert_eq!(archive.jobs(9).unwrap().len(), 1);
    assert_eq!(all(&archive).len(), 1);
    assert!(archive.audit_is_intact().unwrap());
    let events: Vec<String> =
        archive.audit_trail(9).unwrap().into_iter().map(|l| l.event).collect();
    assert!(events.contains(&"index-rebuilt".into()) && events.contains(&"job-queued".into()));
}

#[test]
fn a_lost_object_is_marked_alarmed_and_can_be_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path());
    put(&archive, 1, 0).unwrap();
    put(&archive, 2, 0).unwrap();
    std::fs::remove_file(archive.path(&uid("1.2.9.1.1")).unwrap()).unwrap();
    drop(archive);
    let archive = open(directory.path());
    assert_eq!(all(&archive).len(), 1);
    let line = &archive.audit_trail(1).unwrap()[0];
    assert_eq!(
        (line.event.as_str(), line.object.as_deref()),
        ("instance-missing", Some("1.2.9.1.1"))
    );
    assert!(matches!(put(&archive, 1, 0).unwrap(), Receipt::Stored(_)));
    check_invariants(&archive, &[uid("1.2.9.1.1"), uid("1.2.9.1.2")]);
}

#[test]
fn rot_is_found_set_aside_and_healed_by_sending_again() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path());
    put(&archive, 1, 0).unwrap();
    let path = archive.path(&uid("1.2.9.1.1")).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(!archive.verify(&uid("1.2.9.1.1")).unwrap());
    assert!(all(&archive).is_empty());
    assert_eq!(archive.audit_trail(1).unwrap()[0].event, "instance-rotten");
    assert_eq!(files(&directory.path().join("quarantine")).len(), 1);
    assert!(matches!(put(&archive, 1, 0).unwrap(), Receipt::Stored(_)));
    assert!(archive.verify(&uid("1.2.9.1.1")).unwrap());
}

#[test]
fn reading_everything_back_in_stretches_finds_rot_wherever_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path());
    for n in 0..10 {
        put(&archive, n, 0).unwrap();
    }
    let (cut, flipped) = (uid("1.2.9.1.3"), uid("1.2.9.1.7"));
    let path = archive.path(&cut).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(600).unwrap();
    let path = archive.path(&flipped).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (mut checked, mut rotten, mut after) = (0, Vec::new(), None);
    loop {
        let found = archive.scrub(after.as_ref(), 3).unwrap();
        checked += found.checked;
        rotten.extend(found.rotten);
        after = found.last;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((checked, rotten), (10, vec![cut, flipped]));
    assert_eq!(all(&archive).len(), 8);
}

#[test]
fn an_index_made_anew_on_request_loses_nothing_and_keeps_the_old_one_aside() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path());
    put(&archive, 1, 0).unwrap();
    archive.put_note("course", "state").unwrap();
    archive.enqueue("key", "course", "{}").unwrap();
    let before = all(&archive);
    let head = archive.check_audit().unwrap().head;
    let busy = LocalArchive::reindex(&settings(directory.path()), TimeZone::UTC);
    assert!(matches!(busy.err(), Some(ArchiveError::InUse(_))), "not under a running node");
    drop(archive);
    let archive = LocalArchive::reindex(&settings(directory.path()), TimeZone::UTC).unwrap();
    assert_eq!(all(&archive), before);
    assert_eq!(archive.note("course").unwrap().as_deref(), Some("state"));
    assert_eq!(archive.jobs(9).unwrap().len(), 1);
    assert!(archive.audit_is_intact().unwrap() && archive.audit_holds(&head).unwrap());
    assert_eq!(archive.audit_trail(1).unwrap()[0].event, "index-rebuilt");
    assert!(directory.path().join("index.replaced-1.sqlite").is_file());
}

#[test]
fn two_objects_under_one_uid_are_told_apart_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path());
    put(&archive, 1, 0).unwrap();
    let Receipt::Conflict { kept, quarantined_sha256 } = put(&archive, 1, 5).unwrap() else {
        panic!("a conflict was wanted")
    };
    // As after a crash between rename and quarantine, with the index lost as well.
    let layout = archive.store.layout.clone();
    drop(archive);
    std::fs::rename(layout.quarantined(&quarantined_sha256), layout.object(&quarantined_sha256))
        .unwrap();
    std::fs::remove_file(layout.index()).unwrap();
    let archive = open(directory.path());
    assert_eq!(all(&archive), [*kept]);
    assert!(layout.quarantined(&quarantined_sha256).is_file());
}

#[test]
fn one_node_at_a_time_owns_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path());
    let second = LocalArchive::open(&settings(directory.path()), TimeZone::UTC);
    assert!(matches!(second.err(), Some(ArchiveError::InUse(_))));
    let beside = LocalArchive::attach(&settings(directory.path()), TimeZone::UTC).unwrap();
    put(&beside, 1, 0).unwrap();
    assert_eq!(all(&archive).len(), 1);
}

#[test]
fn limits_of_size_and_space_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let full = StorageSettings { reserve_mb: u64::MAX / MIB, ..settings(directory.path()) };
    let archive = LocalArchive::open(&full, TimeZone::UTC).unwrap();
    let error = put(&archive, 1, 0).unwrap_err();
    assert!(matches!(error, ArchiveError::OutOfSpace { .. }), "{error}");
    drop(archive);
    let small = StorageSettings { instance_limit_mb: 1, ..settings(directory.path()) };
    let archive = LocalArchive::open(&small, TimeZone::UTC).unwrap();
    let mut incoming = archive.receive(arrival("1.2.9.1.1", "CAM")).unwrap();
    incoming.write(&vec![0; MIB as usize]).unwrap();
    let error = incoming.write(&[0]).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { limit_bytes: MIB }), "{error}");
    drop(incoming);
    assert!(files(&directory.path().join("incoming")).is_empty());
}

#[test]
fn a_changed_or_cut_audit_trail_is_noticed() {
    for tamper in [
        "UPDATE audit SET outcome = 'x' WHERE id = 1",
        "DELETE FROM audit WHERE id = 1",
        "DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let archive = open(directory.path());
        put(&archive, 1, 0).unwrap();
        put(&archive, 2, 0).unwrap();
        assert!(archive.audit_is_intact().unwrap());
        let index = Connection::open(archive.store.layout.index()).unwrap();
        assert!(index.execute(tamper, []).is_err(), "the trail is append-only");
        index
            .execute_batch("DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_cut;")
            .unwrap();
        index.execute(tamper, []).unwrap();
        assert!(!archive.audit_is_intact().unwrap(), "{tamper}");
    }
}

#[test]
fn a_trail_that_was_rewritten_whole_does_not_hold_what_was_noted_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path());
    put(&archive, 1, 0).unwrap();
    put(&archive, 2, 0).unwrap();
    let noted = archive.check_audit().unwrap().head;
    assert_eq!(noted.to_string().parse::<crate::archive::AuditHead>(), Ok(noted.clone()));
    put(&archive, 3, 0).unwrap();
    assert!(archive.audit_holds(&noted).unwrap(), "later lines change nothing");
    // All lines but the first, written anew by who knows how the chain is made.
    let lines = archive.audit_after(0, 9).unwrap();
    let index = Connection::open(archive.store.layout.index()).unwrap();
    index
        .execute_batch(
            "DROP TRIGGER audit_is_not_cut; DELETE FROM audit; \
             DELETE FROM sqlite_sequence WHERE name = 'audit'",
        )
        .unwrap();
    for (_, event) in lines.iter().skip(1) {
        audit::append(&index, event).unwrap();
    }
    assert!(archive.audit_is_intact().unwrap(), "the chain by itself cannot show it");
    assert!(!archive.audit_holds(&noted).unwrap());
}

#[test]
fn leases_end_with_the_boot_they_were_given_in() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path());
    archive.enqueue("key", "course", "{}").unwrap();
    archive.lease("w", 1_000_000).unwrap().unwrap();
    assert!(archive.lease("w2", 60).unwrap().is_none());
    let index = Connection::open(archive.store.layout.index()).unwrap();
    index.execute("UPDATE jobs SET lease_boot = 'an earlier boot'", []).unwrap();
    assert_eq!(archive.lease("w2", 60).unwrap().unwrap().attempts, 2);
}

#[test]
fn a_locked_index_is_refused_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path());
    let other = Connection::open(archive.store.layout.index()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = put(&archive, 1, 0).unwrap_err();
    assert_eq!(error.dimse_status(), 0xA700, "{error}");
    other.execute_batch("COMMIT").unwrap();
    assert!(matches!(put(&archive, 1, 0).unwrap(), Receipt::Stored(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Any order of arrivals, any cut into writes, any restarts: the archive holds the first
    /// bytes of each UID, whole.
    #[test]
    fn the_first_bytes_of_each_uid_stand(
        steps in prop::collection::vec((0u32..4, 0u8..3, 1usize..600, any::<bool>()), 1..16),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut archive = open(directory.path());
        let mut first = std::collections::BTreeMap::new();
        for (n, fill, cut, restart) in steps {
            let sop = format!("1.2.9.1.{n}");
            let data = slice(&sop, "1.2.9.1", f64::from(n), fill);
            let mut incoming = archive.receive(arrival(&sop, "CAM")).unwrap();
            for chunk in data.chunks(cut) {
                incoming.write(chunk).unwrap();
            }
            let receipt = incoming.commit().unwrap();
            let standing = *first.entry(n).or_insert(fill);
            match receipt {
                Receipt::Stored(_) | Receipt::Duplicate(_) => prop_assert_eq!(standing, fill),
                Receipt::Conflict { .. } => prop_assert_ne!(standing, fill),
            }
            if restart {
                drop(archive);
                archive = open(directory.path());
            }
        }
        prop_assert_eq!(all(&archive).len(), first.len());
        for (n, fill) in first {
            let path = archive.path(&uid(&format!("1.2.9.1.{n}"))).unwrap();
            prop_assert_eq!(std::fs::read(path).unwrap().last().copied(), Some(fill));
        }
    }
}
