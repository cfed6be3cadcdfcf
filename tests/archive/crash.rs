//! Killed at any moment, and what the system calls say of the order of durability.

use crate::{fast_directory, files, hostile, open, uid};
use grayd::archive::{Archive, Arrival, InstanceFilter, Receipt};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CHILD: &str = "GRAYD_TEST_SENDER";

/// The child: four senders that store until killed (or until each has stored `count`), and print
/// each UID once it is acknowledged.
fn be_the_node(directory: &Path, count: usize) {
    let archive = open(directory);
    std::thread::scope(|scope| {
        for sender in 0..4 {
            let archive = &archive;
            scope.spawn(move || {
                for n in 0..count {
                    let sop = format!("1.2.9.{}.{sender}.{n}", std::process::id());
                    let mut incoming = archive
                        .receive(Arrival {
                            sop_class: uid(hostile::PET),
                            sop_instance: uid(&sop),
                            transfer_syntax: uid("1.2.840.10008.1.2.1"),
                            calling_ae: "CAMERA".into(),
                        })
                        .unwrap();
                    for chunk in hostile::named(&sop, 16).chunks(4096) {
                        incoming.write(chunk).unwrap();
                    }
                    assert!(matches!(incoming.commit().unwrap(), Receipt::Stored(_)));
                    println!("\nacknowledged {sop} .");
                }
            });
        }
    });
}

fn child(test: &str, directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, directory);
    command
}

fn acknowledged(line: &str) -> Option<String> {
    let uid = line.strip_prefix("acknowledged ")?.strip_suffix(" .")?;
    Some(uid.to_owned())
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    if let Some(directory) = std::env::var_os(CHILD) {
        return be_the_node(Path::new(&directory), 100_000);
    }
    let directory = fast_directory();
    let mut promised: Vec<String> = Vec::new();
    for round in 0..12usize {
        let mut node = child("crash::what_was_acknowledged_survives_a_kill", directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The kill comes after another number of acknowledgements each time; whatever else was
        // acknowledged up to then is in the pipe.
        let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
        let enough = 1 + round * 13 % 40;
        let mut seen = 0;
        while seen < enough {
            let line = lines.next().expect("the node ended by itself").unwrap();
            promised.extend(acknowledged(&line).inspect(|_| seen += 1));
        }
        node.kill().unwrap();
        node.wait().unwrap();
        promised.extend(lines.map_while(Result::ok).filter_map(|line| acknowledged(&line)));

        let archive = open(directory.path());
        assert!(files(&directory.path().join("incoming")).is_empty());
        for sop in &promised {
            assert!(archive.verify(&uid(sop)).unwrap(), "{sop} was acknowledged and is lost");
        }
        let rows = archive.instances(&InstanceFilter::default()).unwrap().len();
        assert_eq!(files(&directory.path().join("objects")).len(), rows, "orphans after a start");
        assert!(archive.audit_is_intact().unwrap());
        assert!(
            !archive.audit_trail(10_000).unwrap().iter().any(|l| l.event == "instance-missing")
        );
    }
    println!("{} acknowledged instances, 12 kills, none lost", promised.len());
}

/// Positions of the system calls that matter, in the order in which they were made.
fn position(trace: &[String], from: usize, what: &[&str]) -> usize {
    let found = trace[from..].iter().position(|line| what.iter().all(|part| line.contains(part)));
    from + found.unwrap_or_else(|| panic!("no {what:?} after line {from}:\n{}", trace.join("\n")))
}

#[test]
fn the_disk_is_asked_in_the_order_of_durability() {
    const TEST: &str = "crash::the_disk_is_asked_in_the_order_of_durability";
    if let Some(directory) = std::env::var_os(CHILD) {
        return be_the_node(Path::new(&directory), 1);
    }
    if Command::new("strace").arg("-V").output().is_err() {
        println!("passed over: strace is not installed (tests/run installs it)");
        return;
    }
    let directory = fast_directory();
    drop(open(directory.path()));
    let log: PathBuf = directory.path().join("trace");
    let node = child(TEST, directory.path());
    let status = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fsync,fdatasync,rename,write", "-o"])
        .arg(&log)
        .arg(node.get_program())
        .args(node.get_args())
        .env(CHILD, directory.path())
        .output()
        .unwrap();
    if !status.status.success() {
        println!("passed over: strace may not trace here");
        return;
    }
    let trace: Vec<String> =
        std::fs::read_to_string(&log).unwrap().lines().map(str::to_owned).collect();
    let renames = trace.iter().filter(|line| line.contains("rename(")).count();
    assert_eq!(renames, 4, "one rename an instance");
    for (at, line) in trace.iter().enumerate().filter(|(_, line)| line.contains("rename(")) {
        let mut names = line.split('"').skip(1).step_by(2);
        let (part, object) = (names.next().unwrap(), names.next().unwrap());
        let synced = position(&trace, 0, &["fdatasync", part]);
        assert!(synced < at, "renamed before it was on the disk");
        let parent = Path::new(object).parent().unwrap().to_str().unwrap();
        let named = position(&trace, at, &["fsync", &format!("{parent}>")]);
        let logged = position(&trace, named, &["sync(", "index.sqlite-wal"]);
        let sop = part.to_owned();
        let answered = position(&trace, logged, &["write(", "acknowledged"]);
        assert!(named < logged && logged < answered, "{sop}: answered before it was durable");
    }
}
