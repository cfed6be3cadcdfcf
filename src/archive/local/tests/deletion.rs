//! What is deleted is gone as a whole, and nothing else is.

use super::*;

#[test]
fn what_is_deleted_is_gone_with_its_line_and_stays_gone() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path());
    for n in 1..=3 {
        put(&archive, n, 0).unwrap();
    }
    assert_eq!(archive.delete(&uid("1.2.8"), &[uid("1.2.9.1.1")], "x").unwrap(), 0, "other study");
    assert_eq!(delete_but_one(&archive).unwrap(), 2);
    let kept = all(&archive);
    assert_eq!(kept.len(), 1);
    assert_eq!(files(&directory.path().join("objects")).len(), 1);
    assert!(files(&directory.path().join("trash")).is_empty());
    let line = &archive.audit_trail(1).unwrap()[0];
    let said = (line.event.as_str(), line.object.as_deref(), line.outcome.as_str());
    assert_eq!(said, ("study-deleted", Some("1.2.9"), "2 instances; test"));
    drop(archive);
    let archive = open(directory.path());
    assert_eq!(all(&archive), kept);
    assert!(matches!(put(&archive, 1, 0).unwrap(), Receipt::Stored(_)), "it may come again");
}

#[test]
fn any_disk_operation_may_fail_while_deleting() {
    for n in 1.. {
        let directory = fast_directory();
        let disk = Disk::default();
        let faults = disk.faults.clone();
        let archive =
            LocalArchive::open_on(disk, &settings(directory.path()), TimeZone::UTC).unwrap();
        for sop in 1..=3 {
            put(&archive, sop, 0).unwrap();
        }
        faults.arm(n, rustix::io::Errno::IO.raw_os_error());
        let deleted = delete_but_one(&archive);
        let struck = faults.struck();
        drop(archive);
        let archive = open(directory.path());
        let left = all(&archive).len();
        assert_eq!(left, if deleted.is_ok() { 1 } else { 3 }, "all of it or nothing (n = {n})");
        assert_eq!(files(&directory.path().join("objects")).len(), left);
        assert!(files(&directory.path().join("trash")).is_empty());
        check_invariants(&archive, &[uid("1.2.9.1.2")]);
        let said = archive.audit_trail(99).unwrap();
        assert_eq!(said.iter().any(|line| line.event == "study-deleted"), deleted.is_ok());
        if !struck {
            assert!(n > 6, "only {n} points were swept");
            return;
        }
    }
}

#[test]
fn a_crash_between_trash_and_rows_brings_objects_back_and_one_after_removes_them() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path());
    put(&archive, 1, 0).unwrap();
    let kept = all(&archive);
    let layout = archive.store.layout.clone();
    drop(archive);
    let (object, trashed) = (layout.object(&kept[0].sha256), layout.trashed(&kept[0].sha256));
    std::fs::rename(&object, &trashed).unwrap();
    let archive = open(directory.path());
    assert_eq!(all(&archive), kept, "its row was there: nothing had been deleted");
    check_invariants(&archive, &[uid("1.2.9.1.1")]);
    archive.delete(&uid("1.2.9"), &[uid("1.2.9.1.1")], "test").unwrap();
    drop(archive);
    std::fs::write(&trashed, b"its row was gone").unwrap();
    let archive = open(directory.path());
    assert!(all(&archive).is_empty() && files(&layout.trash()).is_empty());
}

#[test]
fn senders_and_deletion_at_once_leave_no_row_without_its_object() {
    let directory = fast_directory();
    let archive = open(directory.path());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for n in 0..40 {
                    put(&archive, n % 4, 0).unwrap();
                }
            });
        }
        scope.spawn(|| {
            let uids: Vec<Uid> = (0..4).map(|n| uid(&format!("1.2.9.1.{n}"))).collect();
            for _ in 0..20 {
                archive.delete(&uid("1.2.9"), &uids, "test").unwrap();
            }
        });
    });
    let left: Vec<Uid> = all(&archive).into_iter().map(|i| i.header.sop_instance).collect();
    check_invariants(&archive, &left);
    assert_eq!(files(&directory.path().join("objects")).len(), left.len());
}
