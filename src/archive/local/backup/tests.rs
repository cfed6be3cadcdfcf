use super::super::tests::{check_invariants, fast_directory, files, open, put, settings};
use super::*;
use crate::archive::contract::{all, uid};
use crate::archive::{Archive, Receipt};
use jiff::tz::TimeZone;

fn restore(from: &Path, to: &Path) -> Result<BackupReport, ArchiveError> {
    LocalArchive::restore(from, &settings(to), TimeZone::UTC)
}

/// An archive of `count` instances and a folder for its backup.
fn filled(count: u32) -> (tempfile::TempDir, LocalArchive, tempfile::TempDir) {
    let directory = fast_directory();
    let archive = open(directory.path());
    for n in 0..count {
        put(&archive, n, 0).unwrap();
    }
    (directory, archive, fast_directory())
}

#[test]
fn a_backup_made_while_senders_store_shows_one_moment_whole() {
    let (_directory, archive, backup) = filled(20);
    let before = all(&archive);
    archive.put_note("course", "state").unwrap();
    std::thread::scope(|scope| {
        for sender in 1..4 {
            let archive = &archive;
            scope.spawn(move || {
                for n in 0..30 {
                    put(archive, sender * 1000 + n, 0).unwrap();
                }
            });
        }
        archive.back_up(backup.path()).unwrap();
    });
    let restored = fast_directory();
    let report = restore(backup.path(), restored.path()).unwrap();
    assert!(report.damaged.is_empty());
    assert_eq!(report.copied, report.manifest.objects);
    let again = open(restored.path());
    let there = all(&again);
    assert!(before.iter().all(|instance| there.contains(instance)), "what was there is there");
    assert_eq!(there.len() as u64, report.manifest.objects);
    assert!(all(&archive).len() >= there.len());
    assert!(again.audit_holds(&report.manifest.audit).unwrap());
    assert_eq!(again.note("course").unwrap().as_deref(), Some("state"));
    let held: Vec<Uid> = there.iter().map(|i| i.header.sop_instance.clone()).collect();
    check_invariants(&again, &held);
}

#[test]
fn a_second_backup_copies_only_what_is_new() {
    let (_directory, archive, backup) = filled(5);
    assert_eq!(archive.back_up(backup.path()).unwrap().copied, 5);
    put(&archive, 9, 0).unwrap();
    assert!(matches!(put(&archive, 9, 1), Ok(Receipt::Conflict { .. })));
    let second = archive.back_up(backup.path()).unwrap();
    assert_eq!((second.copied, second.manifest.objects), (1, 6));
    let restored = fast_directory();
    restore(backup.path(), restored.path()).unwrap();
    assert_eq!(all(&open(restored.path())), all(&archive));
    assert_eq!(files(&restored.path().join("quarantine")).len(), 1);
}

#[test]
fn rot_does_not_get_into_a_backup_nor_out_of_one() {
    let flip = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    let (_directory, archive, backup) = filled(3);
    flip(&archive.path(&uid("1.2.9.1.1")).unwrap());
    let report = archive.back_up(backup.path()).unwrap();
    assert_eq!((report.copied, report.damaged), (2, vec![uid("1.2.9.1.1")]));
    let kept = files(&backup.path().join("objects"));
    flip(&kept[0]);
    let restored = fast_directory();
    let report = restore(backup.path(), restored.path()).unwrap();
    assert_eq!((report.copied, report.damaged.len()), (1, 1));
    let again = open(restored.path());
    let whole = all(&again);
    assert_eq!(whole.len(), 1);
    check_invariants(&again, &[whole[0].header.sop_instance.clone()]);
    let missing = again.audit_trail(99).unwrap();
    assert!(missing.iter().any(|line| line.event == "instance-missing"));
}

#[test]
fn what_is_no_whole_backup_is_not_restored_and_no_archive_is_overwritten() {
    let (directory, archive, backup) = filled(2);
    let empty = fast_directory();
    let error = restore(empty.path(), &empty.path().join("store")).unwrap_err();
    assert!(error.to_string().contains("no whole backup"), "{error}");
    archive.back_up(backup.path()).unwrap();
    let error = restore(backup.path(), directory.path()).unwrap_err();
    assert!(error.to_string().contains("holds an archive already"), "{error}");
    let stuffed = fast_directory();
    std::fs::write(stuffed.path().join("letter.txt"), "x").unwrap();
    let error = archive.back_up(stuffed.path()).unwrap_err();
    assert!(error.to_string().contains("neither empty nor an earlier backup"), "{error}");
    let error = archive.back_up(&directory.path().join("backup")).unwrap_err();
    assert!(error.to_string().contains("lie within each other"), "{error}");

    let manifest = backup.path().join("backup.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let newer = text.replace(
        &format!("\"schema\": {}", schema::SCHEMA),
        &format!("\"schema\": {}", schema::SCHEMA + 1),
    );
    assert_ne!(newer, text);
    std::fs::write(&manifest, newer).unwrap();
    let to = fast_directory();
    let error = restore(backup.path(), to.path()).unwrap_err();
    assert!(matches!(error, ArchiveError::NewerSchema { .. }), "{error}");
    std::fs::write(&manifest, text).unwrap();
    let index = backup.path().join("index.sqlite");
    let mut bytes = std::fs::read(&index).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&index, bytes).unwrap();
    let error = restore(backup.path(), to.path()).unwrap_err();
    assert!(error.to_string().contains("not the one that was written"), "{error}");
}

#[test]
fn any_disk_operation_may_fail_while_backing_up() {
    for n in 1.. {
        let directory = fast_directory();
        let disk = disk::Disk::default();
        let faults = disk.faults.clone();
        let archive =
            LocalArchive::open_on(disk, &settings(directory.path()), TimeZone::UTC).unwrap();
        put(&archive, 1, 0).unwrap();
        let backup = fast_directory();
        archive.back_up(backup.path()).unwrap();
        put(&archive, 2, 0).unwrap();
        faults.arm(n, rustix::io::Errno::NOSPC.raw_os_error());
        let made = archive.back_up(backup.path());
        let struck = faults.struck();
        assert!(made.is_ok() || struck);
        if made.is_err() {
            // A failure to say so in the trail comes after the backup is whole.
            let restored = fast_directory();
            match restore(backup.path(), restored.path()) {
                Ok(report) => assert!(report.damaged.is_empty()),
                Err(error) => assert!(error.to_string().contains("no whole backup"), "{error}"),
            }
        }
        assert_eq!(archive.back_up(backup.path()).unwrap().manifest.objects, 2);
        check_invariants(&archive, &[uid("1.2.9.1.1"), uid("1.2.9.1.2")]);
        if !struck {
            assert!(n > 10, "only {n} points were swept");
            return;
        }
    }
}
