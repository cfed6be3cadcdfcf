//! What was acknowledged is there: the real binary, killed at random moments and at every step of
//! receiving, and the order of its system calls.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod site;

use grayd::archive::{Archive, InstanceFilter, LocalArchive};
use site::Site;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The sender of `peers/acknowledged.py`: a foreign DICOM implementation that notes each promise.
struct Sender {
    child: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// SOP Instance UID to SHA-256 of the data set as sent.
    acknowledged: BTreeMap<String, String>,
}

impl Sender {
    /// `None`, with one clear line, where pynetdicom is not installed.
    fn start() -> Option<Self> {
        let usable = Command::new(site::python())
            .args(["-c", "import pynetdicom"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !usable {
            println!("passed over: pynetdicom is not installed (tests/run installs it)");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/acknowledged.py");
        let mut child = Command::new(site::python())
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Some(Self { child, orders, lines, acknowledged: BTreeMap::new() })
    }

    fn send(&mut self, port: u16, count: usize) {
        writeln!(self.orders, "{port} {count}").unwrap();
    }

    /// Notes promises up to the end of the order.
    fn collect(&mut self) {
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("ack"), Some(uid), Some(hash)) => {
                    self.acknowledged.insert(uid.to_owned(), hash.to_owned());
                }
                _ => return,
            }
        }
        panic!("the sender has died");
    }

    /// Every promise against what the folder holds after a start that repairs.
    fn check(&self, site: &Site) {
        let archive = open(site);
        let held: BTreeMap<String, String> = archive
            .instances(&InstanceFilter::default())
            .unwrap()
            .into_iter()
            .map(|instance| (instance.header.sop_instance.to_string(), instance.sha256))
            .collect();
        for (uid, hash) in &self.acknowledged {
            assert_eq!(held.get(uid), Some(hash), "acknowledged, then lost or changed: {uid}");
            let uid = grayd::dicom::Uid::parse(uid).unwrap();
            assert!(archive.verify(&uid).unwrap(), "bytes of {uid} are not what was sent");
        }
        let parts = std::fs::read_dir(site.store().join("incoming")).unwrap().count();
        assert_eq!(parts, 0, "half-received instances were left behind");
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.child.kill(); // a test that failed leaves it waiting for orders
        let _ = self.child.wait();
    }
}

fn open(site: &Site) -> LocalArchive {
    let settings =
        grayd::archive::StorageSettings { directory: site.store(), ..Default::default() };
    LocalArchive::open(&settings, jiff::tz::TimeZone::UTC).unwrap()
}

/// Deterministic moments: the seed is printed so that a failure can be run again.
fn moments(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::from_fn(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(state >> 33)
    })
}

#[test]
fn what_was_acknowledged_survives_sigkill_at_200_random_moments() {
    let Some(mut sender) = Sender::start() else { return };
    let seed = 20_261_123;
    println!("seed {seed}");
    let mut site = Site::start(&Site::peers(None));
    for delay in moments(seed).take(200).map(|n| n % 250) {
        sender.send(site.dicom.port(), 10_000);
        std::thread::sleep(Duration::from_millis(delay));
        site.kill();
        sender.collect();
        site.restart(&[]);
    }
    site.kill();
    sender.check(&site);
    println!("200 kills, {} acknowledged, 0 lost", sender.acknowledged.len());
    assert!(sender.acknowledged.len() > 200, "too few were acknowledged to mean anything");
}

#[test]
fn what_was_acknowledged_survives_sigkill_at_every_step_of_receiving() {
    if !site::have("strace") {
        return;
    }
    let Some(mut sender) = Sender::start() else { return };
    let mut site = Site::start(&Site::peers(None));
    let mut killed = 0;
    for call in
        ["openat", "write", "fdatasync", "fsync", "rename", "renameat2", "pwrite64", "sendto"]
    {
        // `when` counts each thread's own calls; the first ones of some threads are the start-up's,
        // which is a moment like any other.
        for when in 1..=4 {
            let first = if call == "openat" { when + 40 } else { when };
            let inject = format!("inject={call}:signal=SIGKILL:when={first}");
            let Some(()) =
                site.try_restart(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject])
            else {
                killed += 1;
                continue;
            };
            sender.send(site.dicom.port(), 10);
            sender.collect();
            killed += usize::from(site.has_ended());
        }
    }
    site.restart(&[]);
    site.kill();
    sender.check(&site);
    println!("{killed} kills at a step, {} acknowledged, 0 lost", sender.acknowledged.len());
    assert!(killed >= 8, "hardly any injected kill took place: {killed}");
}

#[test]
fn the_answer_comes_after_file_directory_and_index_are_on_disk() {
    if !site::have("strace") {
        return;
    }
    let Some(mut sender) = Sender::start() else { return };
    let mut site = Site::start(&Site::peers(None));
    let trace = site.folder.path().join("trace");
    let calls = "trace=fsync,fdatasync,rename,renameat,renameat2,sendto,write,writev";
    let trace_text = trace.to_str().unwrap().to_owned();
    site.restart(&["strace", "-f", "-y", "-qq", "-o", &trace_text, "-e", calls]);
    sender.send(site.dicom.port(), 3);
    sender.collect();
    site.kill();
    sender.check(&site);
    let text = std::fs::read_to_string(trace).unwrap();
    let order = order_of_steps(&text);
    println!("{}", order.join(" < "));
    let received = ["file synced", "renamed", "directory synced", "index synced", "answered"];
    let expected: Vec<&str> = received.iter().copied().cycle().take(15).collect();
    assert_eq!(order, expected, "{text}");
}

/// The steps of receiving as they stand in the trace, once each in a row.
fn order_of_steps(trace: &str) -> Vec<&'static str> {
    let mut steps: Vec<&'static str> = Vec::new();
    let mut receiving = false;
    for line in trace.lines() {
        let sync = line.contains("fsync(") || line.contains("fdatasync(");
        let step = if sync && line.contains(".part>") {
            receiving = true;
            "file synced"
        } else if line.contains("rename") && line.contains(".part") {
            "renamed"
        } else if sync && line.contains("/objects") {
            "directory synced"
        } else if sync && line.contains("-wal>") {
            "index synced"
        } else if receiving && line.contains("TCP:") && !line.contains("fsync") {
            "answered"
        } else {
            continue;
        };
        if receiving && steps.last() != Some(&step) {
            steps.push(step);
        }
        if step == "answered" {
            receiving = false;
        }
    }
    steps
}
