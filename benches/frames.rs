//! WADO-RS frames beside Orthanc with its DICOMweb plugin, the same objects in the same run, one request
//! after the other over one connection: `cargo bench --bench frames`.
#![allow(clippy::unwrap_used)] // a benchmark that cannot go on ends

#[path = "frames/fetch.rs"]
mod fetch;
#[path = "../tests/site/mod.rs"]
mod site;

use fetch::{FRAMES, SLICES, fetch, make_objects};
use site::{Orthanc, Site};
use std::time::Duration;

/// Over all frames.
const ROUNDS: usize = 5;
const NODE_FIRST: [usize; 2] = [0, 1];

fn main() {
    if !site::have("Orthanc") || !site::in_private_network("frames") {
        return;
    }
    let node = Site::start("");
    let Some(orthanc) = Orthanc::start_with_dicomweb() else {
        println!("passed over: Orthanc's DICOMweb plugin is not installed (tests/run installs it)");
        return;
    };
    let roots =
        [format!("http://{}/dicom-web", node.web), format!("http://{}/dicom-web", orthanc.http)];
    let folder = node.folder.path().join("objects");
    make_objects(&folder, &roots);
    println!("frames by WADO-RS, ms a request: median (p99), and grayd's median over Orthanc's");
    for (name, series, frames) in [
        (format!("CT, {SLICES} slices of 512 x 512 x 16"), "1", SLICES),
        (format!("NM, {FRAMES} frames of 128 x 128 x 16"), "2", FRAMES),
    ] {
        let mut taken = [Vec::new(), Vec::new()];
        for round in 0..=ROUNDS {
            // Who goes first alternates; the first round warms both up.
            for at in NODE_FIRST.map(|n| (n + round) % 2) {
                let times = fetch(&roots[at], series, frames);
                if round > 0 {
                    taken[at].extend(times);
                }
            }
        }
        let [ours, theirs] = taken.map(|mut times: Vec<Duration>| {
            times.sort();
            let ms =
                |share: f64| times[(share * (times.len() - 1) as f64) as usize].as_secs_f64() * 1e3;
            (ms(0.5), ms(0.99))
        });
        println!(
            "{name}: grayd {:.2} ({:.2}), Orthanc {:.2} ({:.2}), ratio {:.2}",
            ours.0,
            ours.1,
            theirs.0,
            theirs.1,
            ours.0 / theirs.0
        );
    }
}
