//! What C-STORE promises: the bytes as sent, a truthful status, nothing half-received.

use crate::peer::node::{RunningNode, patient};
use crate::peer::*;
use proptest::prelude::*;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_stored_as_sent_and_statuses_tell_what_became_of_it() {
    let node = RunningNode::start(patient()).await;
    let mut peer = RawPeer::associated(node.address).await;
    // Larger than one batch to the archive.
    let large: Vec<u8> = (0..700_000u32).map(|n| (n >> 3) as u8).collect();
    let data = ct_data_set("1.2.3.4", &large);
    assert_eq!(peer.store_in_pieces("1.2.3.4", &data).await, 0x0000);
    assert!(node.archive.object("1.2.3.4").unwrap() == data);
    let arrival = node.archive.arrival("1.2.3.4").unwrap();
    assert_eq!(arrival.calling_ae, "PEER");
    assert_eq!(arrival.transfer_syntax.as_str(), EXPLICIT);

    let small = ct_data_set("1.2.3.5", b"pixels");
    assert_eq!(peer.store("1.2.3.5", &small).await, 0x0000);
    assert_eq!(peer.store("1.2.3.5", &small).await, 0x0000, "the same again");
    let other = ct_data_set("1.2.3.5", b"others");
    assert_eq!(peer.store("1.2.3.5", &other).await, 0x0111, "other content");
    assert!(node.archive.object("1.2.3.5").unwrap() == small, "the first stands");
    assert_eq!(peer.store("1.2.3.6", &small).await, 0xA900, "not what was announced");
    peer.release().await;
    node.archive.wait_until(|a| !a.audited("association-released").is_empty()).await;
    let lines = node.archive.audited("instances-stored");
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].outcome, "stored 2, duplicate 1, conflict 1");
    assert_eq!(lines[0].object.as_deref(), Some("1.2.3.1"));
    assert_eq!(node.archive.audited("instances-refused").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_archive_refuses_and_recovers_on_the_same_association() {
    let node = RunningNode::start(patient()).await;
    let mut peer = RawPeer::associated(node.address).await;
    node.archive.full.store(1, std::sync::atomic::Ordering::SeqCst);
    let data = ct_data_set("1.2.3.4", &[7; 600_000]);
    assert_eq!(peer.store_in_pieces("1.2.3.4", &data).await, 0xA700);
    assert_eq!(node.archive.settled().await, 0);
    assert_eq!(peer.store_in_pieces("1.2.3.4", &data).await, 0x0000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_archive_fails_that_instance_only() {
    let node = RunningNode::start(patient()).await;
    let mut peer = RawPeer::associated(node.address).await;
    node.archive.panics.store(1, std::sync::atomic::Ordering::SeqCst);
    let data = ct_data_set("1.2.3.4", b"pixels");
    assert_eq!(peer.store("1.2.3.4", &data).await, 0x0110);
    assert_eq!(peer.store("1.2.3.4", &data).await, 0x0000);
}

#[tokio::test(flavor = "multi_thread")]
async fn instance_uids_that_are_none_never_reach_the_archive() {
    let node = RunningNode::start(patient()).await;
    let mut peer = RawPeer::associated(node.address).await;
    let long = "1".repeat(65);
    for uid in
        ["../../etc/passwd", "..", "/etc/passwd", "1.2\\3", "", "1..2", "1.2.3 4", long.as_str()]
    {
        let data = ct_data_set(uid, b"pixels");
        assert_eq!(peer.store(uid, &data).await, 0x0117, "{uid}");
    }
    assert_eq!(node.archive.count(), 0);
    assert_eq!(peer.echo().await, 0, "the association goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_do_not_belong_to_their_context_are_refused() {
    let node = RunningNode::start(patient()).await;
    let mut peer = RawPeer::associated(node.address).await;
    let mut refused = async |context: u8, command: &[u8], data: Option<&[u8]>| {
        let mut values = vec![pdv(context, COMMAND | LAST, command)];
        values.extend(data.map(|data| pdv(context, LAST, data)));
        peer.send(&p_data(&values)).await;
        peer.status().await.0
    };
    let nm = "1.2.840.10008.5.1.4.1.1.20";
    assert_eq!(refused(3, &store_rq(1, nm, "1.2.3.4"), Some(b"x")).await, 0x0122);
    assert_eq!(refused(1, &store_rq(1, VERIFICATION, "1.2.3.4"), Some(b"x")).await, 0x0122);
    assert_eq!(refused(3, &echo_rq(1), None).await, 0x0211);
    let find = command_set(&[
        (0x0002, ui(CT)),
        (0x0100, us(0x0020)),
        (0x0110, us(5)),
        (0x0700, us(0)),
        (0x0800, us(0)),
    ]);
    assert_eq!(refused(3, &find, Some(b"x")).await, 0x0211);
    let without_data = command_set(&[
        (0x0002, ui(CT)),
        (0x0100, us(0x0001)),
        (0x0110, us(6)),
        (0x0800, us(0x0101)),
        (0x1000, ui("1.2.3.4")),
    ]);
    assert_eq!(refused(3, &without_data, None).await, 0x0122);
    // C-CANCEL of what is over is passed over without an answer.
    let cancel = command_set(&[(0x0100, us(0x0FFF)), (0x0120, us(5)), (0x0800, us(0x0101))]);
    let values = [pdv(3, COMMAND | LAST, &cancel), pdv(1, COMMAND | LAST, &echo_rq(9))];
    peer.send(&p_data(&values)).await;
    assert_eq!(peer.status().await.0, 0);
    assert_eq!(node.archive.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_lets_a_begun_instance_finish_and_takes_no_new_association() {
    let node = RunningNode::start(patient()).await;
    let mut storing = RawPeer::associated(node.address).await;
    let mut idle = RawPeer::associated(node.address).await;
    let data = ct_data_set("1.2.3.4", b"pixels");
    storing.begin_store("1.2.3.4").await;
    storing.send(&p_data(&[pdv(3, 0, &data[..50])])).await;
    // Answered in order, so the node has the first half when the echo is answered elsewhere.
    assert_eq!(idle.echo().await, 0);
    node.archive.wait_until(|a| a.audited("association-accepted").len() == 2).await;
    node.archive.wait_open(1).await;
    node.shutdown.send(true).unwrap();
    assert_eq!(idle.abort().await, (0, 0));
    storing.send(&p_data(&[pdv(3, LAST, &data[50..])])).await;
    assert_eq!(storing.status().await.0, 0);
    assert_eq!(storing.abort().await, (0, 0));
    drop((storing, idle));
    tokio::time::timeout(HANG, node.task).await.expect("it ends").unwrap().unwrap();
    assert!(node.archive.object("1.2.3.4").unwrap() == data);
    assert!(tokio::net::TcpStream::connect(node.address).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_hundred_associations_in_turn_and_many_at_once_lose_nothing() {
    let node = RunningNode::start(patient()).await;
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..20 {
        let address = node.address;
        senders.spawn(async move {
            for n in 0..20 {
                let uid = format!("1.2.{sender}.{n}");
                let mut peer = RawPeer::associated(address).await;
                assert_eq!(peer.store(&uid, &ct_data_set(&uid, &[n; 1000])).await, 0);
                peer.release().await;
            }
        });
    }
    while let Some(done) = senders.join_next().await {
        done.unwrap();
    }
    assert_eq!(node.archive.settled().await, 400);
}

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Runtime::new().expect("threads"));
static NODE: LazyLock<RunningNode> =
    LazyLock::new(|| RUNTIME.block_on(RunningNode::start(patient())));

/// Every case stores under a UID of its own.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// Cuts `bytes` after the given lengths, over and over; 0 is an empty piece.
fn cut<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, tail) = rest.split_at(rest.len().min(*length));
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Fragments of command and data of any length (also 0 and 1), any number of them in a PDU,
    /// and TCP segments cut anywhere: the stored bytes are the same.
    #[test]
    fn any_fragmentation_gives_the_same_bytes(
        payload in proptest::collection::vec(any::<u8>(), 0..3000),
        mut command_cuts in proptest::collection::vec(0usize..40, 1..5),
        mut data_cuts in proptest::collection::vec(0usize..2000, 1..5),
        a_pdu in proptest::collection::vec(1usize..6, 1..4),
        mut segments in proptest::collection::vec(1usize..900, 1..4),
    ) {
        command_cuts.push(1);
        data_cuts.push(7);
        segments.push(300);
        let uid = format!("1.2.826.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let node = LazyLock::force(&NODE);
        let data = ct_data_set(&uid, &payload);
        let command = store_rq(1, CT, &uid);
        let fragments = |bytes: &[u8], cuts: &[usize], kind: u8| -> Vec<Vec<u8>> {
            let pieces = cut(bytes, cuts);
            let last = pieces.len() - 1;
            let control = |n| kind | if n == last { LAST } else { 0 };
            pieces.iter().enumerate().map(|(n, piece)| pdv(3, control(n), piece)).collect()
        };
        let mut values = fragments(&command, &command_cuts, COMMAND);
        values.extend(fragments(&data, &data_cuts, 0));
        let mut stream = Vec::new();
        let mut rest = values.as_slice();
        for count in a_pdu.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (group, tail) = rest.split_at(rest.len().min(*count));
            stream.extend(p_data(group));
            rest = tail;
        }
        let (status, stored) = RUNTIME.block_on(async {
            let mut peer = RawPeer::associated(node.address).await;
            for segment in cut(&stream, &segments) {
                peer.send(segment).await;
            }
            let status = peer.status().await.0;
            peer.release().await;
            (status, node.archive.object(&uid))
        });
        prop_assert_eq!(status, 0);
        prop_assert!(stored == Some(data));
    }
}
