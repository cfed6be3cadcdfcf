//! Fifty known motions of a real CT and of the reference male's, beside SimpleITK on the same pairs.
//!
//!     cargo bench --bench register [-- PAIRS]
//!
//! Shifts up to 25 mm and turns up to 6 degrees about each axis, noise of 20 HU. Errors are the distance at
//! the middle of the image and the angle between found and true turn. Then a tenth as many known deformations of up
//! to 16 mm; errors are distances over the body.

#![allow(clippy::unwrap_used)] // a bench that cannot go on stops

#[path = "../tests/regions/pairs.rs"]
#[allow(dead_code)] // the tests use more of it
mod pairs;
#[path = "../tests/report/peer.rs"]
#[allow(dead_code)]
mod peer;

use grayd::register::{self, Metric, Motion};
use grayd::volume::Volume;
use grayd::volume::transform::{Affine, Deformation, Transform};
use std::path::{Path, PathBuf};
use std::time::Instant;

fn store(path: &Path, volume: &Volume<f32>) {
    let bytes: Vec<u8> = volume.as_slice().iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(path, bytes).unwrap();
}

/// Seconds, mm and degrees of each.
fn summary(who: &str, found: &[(f64, f64, f64)]) -> f64 {
    let of = |pick: fn(&(f64, f64, f64)) -> f64| {
        let mut all: Vec<f64> = found.iter().map(pick).collect();
        all.sort_by(f64::total_cmp);
        (all[all.len() / 2], all[all.len() - 1])
    };
    let (time, mm, degrees) = (of(|f| f.0), of(|f| f.1), of(|f| f.2));
    println!(
        "{who}: {} pairs, {:.2} s (up to {:.2}), {:.3} mm (up to {:.3}), {:.3} degrees (up to {:.3})",
        found.len(),
        time.0,
        time.1,
        mm.0,
        mm.1,
        degrees.0,
        degrees.1
    );
    time.0
}

/// Seconds, mean and 95 % of the errors: the median of all pairs.
fn deformed_summary(who: &str, mut found: Vec<[f64; 3]>) -> f64 {
    let mut median = |n: usize| {
        found.sort_by(|a, b| a[n].total_cmp(&b[n]));
        found[found.len() / 2][n]
    };
    let [time, mean, most] = [median(0), median(1), median(2)];
    println!("{who}, deformed: {time:.2} s, {mean:.2} mm in the mean, 95 % within {most:.2} mm");
    time
}

/// Known deformations beside SimpleITK's demons; both begin at rest.
fn deformable(scans: &[pairs::Scan], count: u64, folder: &Path) {
    let of = register::constants();
    let settings = of.deformable(of.correlation_min_ct.value);
    let (mut ours, mut described, mut cases) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..count {
        let fixed = &scans[n as usize % scans.len()].hu;
        let (truth, moving) = pairs::bent(fixed, n + 1);
        let begin = Instant::now();
        let found = register::deform(fixed, &moving, &Affine::IDENTITY, &settings).unwrap();
        let seconds = begin.elapsed().as_secs_f64();
        let map = Transform::Deformable(found.fixed_to_moving.into());
        let errors = pairs::target_errors(&truth, |p| map.map(p), &moving);
        let [mean, most] = pairs::mean_and_95(&errors);
        ours.push([seconds, mean, most]);
        let [one, other, field] =
            ["bent-fixed", "bent-moving", "bent-field"].map(|k| folder.join(format!("{k}{n}")));
        store(&one, fixed);
        store(&other, &moving);
        described.push(serde_json::json!({
            "fixed": one, "moving": other, "field": field, "shape": fixed.grid().shape(),
            "spacing": fixed.grid().spacing_mm(), "origin": fixed.grid().origin_lps_mm(),
        }));
        cases.push((truth, moving, field));
    }
    let own = deformed_summary("grayd", ours);
    let Some(python) = peer::python_with("SimpleITK, numpy") else { return };
    let list = folder.join("bent.json");
    std::fs::write(&list, serde_json::to_string(&described).unwrap()).unwrap();
    let answers = peer::script(&python, "deform_simpleitk.py", &[&list]);
    let judge = |(answer, (truth, moving, field)): (&serde_json::Value, &Case)| {
        let bytes = std::fs::read(field).unwrap();
        let values: Vec<f32> =
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let vectors = values.as_chunks::<3>().0.to_vec();
        let grid = moving.grid().clone();
        let map = Deformation::new(Affine::IDENTITY, Affine::IDENTITY, grid, vectors).unwrap();
        let map = Transform::Deformable(map.into());
        let [mean, most] = pairs::mean_and_95(&pairs::target_errors(truth, |p| map.map(p), moving));
        [answer["seconds"].as_f64().unwrap(), mean, most]
    };
    let theirs = answers.as_array().unwrap().iter().zip(&cases).map(judge).collect();
    let other = deformed_summary("SimpleITK", theirs);
    println!("grayd takes {:.2} of SimpleITK's time", own / other);
}

type Case = (pairs::Bent, Volume<f32>, PathBuf);

fn main() {
    let pairs: u64 = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(50);
    let Some(scans) = pairs::scans() else { return };
    let of = register::constants();
    let settings = of.settings(Motion::Rigid, Metric::Correlation, of.correlation_min_ct.value);
    let folder = tempfile::tempdir().unwrap();
    let (mut ours, mut described, mut truths) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..pairs {
        let scan = &scans[n as usize % scans.len()];
        let (truth, moving) = pairs::case(&scan.hu, n + 1);
        let begin = Instant::now();
        let found = register::register(&scan.hu, &moving, &settings).unwrap();
        let seconds = begin.elapsed().as_secs_f64();
        let grid = scan.hu.grid();
        let (mm, degrees) = pairs::error(&found.fixed_to_moving, &truth, grid);
        ours.push((seconds, mm, degrees));
        let files: [PathBuf; 2] =
            ["fixed", "moving"].map(|k| folder.path().join(format!("{k}{n}")));
        store(&files[0], &scan.hu);
        store(&files[1], &moving);
        described.push(serde_json::json!({
            "fixed": files[0], "moving": files[1], "shape": grid.shape(),
            "spacing": grid.spacing_mm(), "origin": grid.origin_lps_mm(),
            "moving_shape": moving.grid().shape(), "moving_origin": moving.grid().origin_lps_mm(),
        }));
        truths.push((truth, scan));
    }
    deformable(&scans, pairs.div_ceil(10), folder.path());
    let own = summary("grayd", &ours);
    let Some(python) = peer::python_with("SimpleITK, numpy") else { return };
    let list = folder.path().join("pairs.json");
    std::fs::write(&list, serde_json::to_string(&described).unwrap()).unwrap();
    let answers = peer::script(&python, "register_simpleitk.py", &[&list]);
    let theirs: Vec<(f64, f64, f64)> = answers
        .as_array()
        .unwrap()
        .iter()
        .zip(&truths)
        .map(|(answer, (truth, scan))| {
            let entry = |r: usize, c: usize| answer["matrix"][r][c].as_f64().unwrap();
            let matrix = std::array::from_fn(|r| std::array::from_fn(|c| entry(r, c)));
            let map = Affine::new(matrix).unwrap();
            let (mm, degrees) = pairs::error(&map, truth, scan.hu.grid());
            (answer["seconds"].as_f64().unwrap(), mm, degrees)
        })
        .collect();
    let other = summary("SimpleITK", &theirs);
    println!("grayd takes {:.2} of SimpleITK's time", own / other);
}
