//! Instances a second that the archive makes durable, and that a lost index is rebuilt from: `cargo
//! bench --bench archive [FOLDER]`.
//!
//! Slices of 512 x 512 x 16 bit, written in pieces of a PDU, one and four senders. The folder
//! decides which disk is measured; the build folder's is the default.

use grayd::archive::{Archive, Arrival, InstanceFilter, LocalArchive, Receipt, StorageSettings};
use grayd::dicom::Uid;
use jiff::tz::TimeZone;
use std::time::Instant;

const INSTANCES: usize = 400;
const PDU_BYTES: usize = 131_072;
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

fn element(tag: (u16, u16), vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
    let mut out = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
    out.extend(vr);
    if vr == b"OW" {
        out.extend([0, 0]);
        out.extend((value.len() as u32).to_le_bytes());
    } else {
        out.extend((value.len() as u16).to_le_bytes());
    }
    out.extend(value);
    out
}

fn even(text: &str) -> Vec<u8> {
    let mut value = text.as_bytes().to_vec();
    value.resize(value.len().next_multiple_of(2), 0);
    value
}

fn slice(sop: &str, pixels: &[u8]) -> Vec<u8> {
    let us = |n: u16| n.to_le_bytes();
    [
        element((0x0008, 0x0016), b"UI", &even(CT)),
        element((0x0008, 0x0018), b"UI", &even(sop)),
        element((0x0020, 0x000D), b"UI", &even("1.2.9")),
        element((0x0020, 0x000E), b"UI", &even("1.2.9.1")),
        element((0x0028, 0x0002), b"US", &us(1)),
        element((0x0028, 0x0010), b"US", &us(512)),
        element((0x0028, 0x0011), b"US", &us(512)),
        element((0x0028, 0x0100), b"US", &us(16)),
        element((0x0028, 0x0101), b"US", &us(16)),
        element((0x0028, 0x0102), b"US", &us(15)),
        element((0x7FE0, 0x0010), b"OW", pixels),
    ]
    .concat()
}

fn send(archive: &LocalArchive, sender: usize, instances: usize, pixels: &[u8]) {
    for n in 0..instances {
        let sop = format!("1.2.9.1.{sender}.{n}");
        let uid = |text: &str| Uid::parse(text).expect("a UID by construction");
        let arrival = Arrival {
            sop_class: uid(CT),
            sop_instance: uid(&sop),
            transfer_syntax: uid("1.2.840.10008.1.2.1"),
            calling_ae: "BENCH".into(),
        };
        let mut incoming = archive.receive(arrival).expect("room to receive");
        for chunk in slice(&sop, pixels).chunks(PDU_BYTES) {
            incoming.write(chunk).expect("a write");
        }
        assert!(matches!(incoming.commit().expect("a commit"), Receipt::Stored(_)));
    }
}

fn main() {
    let given = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    let parent = given.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/target").into());
    let pixels: Vec<u8> =
        (0..512 * 512 * 2u32).map(|n| n.wrapping_mul(2_654_435_761) as u8).collect();
    for senders in [1, 4] {
        let directory = tempfile::tempdir_in(&parent).expect("a folder to write in");
        let settings =
            StorageSettings { directory: directory.path().into(), ..StorageSettings::default() };
        let archive = LocalArchive::open(&settings, TimeZone::UTC).expect("an archive");
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for sender in 0..senders {
                let (archive, pixels) = (&archive, &pixels);
                scope.spawn(move || send(archive, sender, INSTANCES / senders, pixels));
            }
        });
        let rate = INSTANCES as f64 / begun.elapsed().as_secs_f64();
        println!("{senders} senders: {rate:.0} instances/s, {:.0} MB/s", rate * 0.524);
        drop(archive);
        for suffix in ["", "-wal", "-shm"] {
            // A sound end leaves the index alone, without log.
            std::fs::remove_file(directory.path().join(format!("index.sqlite{suffix}"))).ok();
        }
        let begun = Instant::now();
        let archive = LocalArchive::open(&settings, TimeZone::UTC).expect("an archive");
        let seconds = begun.elapsed().as_secs_f64();
        let found = archive.instances(&InstanceFilter::default()).expect("an index").len();
        assert_eq!(found, INSTANCES);
        let rate = INSTANCES as f64 / seconds;
        println!("index rebuilt from the objects: {rate:.0} instances/s, {:.0} MB/s", rate * 0.524);
    }
}
