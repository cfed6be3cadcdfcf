//! What was acknowledged is there: the real binary, killed at random moments and at every step of
//! receiving, and the order of its system calls.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod site;

use grayd::archive::{Archive, InstanceFilter, LocalArchive};
use site::Site;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
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
    /// `None`, with one clear line, where pynetdicom is not installed. Its instances bear its name.
    fn start(name: &str) -> Option<Self> {
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
            .args([script, name])
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
        let instances = archive.instances(&InstanceFilter::default()).unwrap();
        let objects = std::fs::read_dir(site.store().join("objects"))
            .unwrap()
            .map(|entry| std::fs::read_dir(entry.unwrap().path()).unwrap().count());
        assert_eq!(objects.sum::<usize>(), instances.len(), "objects without a row after a start");
        assert!(archive.audit_is_intact().unwrap());
        let held: BTreeMap<String, String> = instances
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
    // Two at once, so that commits are shared.
    let senders = [Sender::start("first"), Sender::start("second")];
    let [Some(mut first), Some(mut second)] = senders else { return };
    let seed = 20_261_123;
    println!("seed {seed}");
    let mut site = Site::start(&Site::peers(None));
    for delay in moments(seed).take(200).map(|n| n % 250) {
        first.send(site.dicom.port(), 10_000);
        second.send(site.dicom.port(), 10_000);
        std::thread::sleep(Duration::from_millis(delay));
        site.kill();
        first.collect();
        second.collect();
        site.restart();
    }
    site.kill();
    first.check(&site);
    second.check(&site);
    let acknowledged = first.acknowledged.len() + second.acknowledged.len();
    println!("200 kills at random moments: {acknowledged} acknowledged, 0 lost");
    assert!(acknowledged > 200, "too few were acknowledged to mean anything");
}

/// Watches a running node from its next system call on.
struct Tracer {
    child: Child,
    log: PathBuf,
    /// Held open: strace says there which threads it attaches to.
    _said: BufReader<ChildStderr>,
}

