//! WADO-RS frames beside Orthanc with its DICOMweb plugin, the same objects in the same run, one request
//! after the other over one connection: `cargo bench --bench frames`.
#![allow(clippy::unwrap_used)] // a benchmark that cannot go on ends

#[path = "../tests/site/mod.rs"]
mod site;

use site::{Orthanc, Site};
use std::time::{Duration, Instant};

/// Slices of CT, frames of NM, and rounds over all of them.
const SLICES: usize = 40;
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
        ("NM, 120 frames of 128 x 128 x 16".into(), "2", 120),
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

/// Objects that pydicom writes, stored in both by STOW-RS.
fn make_objects(folder: &std::path::Path, roots: &[String; 2]) {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/frames.py");
    let made = std::process::Command::new(site::python())
        .arg(script)
        .arg(folder)
        .arg(SLICES.to_string())
        .args(roots)
        .status()
        .unwrap();
    assert!(made.success());
}

/// One request a frame: the whole answer read, its time.
fn fetch(root: &str, series: &str, frames: usize) -> Vec<Duration> {
    let agent = ureq::Agent::new_with_defaults();
    (1..=frames)
        .map(|n| {
            let (instance, frame) = if series == "1" { (n, 1) } else { (1, n) };
            let url = format!(
                "{root}/studies/1.2.3/series/1.2.3.{series}/instances/1.2.3.{series}.{instance}/frames/{frame}"
            );
            let accept = "multipart/related; type=\"application/octet-stream\"; transfer-syntax=*";
            let began = Instant::now();
            let mut answer = agent.get(&url).header("Accept", accept).call().unwrap();
            let bytes = answer.body_mut().read_to_vec().unwrap();
            let taken = began.elapsed();
            assert!(bytes.len() > 32_768, "{url}: {} bytes", bytes.len());
            taken
        })
        .collect()
}
