//! The node asks peers for their commitment to what it delivered: pynetdicom as a PACS that reports at
//! once, on demand, partly or never, and Orthanc.

use crate::peer::HANG;
use crate::peer::node::{patient, peer};
use crate::peer::tools::python;
use crate::retrieval::{Sample, samples, store, uid};
use crate::site::{self, Orthanc};
use grayd::archive::{
    Archive, CommitmentStep, Delivery, DeliveryState, JobEnd, LocalArchive, StorageSettings,
};
use grayd::dicom::Uid;
use grayd::node::LocalAe;
use grayd::node::settings::{Limits, Peer, Service};
use jiff::Timestamp;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Takes what is stored and asked, and says so line by line. `same` reports on the association that
/// asks; else a report goes out on one of its own, on a line `report PORT CALLING BAD TRANSACTION` of its
/// input (`-` for none, and for the last transaction).
const PACS: &str = r#"
import sys, threading, time
from pydicom.dataset import Dataset
from pynetdicom import AE, evt, build_role
from pynetdicom.sop_class import StorageCommitmentPushModel as CLASS
from pynetdicom.sop_class import StorageCommitmentPushModelInstance as INSTANCE
from pynetdicom.sop_class import InstanceAvailabilityNotification as IAN
mode = sys.argv[1]
asked = []
told = []
def say(*words): print(*words, flush=True)
def store(event):
    say("stored", event.request.AffectedSOPInstanceUID)
    return 0
def report_of(transaction, references, bad):
    ds = Dataset()
    ds.TransactionUID = transaction
    ok, failed = [], []
    for c, i in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = c, i
        if i in bad:
            item.FailureReason = 0x0112
            failed.append(item)
        else: ok.append(item)
    if ok: ds.ReferencedSOPSequence = ok
    if failed: ds.FailedSOPSequence = failed
    return ds, (2 if failed else 1)
def same(assoc, transaction, references):
    time.sleep(0.2)
    ds, kind = report_of(transaction, references, ())
    status, _ = assoc.send_n_event_report(ds, kind, CLASS, INSTANCE)
    say("answered", "%04X" % status.Status)
def action(event):
    ds = event.action_information
    references = [(i.ReferencedSOPClassUID, i.ReferencedSOPInstanceUID) for i in ds.ReferencedSOPSequence]
    asked.append((ds.TransactionUID, references))
    if mode == "same":
        threading.Thread(target=same, args=(event.assoc, ds.TransactionUID, references)).start()
    say("asked", ds.TransactionUID, len(references))
    return (0x0110 if mode == "refusing" else 0), None
def create(event):
    ds = event.attribute_list
    status = 0x0110 if mode == "deaf-once" and not told else 0
    told.append(ds)
    uids = [(s.SeriesInstanceUID, i.ReferencedSOPInstanceUID, i.ReferencedSOPClassUID,
             i.InstanceAvailability, i.RetrieveAETitle)
            for s in ds.ReferencedSeriesSequence for i in s.ReferencedSOPSequence]
    assert len(ds.ReferencedPerformedProcedureStepSequence) == 0
    say("told", event.request.AffectedSOPInstanceUID, ds.StudyInstanceUID, sorted(uids))
    return status, None
ae = AE("PACS")
ae.add_supported_context(CLASS)
ae.add_supported_context(IAN)
for c in ("20", "2"): ae.add_supported_context("1.2.840.10008.5.1.4.1.1." + c)
server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[
    (evt.EVT_C_STORE, store), (evt.EVT_N_ACTION, action), (evt.EVT_N_CREATE, create)])
say(server.server_address[1])
for line in sys.stdin:
    _, port, calling, bad, transaction = line.split()
    last, references = asked[-1]
    caller = AE(calling)
    caller.add_requested_context(CLASS)
    a = caller.associate("127.0.0.1", int(port), ae_title="GRAYD",
                         ext_neg=[build_role(CLASS, scp_role=True)])
    assert a.is_established
    ds, kind = report_of(last if transaction == "-" else transaction, references, bad.split(","))
    status, _ = a.send_n_event_report(ds, kind, CLASS, INSTANCE)
    say("answered", "%04X" % status.Status)
    a.release()
"#;

pub struct Pacs {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    pub port: u16,
}

impl Pacs {
    pub fn start(mode: &str) -> Option<Self> {
        Self::run(PACS, mode)
    }

