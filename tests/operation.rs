//! What an operator does with the archive on the command line: the real binary over a folder.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod site;

use grayd::archive::{Archive, Arrival, InstanceFilter, LocalArchive, Receipt, StorageSettings};
use grayd::dicom::Uid;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SR: &str = "1.2.840.10008.5.1.4.1.1.88.33";

/// A configuration and an archive that nobody runs on.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plans")).unwrap();
        let text = "storage: { directory: store, reserve_mb: 1 }\nplans: plans\n";
        std::fs::write(folder.path().join("grayd.yaml"), text).unwrap();
        Self(folder)
    }

    fn archive(&self) -> LocalArchive {
        let directory = self.0.path().join("store");
        let settings = StorageSettings { directory, reserve_mb: 1, ..Default::default() };
        LocalArchive::open(&settings, TimeZone::UTC).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let config = self.0.path().join("grayd.yaml");
        Command::new(env!("CARGO_BIN_EXE_grayd"))
            .args(arguments)
            .arg("--config")
            .arg(config)
            .output()
            .unwrap()
    }

    /// What a command that succeeds prints.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        out
    }

    /// What a command that fails complains of.
    fn complains(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        text(&output.stderr)
    }

    fn backup(&self) -> PathBuf {
        self.0.path().join("backup")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

fn put(archive: &LocalArchive, sop: &str) {
    let element = |group: u16, number: u16, value: &str| {
        let mut value = value.as_bytes().to_vec();
        value.resize(value.len().next_multiple_of(2), 0);
        let length = u16::try_from(value.len()).unwrap().to_le_bytes();
        let (group, number) = (group.to_le_bytes(), number.to_le_bytes());
        [&group[..], &number, b"UI", &length, &value].concat()
    };
    let data = [
        element(0x0008, 0x0016, SR),
        element(0x0008, 0x0018, sop),
        element(0x0020, 0x000d, "1.2.9"),
        element(0x0020, 0x000e, "1.2.9.1"),
    ];
    let arrival = Arrival {
        sop_class: uid(SR),
        sop_instance: uid(sop),
        transfer_syntax: uid("1.2.840.10008.1.2.1"),
        calling_ae: "PACS <1>".into(),
    };
    let mut incoming = archive.receive(arrival).unwrap();
    incoming.write(&data.concat()).unwrap();
    assert!(matches!(incoming.commit().unwrap(), Receipt::Stored(_)));
}

fn flip_last_byte(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn the_trail_is_exported_as_audit_messages_that_any_xml_parser_reads() {
    let place = Place::new();
    put(&place.archive(), "1.2.9.1.1");
    let xml = place.says(&["audit", "export"]);
    let file = place.0.path().join("trail.xml");
    std::fs::write(&file, xml).unwrap();
    let script = r#"
import sys, xml.etree.ElementTree as tree
for m in tree.parse(sys.argv[1]).getroot():
    e, a, o = m.find("EventIdentification"), m.find("ActiveParticipant"), m.find("ParticipantObjectIdentification")
    print(m.tag, e.find("EventID").get("csd-code"), e.get("EventActionCode"), e.get("EventOutcomeIndicator"),
          a.get("UserID"), None if o is None else o.get("ParticipantObjectID"), m.find("AuditSourceIdentification").get("AuditSourceID"))
"#;
    let read = Command::new(site::python()).args(["-c", script]).arg(&file).output().unwrap();
    let lines = text(&read.stdout);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(
        lines,
        [
            "AuditMessage 110104 C 0 PACS <1> 1.2.9.1.1 GRAYD",
            "AuditMessage 110101 R 0 grayd None GRAYD"
        ],
        "{}",
        text(&read.stderr)
    );
    let json = place.says(&["audit", "export", "--format", "json"]);
    assert_eq!(json.lines().count(), 3, "two lines and the second reading");
    let none =
        place.says(&["audit", "export", "--format", "json", "--since", "2999-01-01T00:00:00Z"]);
    assert!(none.trim().is_empty(), "{none}");
}

#[test]
fn a_tampered_trail_is_refused_with_the_line() {
    let place = Place::new();
    let archive = place.archive();
    put(&archive, "1.2.9.1.1");
    put(&archive, "1.2.9.1.2");
    drop(archive);
    let sound = place.says(&["audit", "verify"]);
    let anchor = sound.trim().rsplit(' ').next().unwrap();
    assert!(sound.starts_with("sound: 2 lines"), "{sound}");
    place.says(&["audit", "verify", "--anchor", anchor]);
    let (number, _) = anchor.split_once(':').unwrap();
    let other = format!("{number}:{}", "0".repeat(64));
    let complaint = place.complains(&["audit", "verify", "--anchor", &other]);
    assert!(complaint.contains("line 2 is not the one whose hash was noted"), "{complaint}");
    assert_eq!(place.run(&["audit", "verify", "--anchor", "2"]).status.code(), Some(2));

    // As somebody would who has the index file and a hex editor: same length, other actor.
    let index = place.0.path().join("store/index.sqlite");
    let mut bytes = std::fs::read(&index).unwrap();
    let lines: Vec<usize> =
        bytes.windows(8).enumerate().filter(|(_, w)| *w == b"PACS <1>").map(|(at, _)| at).collect();
    for at in lines {
        bytes[at] = b'Q';
    }
    std::fs::write(&index, bytes).unwrap();
    let complaint = place.complains(&["audit", "verify"]);
    assert!(complaint.contains("line 1 was changed"), "{complaint}");
    assert!(place.complains(&["verify"]).contains("not as written from line 1"));
}

#[test]
fn backup_restore_verify_and_reindex_bring_an_archive_through_its_loss() {
    let place = Place::new();
    let archive = place.archive();
    for n in 1..=5 {
        put(&archive, &format!("1.2.9.1.{n}"));
    }
    let before = archive.instances(&InstanceFilter::default()).unwrap();
    // The archive is open, as under a running node.
    let backup = place.backup().to_str().unwrap().to_owned();
    let made = place.says(&["backup", "--to", &backup]);
    assert!(made.starts_with("backed up: 5 objects, 0 were there already"), "{made}");
    drop(archive);
    assert!(place.complains(&["restore", "--from", &backup]).contains("holds an archive already"));
    std::fs::remove_dir_all(place.0.path().join("store")).unwrap();
    assert!(place.complains(&["verify"]).contains("holds no archive"));
    place.says(&["restore", "--from", &backup]);
    assert!(place.says(&["verify"]).contains("5 read back, 0 damaged"));
    assert!(place.says(&["reindex"]).contains("made anew from 5 objects"));
    let archive = place.archive();
    assert_eq!(archive.instances(&InstanceFilter::default()).unwrap(), before);
    flip_last_byte(&archive.path(&uid("1.2.9.1.3")).unwrap());
    drop(archive);
    let complaint = place.complains(&["verify"]);
    assert!(complaint.contains("1 object set aside; restore from a backup"), "{complaint}");
    assert!(place.says(&["verify"]).contains("4 read back, 0 damaged"));
}

#[test]
fn commands_on_the_archive_go_beside_a_running_node_except_reindex() {
    let mut site = site::Site::start(&site::Site::peers(None));
    let config = site.folder.path().join("grayd.yaml");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grayd"));
        command.args(arguments).arg("--config").arg(&config).stderr(Stdio::piped());
        command.output().unwrap()
    };
    let backup = site.folder.path().join("backup");
    assert!(run(&["backup", "--to", backup.to_str().unwrap()]).status.success());
    assert!(run(&["audit", "verify"]).status.success());
    assert!(run(&["verify"]).status.success());
    let refused = run(&["reindex"]);
    assert!(
        text(&refused.stderr).contains("in use by another node"),
        "{:?}",
        text(&refused.stderr)
    );
    let trail = text(&run(&["audit", "export", "--format", "json"]).stdout);
    let first = trail.lines().next().unwrap();
    assert!(first.contains("application-started"), "{first}");
    site.kill();
}

fn tree(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { tree(&path) } else { vec![path] }).collect()
}

