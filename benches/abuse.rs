//! What others cost: the real node in a process of its own, under associations that are held, peers that
//! are slow and peers that vanish. `cargo bench --bench abuse [-- CONNECTS]` (default 100 000; some ten
//! minutes). The tests in `tests/node/abuse.rs` say that it holds; this says how well.
#![allow(clippy::unwrap_used)] // a benchmark that cannot go on ends

#[allow(dead_code)] // every binary uses another part of the scripted peer
#[path = "../tests/peer/mod.rs"]
mod peer;
#[path = "../tests/site/mod.rs"]
mod site;

use peer::{Answer, CT, LAST, RawPeer, ct_data_set, p_data, pdv, usual_rq};
use site::Site;
use std::time::{Duration, Instant};

const PEERS: &str = "peers:\n  - { name: peer, ae_title: PEER, host: 127.0.0.1, port: 104 }\n";
/// More than `node: limits: associations`, 64 by default.
const CALLERS: usize = 200;
const SLOW: usize = 500;
const STORES: usize = 400;
/// At once, so that connections are bound by the node and not by round trips.
const AT_ONCE: usize = 64;

fn main() {
    // `cargo test --benches` passes no --bench: nothing to measure then.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let connects = arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(100_000);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        held_associations().await;
        slow_peers().await;
        vanishing_peers(connects).await;
    });
}

/// Open descriptors and resident memory, MiB.
fn held(site: &Site) -> (usize, f64) {
    let process = format!("/proc/{}", site.pid());
    let descriptors = std::fs::read_dir(format!("{process}/fd")).unwrap().count();
    let statm = std::fs::read_to_string(format!("{process}/statm")).unwrap();
    let pages: f64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    (descriptors, pages * 4096.0 / f64::from(1 << 20))
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let ms = |share: f64| times[(share * (times.len() - 1) as f64) as usize].as_secs_f64() * 1e3;
    format!("median {:.2} ms, p99 {:.2} ms, longest {:.2} ms", ms(0.5), ms(0.99), ms(1.0))
}

