//! Objects that two servers hold alike, and their frames by WADO-RS.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// CT slices of 512 x 512 in series 1, frames of 128 x 128 of the one NM in series 2.
pub const SLICES: usize = 40;
pub const FRAMES: usize = 120;

/// Objects that pydicom writes, stored in both by STOW-RS.
pub fn make_objects(folder: &Path, roots: &[String; 2]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/frames.py");
    let made = Command::new(crate::site::python())
        .arg(script)
        .arg(folder)
        .arg(SLICES.to_string())
        .args(roots)
        .status()
        .unwrap();
    assert!(made.success());
}

/// One request a frame: the whole answer read, its time.
pub fn fetch(root: &str, series: &str, frames: usize) -> Vec<Duration> {
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
