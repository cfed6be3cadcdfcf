//! The archive from outside: hostile data sets, a disk that is full or read-only, real data.

// Clippy's allowance for tests does not reach the functions that they share.
#![allow(clippy::unwrap_used)]

#[path = "archive/hostile.rs"]
mod hostile;

use grayd::archive::{
    Archive, ArchiveError, Arrival, InstanceFilter, LocalArchive, Receipt, StorageSettings,
};
use grayd::dicom::gate::{self, TransferSyntaxKind};
use grayd::dicom::{InstanceHeader, Uid};
use hostile::{Expected, Fixture};
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::process::Command;

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

fn open(directory: &Path) -> LocalArchive {
    let settings =
        StorageSettings { directory: directory.into(), reserve_mb: 0, ..Default::default() };
    LocalArchive::open(&settings, TimeZone::UTC).unwrap()
}

fn send(archive: &dyn Archive, syntax: &str, data: &[u8]) -> Result<Receipt, ArchiveError> {
    let arrival = Arrival {
        sop_class: uid(hostile::PET),
        sop_instance: uid(hostile::SOP),
        transfer_syntax: uid(syntax),
        calling_ae: "HOSTILE".into(),
    };
    let mut incoming = archive.receive(arrival)?;
    incoming.write(data)?;
    incoming.commit()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// In memory where the system has such a place: each fixture meets a store of its own.
fn fast_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

#[test]
fn the_hostile_fixtures_are_what_the_code_makes() {
    let mut expected: Vec<PathBuf> = Vec::new();
    for Fixture { name, data, .. } in hostile::all() {
        let path = folder().join(format!("{name}.bin"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(folder()).unwrap();
            std::fs::write(&path, &data).unwrap();
        }
        let kept = std::fs::read(&path).unwrap_or_default();
        assert_eq!(kept, data, "{name} differs; UPDATE=1 writes it anew");
        expected.push(path);
    }
    let mut found = files(&folder());
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "a file in fixtures/hostile is not made by the code");
}

#[test]
fn every_hostile_data_set_is_refused_or_handled_as_its_name_says() {
    for Fixture { name, syntax, data, expected } in hostile::all() {
        let directory = fast_directory();
        let archive = open(directory.path());
        let result = send(&archive, syntax, &data);
        match expected {
            Expected::Status(status) => {
                let error = result.expect_err(name);
                assert_eq!(error.dimse_status(), status, "{name}: {error}");
                assert!(!error.to_string().contains("SECRET"), "{name} echoes what it was sent");
                assert!(archive.instances(&InstanceFilter::default()).unwrap().is_empty());
                let objects = files(&directory.path().join("objects"));
                assert!(objects.is_empty(), "{name} left {objects:?}");
            }
            Expected::Stored => {
                let Receipt::Stored(instance) = result.expect(name) else { panic!("{name}") };
                let path = archive.path(&instance.header.sop_instance).unwrap();
                let kept = std::fs::read(&path).unwrap();
                assert!(kept.ends_with(&data), "{name} was changed");
                let reread = InstanceHeader::read(&path, &TimeZone::UTC).unwrap();
                assert_eq!(reread, instance.header);
            }
        }
        assert!(files(&directory.path().join("incoming")).is_empty(), "{name}");
        let inside = files(directory.path());
        assert!(inside.iter().all(|p| p.starts_with(directory.path())), "{name}: {inside:?}");
    }
}

#[test]
fn a_million_levels_are_refused_without_a_stack() {
    for depth in [65, 10_000, 1_000_000] {
        let data = hostile::unclosed(depth);
        // A thread of 128 KiB, a sixteenth of what the parser would have.
        let refused = std::thread::Builder::new()
            .stack_size(128 * 1024)
            .spawn(move || gate::check(&data, TransferSyntaxKind::ExplicitLittle).is_err())
            .unwrap()
            .join()
            .unwrap();
        assert!(refused, "{depth} levels");
    }
}

#[test]
fn the_second_object_under_one_uid_does_not_replace_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path());
    let explicit = "1.2.840.10008.1.2.1";
    assert!(matches!(send(&archive, explicit, &hostile::sound(1)), Ok(Receipt::Stored(_))));
    assert!(matches!(send(&archive, explicit, &hostile::sound(2)), Ok(Receipt::Conflict { .. })));
    assert!(matches!(send(&archive, explicit, &hostile::sound(1)), Ok(Receipt::Duplicate(_))));
    let path = archive.path(&uid(hostile::SOP)).unwrap();
    assert!(std::fs::read(path).unwrap().ends_with(&hostile::sound(1)));
    assert_eq!(files(&directory.path().join("quarantine")).len(), 1);
}