/// So many call at once: who is served, who is refused, and how soon each knows.
async fn held_associations() {
    let site = Site::start(PEERS);
    let before = held(&site);
    let began = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let address = site.dicom;
        callers.spawn(async move {
            let mut peer = RawPeer::connect(address).await;
            peer.send(&usual_rq()).await;
            let answer = peer.answer().await;
            (peer, answer, began.elapsed())
        });
    }
    let (mut accepted, mut refused, mut times) = (Vec::new(), 0, Vec::new());
    while let Some(done) = callers.join_next().await {
        let (peer, answer, taken) = done.unwrap();
        times.push(taken);
        match answer {
            Answer::Pdu(0x02, _) => accepted.push(peer),
            Answer::Pdu(0x03, body) => {
                assert_eq!((body[1], body[2], body[3]), (2, 3, 2), "transient, local limit");
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    let during = held(&site);
    println!(
        "{CALLERS} callers at once: {} served, {refused} told to come back; answered: {}",
        accepted.len(),
        quantiles(times)
    );
    let mut echoes = Vec::new();
    for peer in &mut accepted {
        let began = Instant::now();
        assert_eq!(peer.echo().await, 0);
        echoes.push(began.elapsed());
    }
    println!("C-ECHO on each of those: {}", quantiles(echoes));
    println!(
        "the node: {:.1} MiB and {} descriptors before, {:.1} MiB and {} with all of them",
        before.1, before.0, during.1, during.0
    );
}

/// A CT slice of 64 x 64 pixels that the node's gate takes.
fn slice(uid: &str) -> Vec<u8> {
    const PIXELS: [u8; 8192] = [1; 8192];
    let mut bytes = ct_data_set(uid, &PIXELS);
    // Before Pixel Data with its header of 12 bytes.
    let mut image = Vec::new();
    let attributes: [(u16, &[u8; 2], &[u8]); 8] = [
        (0x0002, b"US", &[1, 0]),
        (0x0004, b"CS", b"MONOCHROME2 "),
        (0x0010, b"US", &[64, 0]),
        (0x0011, b"US", &[64, 0]),
        (0x0100, b"US", &[16, 0]),
        (0x0101, b"US", &[16, 0]),
        (0x0102, b"US", &[15, 0]),
        (0x0103, b"US", &[0, 0]),
    ];
    for (element, vr, value) in attributes {
        image.extend([0x28, 0x00]);
        image.extend(element.to_le_bytes());
        image.extend(vr);
        image.extend((value.len() as u16).to_le_bytes());
        image.extend(value);
    }
    let at = bytes.len() - PIXELS.len() - 12;
    bytes.splice(at..at, image);
    bytes
}

/// One peer that stores, alone and beside many that send a byte now and then.
async fn slow_peers() {
    let site = Site::start(PEERS);
    let mut good = RawPeer::associated(site.dicom).await;
    for beside in [0, SLOW] {
        let mut slow = Vec::new();
        for number in 0..beside {
            let (mut peer, rest) = if number % 10 == 0 {
                let mut peer = RawPeer::associated(site.dicom).await;
                peer.begin_store(&format!("1.2.3.{number}")).await;
                (peer, p_data(&[pdv(3, 0, &[0; 4096])]))
            } else {
                (RawPeer::connect(site.dicom).await, usual_rq())
            };
            peer.send(&rest[..20]).await;
            slow.push((peer, rest));
        }
        let mut times = Vec::new();
        for number in 0..STORES {
            for (peer, rest) in slow.iter_mut().skip(number % 10).step_by(10) {
                let at = 20 + number / 10;
                peer.try_send(&rest[at..=at]).await;
            }
            let uid = format!("1.2.4.{beside}.{number}");
            let began = Instant::now();
            assert_eq!(good.store(&uid, &slice(&uid)).await, 0);
            times.push(began.elapsed());
        }
        println!("C-STORE of 8 KiB beside {beside} slow peers: {}", quantiles(times));
    }
    good.release().await;
}

/// Connections that end in the middle of whatever they were in.
async fn vanishing_peers(connects: usize) {
    let site = Site::start(PEERS);
    let idle = held(&site).0;
    vanish(&site, 1000).await;
    let before = settled(&site, idle).await;
    let began = Instant::now();
    vanish(&site, connects).await;
    let per_second = connects as f64 / began.elapsed().as_secs_f64();
    let after = settled(&site, idle).await;
    assert_eq!(RawPeer::associated(site.dicom).await.echo().await, 0);
    println!(
        "{connects} peers that vanish ({per_second:.0}/s): {} descriptors more, {:+.1} MiB ({:.1} to {:.1})",
        after.0 as i64 - before.0 as i64,
        after.1 - before.1,
        before.1,
        after.1
    );
}

/// What the node holds once it has noticed that all who were there have gone.
async fn settled(site: &Site, idle: usize) -> (usize, f64) {
    let began = Instant::now();
    while held(site).0 > idle && began.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    held(site)
}

async fn vanish(site: &Site, connects: usize) {
    let mut open = tokio::task::JoinSet::new();
    for number in 0..connects {
        if open.len() >= AT_ONCE {
            open.join_next().await.unwrap().unwrap();
        }
        let address = site.dicom;
        open.spawn(async move {
            // At once the node may have no place and close; that is an end like the others.
            let mut peer = RawPeer::connect(address).await;
            let request = usual_rq();
            match number % 4 {
                0 => {}
                1 => {
                    peer.try_send(&request[..request.len() / 2]).await;
                }
                kind => {
                    peer.try_send(&request).await;
                    if matches!(peer.answer().await, Answer::Pdu(0x02, _)) && kind == 3 {
                        peer.try_send(&p_data(&[pdv(
                            3,
                            peer::COMMAND | LAST,
                            &peer::store_rq(1, CT, "1.2.5"),
                        )]))
                        .await;
                        peer.try_send(&p_data(&[pdv(3, 0, &[0; 1024])])).await;
                    }
                }
            }
        });
    }
    while let Some(done) = open.join_next().await {
        done.unwrap();
    }
}