    /// A script that prints its port first.
    pub fn run(script: &str, argument: &str) -> Option<Self> {
        let mut child = Command::new(python()?)
            .args(["-c", script, argument])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let input = child.stdin.take().expect("piped");
        let mut this = Self { child, input, lines, port: 0 };
        this.port = this.line().parse().expect("its port");
        Some(this)
    }

    pub fn line(&self) -> String {
        self.lines.recv_timeout(HANG).expect("the PACS says something")
    }

    /// The next line that begins with this word; what follows the word.
    pub fn next(&self, word: &str) -> String {
        loop {
            if let Some(rest) = self.line().strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Transaction UID and number of references of the next request.
    fn asked(&self) -> (Uid, usize) {
        let line = self.next("asked ");
        let (transaction, count) = line.split_once(' ').unwrap();
        (uid(transaction), count.parse().unwrap())
    }

    /// Has it report on an association of its own; the status that it got.
    fn report(&mut self, to: &Hospital, calling: &str, bad: &str, transaction: &str) -> String {
        let port = to.port;
        writeln!(self.input, "report {port} {calling} {bad} {transaction}").unwrap();
        self.next("answered ")
    }
}

impl Drop for Pacs {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The node with its real archive and delivery queue.
pub struct Hospital {
    pub archive: Arc<LocalArchive>,
    pub port: u16,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<std::io::Result<()>>>,
}

fn limits() -> Limits {
    Limits { retry_s: 1, commitment_wait_s: 1, ..patient() }
}

fn open(folder: &tempfile::TempDir) -> LocalArchive {
    let settings =
        StorageSettings { directory: folder.path().join("store"), ..StorageSettings::default() };
    LocalArchive::open(&settings, jiff::tz::TimeZone::UTC).unwrap()
}

impl Hospital {
    pub async fn start(folder: &tempfile::TempDir, peers: Vec<Peer>) -> Self {
        Self::start_at(folder, peers, 0).await
    }

    pub async fn start_at(folder: &tempfile::TempDir, peers: Vec<Peer>, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let archive = Arc::new(open(folder));
        let local = Arc::new(LocalAe::plain("GRAYD", limits()).unwrap());
        let peers: Arc<[Peer]> = peers.into();
        let (stop, stopped) = watch::channel(false);
        let serving = grayd::node::serve(
            listener,
            local.clone(),
            peers.clone(),
            archive.clone(),
            stopped.clone(),
        );
        let delivering = grayd::node::delivery::run(archive.clone(), peers, local, stopped);
        let tasks = vec![tokio::spawn(serving), tokio::spawn(delivering)];
        Self { archive, port, stop, tasks }
    }

    /// Stops as the program does, and gives the archive back.
    pub async fn stop(self) {
        self.stop.send(true).unwrap();
        for task in self.tasks {
            task.await.unwrap().unwrap();
        }
    }

    async fn until(&self, what: &str, is_so: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let began = Instant::now();
        loop {
            let mut deliveries = self.archive.deliveries(99).unwrap();
            deliveries.sort_by_key(|delivery| delivery.id);
            if is_so(&deliveries) {
                return deliveries;
            }
            assert!(began.elapsed() < HANG, "waited for {what}: {deliveries:?}");
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
    }

    async fn until_all(&self, state: DeliveryState) -> Vec<Delivery> {
        let all = |ds: &[Delivery]| !ds.is_empty() && ds.iter().all(|d| d.state == state);
        self.until(&format!("all to be {state:?}"), all).await
    }

    fn refusals(&self) -> Vec<String> {
        let trail = self.archive.audit_trail(200).unwrap();
        let refused = trail.into_iter().filter(|line| line.event == "commitment-refused");
        refused.map(|line| format!("{} {}", line.actor, line.outcome)).collect()
    }
}

/// A job's results, three CT slices, to be delivered.
pub fn results(archive: &dyn Archive, deliver_to: &[&str], announce_to: &[&str]) -> Vec<Uid> {
    let (job, _) = archive.enqueue("a", "course", "{}").unwrap();
    archive.lease("w", 60).unwrap().unwrap();
    let slices: Vec<Sample> = samples().into_iter().skip(2).take(3).collect();
    for slice in &slices {
        store(archive, slice.class(), &slice.uid(), &slice.data_set());
    }
    let results: Vec<Uid> = slices.iter().map(|slice| uid(&slice.uid())).collect();
    let to = |peer: &&str| results.iter().map(|uid| ((*peer).to_owned(), uid.clone())).collect();
    let end = JobEnd::Done {
        results: results.clone(),
        deliver: deliver_to.iter().flat_map(|peer| -> Vec<_> { to(peer) }).collect(),
        announce_to: announce_to.iter().map(|name| (*name).to_owned()).collect(),
    };
    archive.finish(job, "w", end, 3).unwrap();
    results
}

fn committing(port: u16) -> Vec<Peer> {
    let store_only = Some(vec![Service::Store]);
    vec![
        // It may report, though it may not ask us for commitment.
        Peer { commitment: true, allow: store_only, ..peer("pacs", "PACS", "127.0.0.1", port) },
        peer("other", "OTHER", "127.0.0.1", 104),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_on_the_association_that_asked_commits() {
    let Some(pacs) = Pacs::start("same") else { return };
    let folder = tempfile::tempdir().unwrap();
    let hospital = Hospital::start(&folder, committing(pacs.port)).await;
    results(&*hospital.archive, &["pacs"], &[]);
    let (transaction, count) = pacs.asked();
    assert_eq!((pacs.next("answered "), count), ("0000".to_owned(), 3));
    let committed = hospital.until_all(DeliveryState::Committed).await;
    assert!(committed.iter().all(|d| d.transaction.as_ref() == Some(&transaction)));
    let trail = hospital.archive.audit_trail(99).unwrap();
    let of = |event: &str| trail.iter().find(|line| line.event == event).unwrap();
    assert_eq!(of("commitment-reported").outcome, "3 committed, 0 not");
    assert_eq!(of("commitment-reported").object.as_deref(), Some(transaction.as_str()));
    hospital.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_on_an_association_of_the_peer_commits_even_after_a_restart() {
    let Some(mut pacs) = Pacs::start("reverse") else { return };
    let folder = tempfile::tempdir().unwrap();
    let hospital = Hospital::start(&folder, committing(pacs.port)).await;
    results(&*hospital.archive, &["pacs"], &[]);
    let (transaction, _) = pacs.asked();
    let waits = |ds: &[Delivery]| ds.iter().all(|d| d.next_attempt > in_hours(23));
    let open = hospital.until("the report to be awaited", waits).await;
    assert!(open.iter().all(|d| d.state == DeliveryState::Delivered && d.asked == 1));
    assert!(open.iter().all(|d| d.transaction.as_ref() == Some(&transaction)));
    hospital.stop().await;
    let hospital = Hospital::start(&folder, committing(pacs.port)).await;
    assert_eq!(pacs.report(&hospital, "PACS", "-", "-"), "0000");
    hospital.until_all(DeliveryState::Committed).await;
    assert_eq!(pacs.report(&hospital, "PACS", "-", "-"), "0000", "told twice is told once");
    hospital.until_all(DeliveryState::Committed).await;
    hospital.stop().await;
}

fn in_hours(hours: i64) -> Timestamp {
    Timestamp::now() + jiff::SignedDuration::from_hours(hours)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_committed_is_sent_again_three_times_at_most() {
    let Some(mut pacs) = Pacs::start("reverse") else { return };
    let folder = tempfile::tempdir().unwrap();
    let hospital = Hospital::start(&folder, committing(pacs.port)).await;
    let results = results(&*hospital.archive, &["pacs"], &[]);
    let bad = results[1].as_str();
    assert_eq!(pacs.asked().1, 3);
    assert_eq!(pacs.report(&hospital, "PACS", bad, "-"), "0000");
    for refused in 2..=3 {
        assert_eq!(pacs.next("stored "), bad, "it alone is sent again");
        assert_eq!(pacs.asked().1, 1);
        assert_eq!(pacs.report(&hospital, "PACS", bad, "-"), "0000");
        hospital.until("the refusal", |ds| ds[1].refused == refused || refused == 3).await;
    }
    let failed = |ds: &[Delivery]| ds[1].state == DeliveryState::CommitmentFailed;
    let ends = hospital.until("it to be given up", failed).await;
    assert_eq!(ends[0].state, DeliveryState::Committed);
    assert_eq!(ends[2].state, DeliveryState::Committed);
    let reason = ends[1].reason.clone().unwrap();
    assert!(reason.contains("3 times") && reason.contains("0112 (no such object"), "{reason}");
    hospital.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_report_the_peer_is_asked_anew_and_a_late_report_is_refused() {
    let Some(mut pacs) = Pacs::start("reverse") else { return };
    let folder = tempfile::tempdir().unwrap();
    let hospital = Hospital::start(&folder, committing(pacs.port)).await;
    results(&*hospital.archive, &["pacs"], &[]);
    let (first, _) = pacs.asked();
    let waits = |ds: &[Delivery]| ds.iter().all(|d| d.next_attempt > in_hours(23));
    let waiting = hospital.until("the report to be awaited", waits).await;
    // As if the day were over.
    let over = CommitmentStep::Wait { again_at: Timestamp::now(), reason: None };
    let steps: Vec<_> = waiting.iter().map(|d| (d.id, over.clone())).collect();
    hospital.archive.step_commitments(&steps).unwrap();
    let (second, count) = pacs.asked();
    assert!(first != second && count == 3, "another UID for the same instances");
    assert_eq!(pacs.report(&hospital, "PACS", "-", first.as_str()), "0115");
    assert_eq!(hospital.refusals(), ["pacs status 0115: no such transaction is open here"]);
    let asked = hospital.until("it to be asked twice", |ds| ds.iter().all(|d| d.asked == 2)).await;
    assert!(asked.iter().all(|d| d.state == DeliveryState::Delivered));
    assert_eq!(pacs.report(&hospital, "PACS", "-", "-"), "0000");
    hospital.until_all(DeliveryState::Committed).await;
    hospital.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_another_peer_is_refused_and_changes_nothing() {
    let Some(mut pacs) = Pacs::start("reverse") else { return };
    let folder = tempfile::tempdir().unwrap();
    let hospital = Hospital::start(&folder, committing(pacs.port)).await;
    results(&*hospital.archive, &["pacs"], &[]);
    pacs.asked();
    assert_eq!(pacs.report(&hospital, "OTHER", "-", "-"), "0124");
    let expected = "other status 0124: another peer was asked in this transaction";
    assert_eq!(hospital.refusals(), [expected]);
    hospital.until_all(DeliveryState::Delivered).await;
    assert_eq!(pacs.report(&hospital, "PACS", "-", "-"), "0000");
    hospital.until_all(DeliveryState::Committed).await;
    hospital.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_peer_refuses_is_made_again_under_another_uid() {
    let Some(pacs) = Pacs::start("refusing") else { return };
    let folder = tempfile::tempdir().unwrap();
    let hospital = Hospital::start(&folder, committing(pacs.port)).await;
    results(&*hospital.archive, &["pacs"], &[]);
    let (first, _) = pacs.asked();
    let (second, _) = pacs.asked();
    assert_ne!(first, second);
    let said = |ds: &[Delivery]| {
        ds.iter().all(|d| d.reason.as_deref().is_some_and(|reason| reason.contains("0110")))
    };
    let refused = hospital.until("the reason to be there", said).await;
    assert!(refused.iter().all(|d| d.state == DeliveryState::Delivered));
    hospital.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orthanc_commits_itself_to_what_it_has() {
    if !site::have("Orthanc")
        || !site::in_private_network("committing::orthanc_commits_itself_to_what_it_has")
    {
        return;
    }
    let port = site::free_port();
    let pacs = Orthanc::start_knowing(port);
    let folder = tempfile::tempdir().unwrap();
    let orthanc = peer("pacs", "ORTHANC", "127.0.0.1", pacs.dicom_port);
    let peers = vec![Peer { commitment: true, ..orthanc }];
    let hospital = Hospital::start_at(&folder, peers, port).await;
    results(&*hospital.archive, &["pacs"], &[]);
    hospital.until_all(DeliveryState::Committed).await;
    hospital.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_manager_is_told_what_is_stored_where_and_again_after_a_failure() {
    let (Some(pacs), Some(manager)) = (Pacs::start("silent"), Pacs::start("deaf-once")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let peers = vec![
        peer("pacs", "PACS", "127.0.0.1", pacs.port),
        Peer { announce: true, ..peer("manager", "PACS", "127.0.0.1", manager.port) },
    ];
    let hospital = Hospital::start(&folder, peers).await;
    let results = results(&*hospital.archive, &["pacs"], &["manager"]);
    let told = manager.next("told ");
    assert!(told.contains(" 1.2.9.1 ["), "{told}");
    for result in results {
        let class = "1.2.840.10008.5.1.4.1.1.2";
        let item = format!("('1.2.9.1.2', '{result}', '{class}', 'ONLINE', 'PACS')");
        assert!(told.contains(&item), "{item} in {told}");
    }
    assert_eq!(manager.next("told "), told, "the same again, under the same UID");
    let began = Instant::now();
    loop {
        let [one] = &hospital.archive.announcements(9).unwrap()[..] else { panic!("one") };
        if one.state == DeliveryState::Delivered {
            assert_eq!(one.attempts, 2);
            break;
        }
        assert!(began.elapsed() < HANG, "{one:?}");
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    hospital.stop().await;
}