/// Runs this test binary again for one test, inside namespaces where we may mount.
fn in_namespace(script: &str, test: &str) {
    if !Command::new("unshare").args(["-Urm", "true"]).output().is_ok_and(|o| o.status.success()) {
        println!("passed over: unshare -Urm is not allowed here");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = format!("{script} && exec \"$0\" --exact {test} --nocapture");
    let output = Command::new("unshare")
        .args(["-Urm", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("GRAYD_TEST_MOUNT", directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "the test did not run: {text}");
}

#[test]
fn a_full_disk_is_answered_and_recovered_from() {
    let Some(mount) = std::env::var_os("GRAYD_TEST_MOUNT").map(PathBuf::from) else {
        let script = "mount -t tmpfs -o size=8m none \"$GRAYD_TEST_MOUNT\"";
        in_namespace(script, "a_full_disk_is_answered_and_recovered_from");
        return;
    };
    let archive = open(&mount);
    let first = match send(&archive, "1.2.840.10008.1.2.1", &hostile::sound(1)).unwrap() {
        Receipt::Stored(instance) => instance,
        other => panic!("{other:?}"),
    };
    // Fill what is left, in ever smaller pieces.
    for power in (9..24).rev() {
        let path = mount.join(format!("ballast-{power}"));
        if std::fs::write(&path, vec![1; 1 << power]).is_err() {
            std::fs::remove_file(path).unwrap();
        }
    }
    let mut refused = 0;
    for n in 0..40u16 {
        let sop = format!("{}.{n}", hostile::SOP);
        let arrival = Arrival {
            sop_class: uid(hostile::PET),
            sop_instance: uid(&sop),
            transfer_syntax: uid("1.2.840.10008.1.2.1"),
            calling_ae: "HOSTILE".into(),
        };
        let stored = archive.receive(arrival).and_then(|mut incoming| {
            incoming.write(&hostile::named(&sop, 64))?;
            incoming.commit()
        });
        if let Err(error) = stored {
            assert_eq!(error.dimse_status(), 0xA700, "{error}");
            refused += 1;
        }
    }
    assert!(refused > 0, "the disk never filled");
    assert!(files(&mount.join("incoming")).is_empty());
    for instance in archive.instances(&InstanceFilter::default()).unwrap() {
        assert!(archive.verify(&instance.header.sop_instance).unwrap());
    }
    for path in files(&mount) {
        if path.file_name().unwrap().to_string_lossy().starts_with("ballast") {
            std::fs::remove_file(path).unwrap();
        }
    }
    // Space is back: the same archive takes instances again, without a restart.
    let sop = format!("{}.999", hostile::SOP);
    let mut incoming = archive
        .receive(Arrival {
            sop_class: uid(hostile::PET),
            sop_instance: uid(&sop),
            transfer_syntax: uid("1.2.840.10008.1.2.1"),
            calling_ae: "HOSTILE".into(),
        })
        .unwrap();
    incoming.write(&hostile::named(&sop, 64)).unwrap();
    assert!(matches!(incoming.commit().unwrap(), Receipt::Stored(_)));
    assert!(archive.verify(&first.header.sop_instance).unwrap());
}

#[test]
fn a_read_only_disk_is_refused_at_start_and_survived_in_run() {
    let Some(mount) = std::env::var_os("GRAYD_TEST_MOUNT").map(PathBuf::from) else {
        let script = "mount -t tmpfs -o size=64m none \"$GRAYD_TEST_MOUNT\"";
        in_namespace(script, "a_read_only_disk_is_refused_at_start_and_survived_in_run");
        return;
    };
    let mounted = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        assert!(command.args(arguments).arg(&mount).status().unwrap().success(), "{arguments:?}");
    };
    let settings =
        StorageSettings { directory: mount.clone(), reserve_mb: 0, ..Default::default() };
    mounted("mount", &["-o", "remount,ro"]);
    assert!(LocalArchive::open(&settings, TimeZone::UTC).is_err());
    mounted("mount", &["-o", "remount,rw"]);
    let archive = LocalArchive::open(&settings, TimeZone::UTC).unwrap();
    send(&archive, "1.2.840.10008.1.2.1", &hostile::sound(1)).unwrap();
    // With files open for writing no mount turns read-only on request, as one does when the disk
    // fails. A read-only view of the same folder over it is what the node then sees.
    mounted("mount", &["--bind", mount.to_str().unwrap()]);
    mounted("mount", &["-o", "remount,bind,ro"]);
    let error = send(&archive, "1.2.840.10008.1.2.1", &hostile::sound(2)).unwrap_err();
    assert_eq!(error.dimse_status(), 0xA700, "{error}");
    assert!(archive.verify(&uid(hostile::SOP)).unwrap(), "reads go on");
    assert_eq!(archive.instances(&InstanceFilter::default()).unwrap().len(), 1);
    mounted("umount", &["-l"]);
    let conflict = send(&archive, "1.2.840.10008.1.2.1", &hostile::sound(2)).unwrap();
    assert!(matches!(conflict, Receipt::Conflict { .. }), "it recovers without a restart");
    assert!(files(&mount.join("incoming")).is_empty());
}

#[test]
fn real_data_pass_the_gate_and_have_headers() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/images");
    if !data.is_dir() {
        println!("passed over: ../shared/data is not there");
        return;
    }
    let (mut read, mut refused) = (0, Vec::new());
    for path in files(&data) {
        if path.extension().is_none_or(|extension| extension != "dcm") {
            continue;
        }
        match InstanceHeader::read(&path, &TimeZone::UTC) {
            Ok(_) => read += 1,
            Err(error) => refused.push((path, error.to_string())),
        }
    }
    println!("{read} headers read");
    assert!(read > 100);
    // Two headers without their pixels are the only files that are not whole.
    for (path, error) in &refused {
        assert!(error.contains("holds no pixels"), "{}: {error}", path.display());
    }
    assert_eq!(refused.len(), 2, "{refused:?}");
}