impl Tracer {
    /// `None`, with one clear line, where strace is missing or may not trace.
    fn attach(site: &Site, options: &[&str]) -> Option<Self> {
        if !site::have("strace") {
            return None;
        }
        let log = site.folder.path().join("trace");
        let mut child = Command::new("strace")
            .args(["-f", "-y", "-e", CALLS, "-o"])
            .arg(&log)
            .args(options)
            .args(["-p", &site.pid().to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains(" attached") {
            if said.read_line(&mut line).unwrap() == 0 {
                println!("passed over: strace may not attach here: {}", line.trim());
                child.wait().unwrap();
                return None;
            }
        }
        Some(Self { child, log, _said: said })
    }

    /// What was seen up to the node's end.
    fn finish(mut self) -> Vec<Call> {
        self.child.wait().unwrap();
        calls(&std::fs::read_to_string(&self.log).unwrap())
    }
}

/// The calls that receiving consists of.
const CALLS: &str = "trace=openat,write,fsync,fdatasync,/^rename,pwrite64,sendto";

/// One system call of the trace; lines are the trace's moments.
#[derive(Debug)]
struct Call {
    text: String,
    began: usize,
    /// `None`: the node died in it.
    ended: Option<usize>,
}

/// Puts the two halves of calls together that other threads' calls came between.
fn calls(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut unfinished: BTreeMap<&str, usize> = BTreeMap::new();
    for (moment, line) in trace.lines().enumerate() {
        let Some((thread, text)) = line.split_once(' ') else { continue };
        let text = text.trim_start();
        let ends = !text.ends_with("= ?") && !text.contains("<unfinished ...>");
        if text.starts_with("<... ") {
            if let Some(call) = unfinished.remove(thread).filter(|_| ends) {
                calls[call].ended = Some(moment);
            }
        } else if !text.starts_with("+++") && !text.starts_with("---") {
            unfinished.insert(thread, calls.len());
            let ended = ends.then_some(moment);
            calls.push(Call { text: text.to_owned(), began: moment, ended });
        }
    }
    calls
}

/// The steps of receiving, in order.
const STEPS: [&str; 8] = [
    "file made",
    "bytes written",
    "file synced",
    "renamed",
    "directory synced",
    "row written",
    "index synced",
    "answered",
];

/// Which step of [`STEPS`] a call is, if any.
fn step(call: &str) -> Option<&'static str> {
    let (name, arguments) = call.split_once('(')?;
    let sync = name == "fsync" || name == "fdatasync";
    let found = match name {
        "openat" if arguments.contains(".part\"") => 0,
        "write" if arguments.contains(".part>") => 1,
        _ if sync && arguments.contains(".part>") => 2,
        _ if name.starts_with("rename") && arguments.contains(".part") => 3,
        _ if sync && arguments.contains("/objects/") => 4,
        "pwrite64" if arguments.contains("-wal>") => 5,
        _ if sync && arguments.contains("-wal>") => 6,
        "sendto" => 7,
        _ => return None,
    };
    Some(STEPS[found])
}

#[test]
fn what_was_acknowledged_survives_sigkill_at_every_step_of_receiving() {
    let Some(mut sender) = Sender::start("steps") else { return };
    let mut site = Site::start(&Site::peers(None));
    let mut hit: BTreeSet<&str> = BTreeSet::new();
    let mut kills = 0;
    let store = site.store();
    // strace counts each thread's own calls from here on. The runtime writes to wake its threads,
    // and the index syncs with fsync as well, first for the association's audit line: files of the
    // process and directories of objects are told apart by their paths.
    let anything = |_pid: u32| Vec::new();
    let part = |pid: u32| vec![store.join(format!("incoming/{pid:08x}-{:016x}.part", 0))];
    let directories =
        |_pid: u32| (0..=255).map(|n| store.join(format!("objects/{n:02x}"))).collect();
    type Paths<'p> = &'p dyn Fn(u32) -> Vec<PathBuf>;
    let sweep: [(&str, Paths<'_>, &[u32]); 8] = [
        ("openat", &part, &[1]),
        ("write", &part, &[1, 2]),
        ("fdatasync", &part, &[1]),
        ("/^rename", &anything, &[1, 2]),
        ("fsync", &directories, &[1, 2]),
        ("pwrite64", &anything, &[12, 20, 40]),
        ("fsync", &anything, &[2, 3]),
        ("sendto", &anything, &[2, 3]),
    ];
    for (name, paths, moments) in sweep {
        for when in moments {
            site.restart();
            let inject = format!("inject={name}:signal=SIGKILL:when={when}");
            let paths = paths(site.pid());
            let mut options = vec!["-e", &inject];
            options.extend(paths.iter().flat_map(|path| ["-P", path.to_str().unwrap()]));
            let Some(tracer) = Tracer::attach(&site, &options) else { return };
            sender.send(site.dicom.port(), 20);
            sender.collect();
            site.kill();
            let calls = tracer.finish();
            let step_of = |call: &Call| Some((call.began, step(&call.text)?));
            let Some((died, at)) = calls.iter().filter(|c| c.ended.is_none()).find_map(step_of)
            else {
                continue;
            };
            kills += 1;
            // Index and answer are steps of receiving only after a rename that was not answered.
            let last = |wanted: &str| {
                let earlier = calls.iter().filter(|call| call.began < died);
                earlier.filter(|call| step(&call.text) == Some(wanted)).map(|call| call.began).max()
            };
            if STEPS[..5].contains(&at) || last("renamed") > last("answered") {
                hit.insert(at);
            }
        }
    }
    site.restart();
    site.kill();
    sender.check(&site);
    let acknowledged = sender.acknowledged.len();
    println!("{kills} kills at a step: {hit:?}; {acknowledged} acknowledged, 0 lost");
    assert_eq!(hit, BTreeSet::from(STEPS), "a step was never killed at");
}

#[test]
fn the_answer_comes_after_file_directory_and_index_are_on_disk() {
    const COUNT: usize = 5;
    let Some(mut sender) = Sender::start("order") else { return };
    let mut site = Site::start(&Site::peers(None));
    let Some(tracer) = Tracer::attach(&site, &[]) else { return };
    sender.send(site.dicom.port(), COUNT);
    sender.collect();
    assert_eq!(sender.acknowledged.len(), COUNT);
    site.kill();
    sender.check(&site);
    let calls = tracer.finish();
    let of = |wanted: &'static str| calls.iter().filter(move |c| step(&c.text) == Some(wanted));
    let mut renamed = 0;
    for rename in of("renamed") {
        let mut names = rename.text.split('"').skip(1).step_by(2);
        let (part, object) = (names.next().unwrap(), names.next().unwrap());
        let directory = object.rsplit_once('/').unwrap().0;
        // Each step is over before the next begins.
        let written = of("bytes written").rfind(|c| c.text.contains(part)).unwrap();
        let synced = of("file synced").find(|c| c.text.contains(part)).unwrap();
        assert!(written.ended.unwrap() < synced.began && synced.ended.unwrap() < rename.began);
        let after = |call: &Call, wanted, what: &str| {
            let end = call.ended.unwrap();
            of(wanted).find(|c| c.began > end && c.text.contains(what)).unwrap()
        };
        let named = after(rename, "directory synced", &format!("{directory}>"));
        let row = after(named, "row written", "");
        let indexed = after(row, "index synced", "");
        let answered = of("answered").find(|c| c.began > rename.began).unwrap();
        assert!(indexed.ended.unwrap() < answered.began, "{object} was answered too early");
        renamed += 1;
    }
    assert_eq!(renamed, COUNT, "one rename an instance");
    println!("{COUNT} instances: {}", STEPS.join(" < "));
}
