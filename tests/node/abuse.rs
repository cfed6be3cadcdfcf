//! Peers that lie, stall, vanish, or are not who they should be.

use crate::peer::fixtures::hostile;
use crate::peer::node::{RunningNode, impatient, patient, peer};
use crate::peer::*;
use grayd::node::settings::{Limits, Peer, PeerLimits};
use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_stream_is_answered_by_the_abort_it_deserves() {
    let node = RunningNode::start(patient()).await;
    for stream in hostile() {
        let mut peer = RawPeer::connect(node.address).await;
        // The node may have seen enough before all of it is sent.
        peer.try_send(&stream.bytes).await;
        if stream.associated {
            assert!(matches!(peer.answer().await, Answer::Pdu(0x02, _)), "{}", stream.name);
        }
        assert_eq!(peer.abort().await, (2, stream.reason), "{}", stream.name);
        peer.closed().await;
    }
    assert_eq!(node.archive.settled().await, 0, "nothing of all that was stored");
    assert_eq!(RawPeer::associated(node.address).await.echo().await, 0);
}

#[test]
fn hostile_streams_stand_as_files_for_the_fuzz_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pdu");
    for stream in hostile() {
        let path = folder.join(format!("{}.bin", stream.name));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &stream.bytes).unwrap();
        }
        let kept = std::fs::read(&path).unwrap_or_default();
        assert!(kept == stream.bytes, "{} differs; UPDATE=1 writes it again", stream.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_known_titles_from_their_own_hosts_get_in() {
    let node = RunningNode::start(patient()).await;
    let contexts = context(1, VERIFICATION, &[IMPLICIT]);
    let called_unknown = (1, 1, 7);
    let calling_unknown = (1, 1, 3);
    for (called, calling, expected) in [
        (&b"OTHER"[..], &b"PEER"[..], called_unknown),
        (b"grayd", b"PEER", called_unknown),
        (b"", b"PEER", called_unknown),
        (b"../../etc/passwd", b"PEER", called_unknown),
        (b"GRAYD", b"STRANGER", calling_unknown),
        (b"GRAYD", b"peer", calling_unknown),
        (b"GRAYD", b"", calling_unknown),
        (b"GRAYD", b"../x", calling_unknown),
        (b"GRAYD", b"PEER\0", calling_unknown),
        (b"GRAYD", b"P\xC4\xD6\x1B", calling_unknown),
        // Known, but at home at another address.
        (b"GRAYD", b"ELSEWHERE", calling_unknown),
    ] {
        let mut peer = RawPeer::connect(node.address).await;
        peer.send(&associate_rq(called, calling, &contexts, &max_length(0))).await;
        assert_eq!(peer.rejection().await, expected, "{called:?} {calling:?}");
        peer.closed().await;
    }
    // By address, and by a name that resolves to it.
    for calling in [b"PEER", &b"NAMED"[..]] {
        let mut peer = RawPeer::connect(node.address).await;
        peer.send(&associate_rq(b" GRAYD", calling, &contexts, &max_length(0))).await;
        assert!(matches!(peer.answer().await, Answer::Pdu(0x02, _)));
        assert_eq!(peer.echo().await, 0);
        peer.release().await;
    }
    // The first of each reason has its line, the others are counted.
    assert_eq!(node.archive.audited("association-refused").len(), 2);
    node.shutdown.send(true).unwrap();
    node.task.await.unwrap().unwrap();
    let refused = node.archive.audited("association-refused");
    assert!(refused.iter().all(|line| line.actor == "127.0.0.1"), "no received text is kept");
    let counts: Vec<&str> =
        refused[2..].iter().filter_map(|line| line.outcome.split("; ").nth(1)).collect();
    assert_eq!(counts.len(), 2, "{refused:?}");
    assert!(counts.contains(&"3 times more within a minute"), "{counts:?}");
    assert!(counts.contains(&"6 times more within a minute"), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_protocol_versions_and_application_contexts_are_rejected() {
    let node = RunningNode::start(patient()).await;
    let mut version = usual_rq();
    version[7] = 2;
    let mut name = usual_rq();
    name[74 + 4 + 20] = b'2';
    for (request, expected) in [(version, (1, 2, 2)), (name, (1, 1, 2))] {
        let mut peer = RawPeer::connect(node.address).await;
        peer.send(&request).await;
        assert_eq!(peer.rejection().await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_association_too_many_is_told_to_come_back_later() {
    let node = RunningNode::start(Limits { associations: 2, ..patient() }).await;
    let mut first = RawPeer::associated(node.address).await;
    let second = RawPeer::associated(node.address).await;
    let mut third = RawPeer::connect(node.address).await;
    third.send(&usual_rq()).await;
    assert_eq!(third.rejection().await, (2, 3, 2), "transient, local limit exceeded");
    second.release().await;
    // Whoever connects and says nothing takes no place from those who do.
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(RawPeer::connect(node.address).await);
    }
    node.archive.wait_until(|a| !a.audited("association-released").is_empty()).await;
    loop {
        let mut again = RawPeer::connect(node.address).await;
        again.send(&usual_rq()).await;
        match again.answer().await {
            Answer::Pdu(0x02, _) => break,
            // The line of the release is written just before the place is free.
            Answer::Pdu(0x03, _) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(first.echo().await, 0, "the others were not disturbed");
}

/// A peer that is allowed less than the node could give.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_over_its_own_limits_is_told_to_come_back_and_others_are_not() {
    let own = PeerLimits {
        associations: Some(1),
        instances_per_minute: Some(2),
        ..PeerLimits::default()
    };
    let greedy = Peer { limits: own, ..peer("greedy", "PEER", "127.0.0.1", 104) };
    let modest = peer("modest", "NAMED", "127.0.0.1", 104);
    let node = RunningNode::start_with(patient(), vec![greedy, modest]).await;
    let mut first = RawPeer::associated(node.address).await;
    let mut second = RawPeer::connect(node.address).await;
    second.send(&usual_rq()).await;
    assert_eq!(second.rejection().await, (2, 3, 2), "transient, local limit exceeded");
    let contexts = context(1, VERIFICATION, &[IMPLICIT]);
    let mut other = RawPeer::connect(node.address).await;
    other.send(&associate_rq(b"GRAYD", b"NAMED", &contexts, &max_length(16384))).await;
    assert!(matches!(other.answer().await, Answer::Pdu(0x02, _)));
    let data = |uid: &str| ct_data_set(uid, &[1; 100]);
    let mut statuses = Vec::new();
    for uid in ["1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3"] {
        statuses.push(first.store(uid, &data(uid)).await);
    }
    assert_eq!(statuses, [0, 0, 0xA700]);
    assert_eq!(node.archive.count(), 2);
    first.release().await;
    // The place is free again once the node has noticed.
    let again = async {
        loop {
            let mut next = RawPeer::connect(node.address).await;
            next.send(&usual_rq()).await;
            if matches!(next.answer().await, Answer::Pdu(0x02, _)) {
                break;
            }
        }
    };
    tokio::time::timeout(HANG, again).await.expect("the place is free again");
    let refused = node.archive.audited("association-refused");
    assert!(refused[0].outcome.contains("peers.limits.associations"), "{refused:?}");
    let line = &node.archive.audited("instances-refused")[0];
    assert!(line.actor == "PEER" && line.outcome.contains("A700"), "{line:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_off_or_refused_counts_against_the_bytes_of_the_day_too() {
    let own = PeerLimits { mb_per_day: Some(1), ..PeerLimits::default() };
    let peer = Peer { limits: own, ..peer("peer", "PEER", "127.0.0.1", 104) };
    let node = RunningNode::start_with(patient(), vec![peer]).await;
    let piece = p_data(&[pdv(3, 0, &[0; 16_000])]);
    let mut broken_off = RawPeer::associated(node.address).await;
    broken_off.begin_store("1.2.3.4").await;
    for _ in 0..40 {
        broken_off.send(&piece).await;
    }
    drop(broken_off);
    node.archive.wait_until(|archive| !archive.audited("association-aborted").is_empty()).await;
    // Nothing is stored under what is no UID; its data set is passed over.
    let mut refused = RawPeer::associated(node.address).await;
    let nothing = vec![0; 600_000];
    assert_eq!(refused.store_in_pieces("1.2.x", &nothing).await, 0x0117);
    assert_eq!(refused.store("1.2.3.5", &ct_data_set("1.2.3.5", &[1; 100])).await, 0xA700);
    assert_eq!(node.archive.settled().await, 0);
    refused.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_128_contexts_are_answered_and_lossy_or_deflated_never_accepted() {
    let node = RunningNode::start(patient()).await;
    let syntaxes = [
        ("1.2.840.10008.1.2.4.50", 4),
        ("1.2.840.10008.1.2.1.99", 4),
        ("1.2.840.10008.1.2.4.91", 4),
        (EXPLICIT, 0),
    ];
    let contexts: Vec<u8> = (0..128u32)
        .flat_map(|n| context((n * 2 + 1) as u8, CT, &[syntaxes[n as usize % 4].0]))
        .collect();
    let mut peer = RawPeer::connect(node.address).await;
    peer.send(&associate_rq(b"GRAYD", b"PEER", &contexts, &max_length(0))).await;
    let Answer::Pdu(0x02, body) = peer.answer().await else { panic!("A-ASSOCIATE-AC") };
    let mut rest = &body[68..];
    let mut answered = 0;
    while rest.len() > 4 {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        if rest[0] == 0x21 {
            assert_eq!(rest[4], (answered * 2 + 1) as u8);
            assert_eq!(rest[6], syntaxes[answered % 4].1, "result of context {answered}");
            answered += 1;
        }
        rest = &rest[4 + length..];
    }
    assert_eq!(answered, 128);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_or_slow_peer_is_let_go_and_others_are_served_meanwhile() {
    let node = RunningNode::start(impatient()).await;
    // Nothing at all, and half a request: ARTIM closes without a word.
    let mut mute = RawPeer::connect(node.address).await;
    let mut half = RawPeer::connect(node.address).await;
    half.send(&usual_rq()[..40]).await;
    // Silence between messages, within a PDU, and within a data set.
    let mut idle = RawPeer::associated(node.address).await;
    let mut in_pdu = RawPeer::associated(node.address).await;
    in_pdu.send(&p_data(&[pdv(1, COMMAND | LAST, &echo_rq(1))])[..20]).await;
    let mut in_data = RawPeer::associated(node.address).await;
    in_data.begin_store("1.2.3.4").await;
    in_data.send(&p_data(&[pdv(3, 0, b"half")])).await;

    assert_eq!(RawPeer::associated(node.address).await.echo().await, 0);
    mute.closed().await;
    half.closed().await;
    for peer in [&mut idle, &mut in_pdu, &mut in_data] {
        assert_eq!(peer.abort().await, (0, 0), "aborted by the service user");
        peer.closed().await;
    }
    assert_eq!(node.archive.settled().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_association_has_an_end_even_if_it_never_rests() {
    let node = RunningNode::start(Limits { association_s: 1, ..patient() }).await;
    let mut peer = RawPeer::associated(node.address).await;
    loop {
        let echo = p_data(&[pdv(1, COMMAND | LAST, &echo_rq(1))]);
        if !peer.try_send(&echo).await {
            break;
        }
        match peer.answer().await {
            Answer::Pdu(0x04, _) => {}
            Answer::Pdu(0x07, _) | Answer::Closed => break,
            other => panic!("{other:?}"),
        }
    }
    let ended = |a: &crate::peer::archive::MemoryArchive| {
        a.audited("association-aborted").iter().any(|l| l.outcome.contains("whole association"))
    };
    node.archive.wait_until(ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_set_without_end_is_cut_at_the_quota_and_leaves_nothing() {
    let node = RunningNode::start(patient()).await;
    let mut peer = RawPeer::associated(node.address).await;
    peer.begin_store("1.2.3.4").await;
    let piece = p_data(&[pdv(3, 0, &[0; 100_000])]);
    let (mut reader, mut writer) = peer.stream.into_split();
    let flood = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        // A terabyte, if nobody stops it.
        for _ in 0..10_000_000u32 {
            if writer.write_all(&piece).await.is_err() {
                return true;
            }
        }
        false
    });
    let mut answer = Vec::new();
    use tokio::io::AsyncReadExt;
    tokio::time::timeout(HANG, reader.read_to_end(&mut answer)).await.unwrap().ok();
    assert!(flood.await.unwrap(), "the flood was stopped");
    let status = [0x00, 0x09, 2, 0, 0, 0, 0x00, 0xA7];
    assert!(answer.windows(8).any(|w| w == status), "A700 was answered before the abort");
    assert_eq!(node.archive.settled().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_vanishes_in_any_state_leaves_nothing() {
    let node = RunningNode::start(patient()).await;
    for round in 0..40 {
        let mut peer = RawPeer::connect(node.address).await;
        let steps = round % 5;
        if steps >= 1 {
            peer.send(&usual_rq()).await;
        }
        if steps >= 2 {
            assert!(matches!(peer.answer().await, Answer::Pdu(0x02, _)));
        }
        if steps >= 3 {
            peer.begin_store("1.2.3.4").await;
            peer.send(&p_data(&[pdv(3, 0, b"some of it")])).await;
        }
        if steps >= 4 {
            peer.send(&p_data(&[pdv(3, 0, b"some more")])[..9]).await;
        }
        if round < 20 {
            // RST instead of FIN.
            socket2::SockRef::from(&peer.stream)
                .set_linger(Some(std::time::Duration::ZERO))
                .unwrap();
        } else if steps >= 3 && round % 2 == 0 {
            peer.send(&pdu(0x07, &[0; 4])).await;
        }
    }
    assert_eq!(RawPeer::associated(node.address).await.echo().await, 0);
    let over = |a: &crate::peer::archive::MemoryArchive| {
        let ended = a.audited("association-aborted").len() + a.audited("association-refused").len();
        ended >= a.audited("association-accepted").len().saturating_sub(1)
    };
    node.archive.wait_until(over).await;
    assert_eq!(node.archive.settled().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_that_collide_or_come_twice_do_no_harm() {
    let node = RunningNode::start(patient()).await;
    let mut peer = RawPeer::associated(node.address).await;
    let release = pdu(0x05, &[0; 4]);
    peer.send(&[release.clone(), release].concat()).await;
    assert_eq!(peer.answer().await, Answer::Pdu(0x06, vec![0; 4]));
    drop(peer);
    // A release response that nobody asked for.
    let mut peer = RawPeer::associated(node.address).await;
    peer.send(&pdu(0x06, &[0; 4])).await;
    assert_eq!(peer.abort().await, (2, 2));
    assert_eq!(RawPeer::associated(node.address).await.echo().await, 0);
}

/// The span over which the rate is judged is half a minute, and so is this test.
#[tokio::test(flavor = "multi_thread")]
async fn data_that_come_too_slowly_end_their_association_and_no_other() {
    let limits = Limits { min_rate_bytes_per_s: 1 << 20, ..patient() };
    let node = RunningNode::start(limits).await;
    let mut slow = RawPeer::associated(node.address).await;
    slow.begin_store("1.2.3.4").await;
    // Never silent for long: no other limit than the rate is in its way.
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(250));
    for piece in 0.. {
        assert!(piece < 4 * HANG.as_secs(), "nobody stopped it");
        pace.tick().await;
        if !slow.try_send(&p_data(&[pdv(3, 0, &[0; 64])])).await {
            break;
        }
        if !node.archive.audited("association-aborted").is_empty() {
            break;
        }
    }
    let too_slow = |a: &crate::peer::archive::MemoryArchive| {
        a.audited("association-aborted").iter().any(|l| l.outcome.contains("came slower"))
    };
    node.archive.wait_until(too_slow).await;
    assert_eq!(node.archive.settled().await, 0);
    assert_eq!(RawPeer::associated(node.address).await.echo().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_slow_peers_keep_no_good_one_waiting() {
    let node = RunningNode::start(Limits::default()).await;
    let mut slow = Vec::new();
    for number in 0..500usize {
        // Most are still asking to associate, some are within a data set.
        let (mut peer, rest) = if number % 10 == 0 {
            let mut peer = RawPeer::associated(node.address).await;
            peer.begin_store(&format!("1.2.3.{number}")).await;
            (peer, p_data(&[pdv(3, 0, &[0; 4096])]))
        } else {
            (RawPeer::connect(node.address).await, usual_rq())
        };
        peer.send(&rest[..20]).await;
        slow.push((peer, rest[20..].to_vec()));
    }
    let mut good = RawPeer::associated(node.address).await;
    for number in 0..100usize {
        // All slow ones are there all the time, each with one byte more.
        for (peer, rest) in &mut slow {
            peer.send(&rest[number..=number]).await;
        }
        let uid = format!("1.2.4.{number}");
        assert_eq!(good.store(&uid, &ct_data_set(&uid, &[1; 8192])).await, 0);
        assert_eq!(good.echo().await, 0);
    }
    good.release().await;
    drop(slow);
    assert_eq!(node.archive.settled().await, 100);
}

/// Open descriptors and resident memory (bytes) of this process, the node within.
#[cfg(target_os = "linux")]
fn held() -> (usize, u64) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    (descriptors, pages * 4096)
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_peers_that_vanish_leave_no_descriptor_and_no_memory() {
    // In a process of its own: descriptors of tests beside it would be counted too.
    if std::env::var_os("GRAYD_ALONE").is_none() {
        let name = "abuse::ten_thousand_peers_that_vanish_leave_no_descriptor_and_no_memory";
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env("GRAYD_ALONE", "1")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let node = RunningNode::start(patient()).await;
    let vanish = async |count: usize| {
        for number in 0..count {
            let mut peer = RawPeer::connect(node.address).await;
            match number % 4 {
                0 => {}
                1 => peer.send(&usual_rq()[..40]).await,
                2 => peer.send(&usual_rq()).await,
                _ => {
                    peer.send(&usual_rq()).await;
                    assert!(matches!(peer.answer().await, Answer::Pdu(0x02 | 0x03, _)));
                }
            }
            // RST: no port stays behind in TIME_WAIT.
            socket2::SockRef::from(&peer.stream)
                .set_linger(Some(std::time::Duration::ZERO))
                .unwrap();
        }
        // The last of them is let go when its end has been noticed.
        assert_eq!(RawPeer::associated(node.address).await.echo().await, 0);
    };
    let none = held().0;
    vanish(1_000).await;
    let settled = async |most: usize| {
        let start = std::time::Instant::now();
        while held().0 > most {
            assert!(start.elapsed() < HANG, "{} descriptors are still open", held().0);
            tokio::task::yield_now().await;
        }
    };
    settled(none).await;
    let before = held();
    vanish(10_000).await;
    settled(before.0).await;
    let after = held();
    println!("{} to {} descriptors, {} to {} bytes", before.0, after.0, before.1, after.1);
    assert!(after.1 < before.1 + (16 << 20), "{before:?} to {after:?}");
}
