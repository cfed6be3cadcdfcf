//! The node as sender: to itself, to pynetdicom, and to peers that do not behave.

use crate::peer::node::{RunningNode, impatient, patient, peer};
use crate::peer::tools::python;
use crate::peer::*;
use grayd::archive::{Delivery, DeliveryEnd, DeliveryState};
use grayd::dicom::Uid;
use grayd::node::LocalAe;
use grayd::node::send::{SendError, SendOutcome, echo, store};
use grayd::node::settings::{Limits, Peer};
use jiff::Timestamp;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

const REG: &str = "1.2.840.10008.5.1.4.1.1.66.1";
const SEG: &str = "1.2.840.10008.5.1.4.1.1.66.4";
const RTSTRUCT: &str = "1.2.840.10008.5.1.4.1.1.481.3";
const RTDOSE: &str = "1.2.840.10008.5.1.4.1.1.481.2";
const SR: &str = "1.2.840.10008.5.1.4.1.1.88.34";
const PDF: &str = "1.2.840.10008.5.1.4.1.1.104.1";
const NM: &str = "1.2.840.10008.5.1.4.1.1.20";
const US: &str = "1.2.840.10008.5.1.4.1.1.6.1";

fn own(limits: Limits) -> LocalAe {
    LocalAe::plain("GRAYD", limits).unwrap()
}

fn write(folder: &tempfile::TempDir, class: &str, uid: &str, bytes: usize) -> PathBuf {
    let path = folder.path().join(uid);
    let data = data_set(class, uid, &vec![5; bytes]);
    std::fs::write(&path, part10(class, uid, EXPLICIT, &data)).unwrap();
    path
}

/// pynetdicom that takes implicit little endian only and answers the last component of each
/// instance's UID as status; prints what it got.
struct ForeignPeer {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    port: u16,
}