/// The worker process of a node, once there is one other than `not`.
fn worker_of(node: u32, not: Option<u32>) -> u32 {
    site::wait_for("a worker", || {
        let tasks = std::fs::read_dir(format!("/proc/{node}/task")).ok()?;
        let children = tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
            .flat_map(|line| line.split(' ').filter_map(|n| n.parse().ok()).collect::<Vec<u32>>());
        children.into_iter().find(|child| Some(*child) != not)
    })
}

/// Kills the first attempt's worker, then the node under the second attempt.
#[test]
fn results_of_killed_attempts_and_computed_again_are_the_same_until_one_is_altered() {
    if !site::have("dcmsend") {
        return;
    }
    let patient = tempfile::tempdir().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_grayd"))
        .args(["phantom", "--output"])
        .arg(patient.path())
        .status();
    assert!(made.unwrap().success());
    let mut site =
        site::Site::start(&format!("intake: {{ settle_seconds: 3 }}\n{}", site::Site::peers(None)));
    site.plan("patient.yaml", &std::fs::read_to_string(patient.path().join("plan.yaml")).unwrap());
    let mut files = tree(patient.path());
    files.retain(|path| path.extension().is_some_and(|extension| extension == "dcm"));
    assert!(site.dcmsend(&files));
    let first = worker_of(site.pid(), None);
    let kill = Command::new("kill").args(["-9", &first.to_string()]).status();
    assert!(kill.unwrap().success());
    worker_of(site.pid(), Some(first));
    site.restart();
    let attempts = site::wait_for("the job's end", || {
        let jobs = site::http_json(site.web, "/api/jobs")?;
        (jobs[0]["state"] == "done").then(|| jobs[0]["attempts"].clone())
    });
    assert_eq!(attempts, 3, "the first was killed, the second went with its node");
    site.kill();
    let config = site.folder.path().join("grayd.yaml");
    let verify = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grayd"));
        let output = command.args(["verify", "--recompute", "--config"]).arg(&config).output();
        let output = output.unwrap();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    let (sound, said) = verify();
    assert!(sound && said.contains("same: 4 objects"), "{said}");

    let index = rusqlite::Connection::open(site.store().join("index.sqlite")).unwrap();
    let alter = |from: &str, to: &str| {
        let sql = "UPDATE notes SET text = replace(text, ?1, ?2) WHERE name LIKE 'results/%'";
        index.execute(sql, [from, to]).unwrap();
    };
    alter("\"mean\"", "\"mxan\"");
    let (sound, said) = verify();
    assert!(!sound && said.contains("results.json differs"), "{said}");
    alter("\"mxan\"", "\"mean\"");
    let input: String = index
        .query_row("SELECT sha256 FROM instances WHERE source <> 'grayd' LIMIT 1", [], |r| r.get(0))
        .unwrap();
    let objects = site.store().join("objects");
    flip_last_byte(&objects.join(&input[..2]).join(format!("{input}.dcm")));
    let (sound, said) = verify();
    assert!(!sound && said.contains("not computed again") && said.contains("set aside"), "{said}");
}