impl ForeignPeer {
    fn start() -> Option<Self> {
        let script = r#"
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification
import threading
def store(event):
    uid = event.request.AffectedSOPInstanceUID
    ds = event.dataset
    print(uid, ds.SOPInstanceUID == uid, len(ds.get("PixelData", b"")), flush=True)
    return int(uid.split(".")[-1])
ae = AE("FOREIGN")
ae.require_calling_aet = ["GRAYD"]
ae.add_supported_context(Verification)
for c in ("66.1 66.4 481.3 481.2 88.34 104.1 20 2").split():
    ae.add_supported_context("1.2.840.10008.5.1.4.1.1." + c, "1.2.840.10008.1.2")
server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
print(server.server_address[1], flush=True)
threading.Event().wait()
"#;
        let mut child = Command::new(python()?)
            .args(["-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let port = lines.next().expect("a line").expect("text").parse().expect("its port");
        Some(Self { child, lines, port })
    }

    fn received(&mut self) -> String {
        self.lines.next().expect("a line").expect("text")
    }

    fn as_peer(&self) -> Peer {
        peer("foreign", "FOREIGN", "127.0.0.1", self.port)
    }
}

impl Drop for ForeignPeer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_kinds_than_one_association_has_contexts_for_go_over_several() {
    let node = RunningNode::start(patient()).await;
    let to = peer("self", "GRAYD", "127.0.0.1", node.address.port());
    let folder = tempfile::tempdir().unwrap();
    // Two contexts each: 70 kinds ask for 140 of the 128 that one association has.
    let mut files: Vec<PathBuf> = (0..70)
        .map(|n| write(&folder, &format!("1.2.3.99.{n}"), &format!("1.2.3.5.{n}"), 10))
        .collect();
    files.push(write(&folder, CT, "1.2.3.5.100", 10));
    let outcomes = store(&to, &own(patient()), &files).await.unwrap();
    assert_eq!(outcomes.len(), files.len());
    let (last, strange) = outcomes.split_last().unwrap();
    assert!(strange.iter().all(|(_, outcome)| *outcome == SendOutcome::NotAccepted));
    assert_eq!(last.1, SendOutcome::Stored { status: 0 });
    assert!(node.archive.object("1.2.3.5.100").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_arrives_byte_for_byte() {
    let node = RunningNode::start(patient()).await;
    let to = peer("self", "GRAYD", "127.0.0.1", node.address.port());
    echo(&to, &own(patient())).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let classes = [(CT, "1.2.3.4.1"), (SEG, "1.2.3.4.2"), (US, "1.2.3.4.3"), (CT, "1.2.3.4.4")];
    let files: Vec<_> = classes.iter().map(|(c, u)| write(&folder, c, u, 300_000)).collect();
    let outcomes = store(&to, &own(patient()), &files).await.unwrap();
    let uids: Vec<_> = outcomes.iter().map(|(uid, _)| uid.as_str().to_owned()).collect();
    assert_eq!(uids, classes.map(|(_, uid)| uid));
    for ((uid, outcome), path) in outcomes.iter().zip(&files) {
        if uid.as_str() == "1.2.3.4.3" {
            assert_eq!(*outcome, SendOutcome::NotAccepted, "ultrasound is not accepted");
            continue;
        }
        assert_eq!(*outcome, SendOutcome::Stored { status: 0 });
        let stored = node.archive.object(uid.as_str()).unwrap();
        assert!(std::fs::read(path).unwrap().ends_with(&stored) && stored.len() > 300_000);
    }
    assert!(matches!(
        store(&to, &own(patient()), &[folder.path().join("absent")]).await,
        Err(SendError::Unreadable { .. })
    ));
    let stranger = LocalAe::plain("STRANGER", patient()).unwrap();
    let refused = echo(&to, &stranger).await.unwrap_err();
    assert!(refused.to_string().contains("calling AE title not recognized"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_implicit_only_gets_it_rewritten() {
    let Some(mut foreign) = ForeignPeer::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder, CT, "1.2.3.4.0", 5000);
    let outcomes = store(&foreign.as_peer(), &own(patient()), &[file]).await.unwrap();
    assert_eq!(outcomes[0].1, SendOutcome::Stored { status: 0 });
    assert_eq!(foreign.received(), "1.2.3.4.0 True 5000");
    echo(&foreign.as_peer(), &own(patient())).await.unwrap();
}

fn delivery(id: i64, peer: &str, uid: &str, attempts: u32) -> Delivery {
    Delivery {
        id,
        peer: peer.to_owned(),
        sop_instance: Uid::parse(uid).unwrap(),
        state: DeliveryState::Waiting,
        attempts,
        next_attempt: Timestamp::UNIX_EPOCH,
        reason: None,
        transaction: None,
        asked: 0,
        refused: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_go_out_in_order_and_end_as_the_peer_says() {
    let Some(mut foreign) = ForeignPeer::start() else { return };
    let node = RunningNode::start(patient()).await;
    let folder = tempfile::tempdir().unwrap();
    // In the queue: the wrong way round. The last component is the status that comes back.
    let queue = [
        (PDF, 0),
        (SR, 0x0111),
        (RTDOSE, 0xB000),
        (SEG, 0xA700),
        (RTSTRUCT, 0xA900),
        (REG, 0),
        (NM, 0xC123),
        (CT, 0x0122),
        (US, 0),
    ];
    for (n, (class, status)) in queue.iter().enumerate() {
        let uid = format!("1.2.{n}.{status}");
        let path = write(&folder, class, &uid, 1000);
        node.archive.paths.lock().unwrap().insert(Uid::parse(&uid).unwrap(), path);
        node.archive.deliveries.lock().unwrap().push(delivery(n as i64, "foreign", &uid, 0));
    }
    node.archive.deliveries.lock().unwrap().extend([
        delivery(20, "nobody", "1.2.0.0", 0),
        delivery(21, "foreign", "1.2.99", 0),
        delivery(22, "unreachable", "1.2.0.0", 3),
        delivery(23, "unreachable-for-long", "1.2.0.0", 40),
    ]);
    // Port 9 of an address that is ours: refused at once.
    let peers: Arc<[Peer]> = Arc::new([
        foreign.as_peer(),
        peer("unreachable", "X", "127.0.0.1", 9),
        peer("unreachable-for-long", "X", "127.0.0.1", 9),
    ]);
    let local = Arc::new(own(patient()));
    let (stop, stopped) = watch::channel(false);
    let began = Timestamp::now();
    let running =
        tokio::spawn(grayd::node::delivery::run(node.archive.clone(), peers, local, stopped));
    node.archive.wait_until(|a| a.ends.lock().unwrap().len() == 13).await;
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();

    let ends = node.archive.ends.lock().unwrap();
    let end = |id: i64| &ends.iter().find(|(of, _)| *of == id).unwrap().1;
    for id in [0, 1, 2, 5] {
        assert_eq!(*end(id), DeliveryEnd::Delivered, "{id}");
    }
    for id in [4, 6, 7, 8, 20, 21, 23] {
        assert!(matches!(end(id), DeliveryEnd::Parked { .. }), "{id}: {:?}", end(id));
    }
    for (id, wait) in [(3, 10), (22, 80)] {
        let DeliveryEnd::Retry { at, reason } = end(id) else { panic!("{id}: {:?}", end(id)) };
        let waits = at.duration_since(began).as_secs();
        assert!(waits >= wait && !reason.is_empty(), "{id}: {waits}");
    }
    // REG, RTSTRUCT, SEG, RTDOSE, SR, PDF, then the rest as queued.
    let order: Vec<String> = (0..8).map(|_| foreign.received()).collect();
    let uids: Vec<&str> = order.iter().map(|line| line.split(' ').next().unwrap()).collect();
    let expected = [5, 4, 3, 2, 1, 0, 6, 7].map(|n: usize| format!("1.2.{n}.{}", queue[n].1));
    assert_eq!(uids, expected);
}

/// A listener that plays one scripted answer after another to whoever associates.
async fn scripted(answers: Vec<Vec<u8>>) -> (Peer, tokio::task::JoinHandle<Option<Answer>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut raw = RawPeer { stream };
        let mut last = None;
        for answer in answers {
            last = Some(raw.answer().await);
            raw.send(&answer).await;
        }
        // What the node says to the last answer.
        let mut said = raw.answer().await;
        while matches!(said, Answer::Pdu(0x04, _)) {
            said = raw.answer().await;
        }
        last.map(|_| said)
    });
    (peer("scripted", "SCRIPTED", "127.0.0.1", port), task)
}

fn accept_ct(id: u8, syntax: &str) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    body.extend([b' '; 32]);
    body.extend([0; 32]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    let mut value = vec![id, 0, 0, 0];
    value.extend(item(0x40, syntax.as_bytes()));
    body.extend(item(0x21, &value));
    body.extend(item(0x50, &max_length(16384)));
    pdu(0x02, &body)
}

fn store_rsp(message_id: u16, status: u16) -> Vec<u8> {
    let response = command_set(&[
        (0x0100, us(0x8001)),
        (0x0120, us(message_id)),
        (0x0800, us(0x0101)),
        (0x0900, us(status)),
    ]);
    p_data(&[pdv(1, COMMAND | LAST, &response)])
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_answer_wrongly_are_aborted_and_nothing_counts_as_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = vec![write(&folder, CT, "1.2.3.4", 100)];
    // Accepts what was not proposed.
    for (id, syntax) in [(7, EXPLICIT), (2, EXPLICIT), (1, "1.2.840.10008.1.2.4.50")] {
        let (to, script) = scripted(vec![accept_ct(id, syntax)]).await;
        let sent = store(&to, &own(patient()), &file).await;
        assert!(matches!(sent, Err(SendError::Association { .. })), "{sent:?}");
        assert!(matches!(script.await.unwrap(), Some(Answer::Pdu(0x07, _))));
    }
    // Answers another message, rubbish, a release, or an abort instead of the response.
    let rubbish = p_data(&[pdv(1, COMMAND | LAST, b"rubbish")]);
    for answer in [store_rsp(99, 0), rubbish, pdu(0x05, &[0; 4]), pdu(0x07, &[0; 4])] {
        let (to, script) = scripted(vec![accept_ct(1, EXPLICIT), answer]).await;
        let sent = store(&to, &own(patient()), &file).await.unwrap();
        assert!(matches!(sent[0].1, SendOutcome::Interrupted { .. }), "{sent:?}");
        script.await.unwrap();
    }
    // Never answers: before the association, and to the instance.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = peer("mute", "MUTE", "127.0.0.1", mute.local_addr().unwrap().port());
    let sent = store(&to, &own(impatient()), &file).await;
    assert!(matches!(sent, Err(SendError::Association { .. })), "{sent:?}");
    let (to, _script) = scripted(vec![accept_ct(1, EXPLICIT)]).await;
    let sent = store(&to, &own(impatient()), &file).await.unwrap();
    assert!(matches!(sent[0].1, SendOutcome::Interrupted { .. }), "{sent:?}");
    // Rejects.
    let (to, _script) = scripted(vec![pdu(0x03, &[0, 2, 3, 2])]).await;
    let sent = store(&to, &own(patient()), &file).await;
    assert!(sent.unwrap_err().to_string().contains("local limit exceeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_collides_is_seen_through() {
    let folder = tempfile::tempdir().unwrap();
    let file = vec![write(&folder, CT, "1.2.3.4", 100)];
    // The peer answers the instance, then wants to release in the same instant as we do.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = peer("hasty", "HASTY", "127.0.0.1", listener.local_addr().unwrap().port());
    let hasty = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut raw = RawPeer { stream };
        raw.answer().await;
        raw.send(&accept_ct(1, EXPLICIT)).await;
        raw.answer().await;
        raw.answer().await;
        raw.send(&store_rsp(1, 0)).await;
        assert_eq!(raw.answer().await, Answer::Pdu(0x05, vec![0; 4]), "our wish to release");
        raw.send(&pdu(0x05, &[0; 4])).await;
        assert_eq!(raw.answer().await, Answer::Pdu(0x06, vec![0; 4]), "our answer to theirs");
        raw.send(&pdu(0x06, &[0; 4])).await;
        raw.closed().await;
    });
    let sent = store(&to, &own(patient()), &file).await.unwrap();
    assert_eq!(sent[0].1, SendOutcome::Stored { status: 0 });
    hasty.await.unwrap();
}
