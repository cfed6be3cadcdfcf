//! Deformable registration: known deformations of a real CT, and the option from plan to results.

use crate::pairs::{bent, mean_and_95, scans, target_errors};
use crate::peer::{python_with, said, script};
use grayd::register::{self, Metric, Motion};
use grayd::volume::{Transform, Volume};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Of the deformations that the bench has more of.
const CASES: u64 = 1;

/// Overlap of an organ carried over with where it is: 2 |A ∩ B| / (|A| + |B|).
fn dice(
    labels: &[u8],
    organ: u8,
    moving: &Volume<f32>,
    truth: impl Fn([f64; 3]) -> [f64; 3],
    moving_to_fixed: &Transform,
) -> f64 {
    let grid = moving.grid();
    let [slices, rows, columns] = grid.shape();
    let holds = |p: [f64; 3]| {
        let at = grid.lps_to_voxel(p).map(|x| (x + 0.5).floor());
        let inside = (0..3).all(|a| at[a] >= 0.0 && at[a] < [columns, rows, slices][a] as f64);
        inside && labels[grid.linear(at[2] as usize, at[1] as usize, at[0] as usize)] == organ
    };
    let mut counts = [0.0; 3];
    for n in 0..grid.len() {
        let ijk = grid.place(n).map(|x| x as f64);
        let point = grid.voxel_to_lps(ijk);
        let is = holds(truth(point));
        // Away from the organ a part of the voxels tells enough.
        let near = is || holds(point);
        if !near && n % 16 != 0 {
            continue;
        }
        let said = moving_to_fixed.map(point).is_some_and(holds);
        let weight = if near { 1.0 } else { 16.0 };
        counts[0] += f64::from(u8::from(is)) * weight;
        counts[1] += f64::from(u8::from(said)) * weight;
        counts[2] += f64::from(u8::from(is && said)) * weight;
    }
    2.0 * counts[2] / (counts[0] + counts[1])
}

#[test]
fn known_deformations_of_a_real_ct_come_back_and_organs_follow() {
    let Some(scans) = scans() else { return };
    let scan = &scans[0];
    let labels = scan.labels.as_ref().unwrap();
    let of = register::constants();
    let rigid = of.settings(Motion::Rigid, Metric::Correlation, of.correlation_min_ct.value);
    for n in 1..=CASES {
        let (truth, moving) = bent(&scan.hu, n);
        let start = register::register(&scan.hu, &moving, &rigid).unwrap();
        let gate = of.correlation_min_ct.value;
        let asked = of.deformable(gate);
        let found = register::deform(&scan.hu, &moving, &start.fixed_to_moving, &asked).unwrap();
        let map = Transform::Deformable(found.fixed_to_moving.into());
        let stiff = Transform::Affine(start.fixed_to_moving);
        let before = mean_and_95(&target_errors(&truth, |p| stiff.map(p), &moving));
        let after = mean_and_95(&target_errors(&truth, |p| map.map(p), &moving));
        println!(
            "case {n}: {before:.2?} mm rigid, {after:.2?} mm deformed, Jacobian {:.2?}, correlation {:.4?}",
            found.jacobian, found.score
        );
        assert!(after[0] < 1.0 && after[1] < 3.0 && after[0] < 0.4 * before[0], "{after:?}");
        let (back, stiff_back) = (map.inverse(), stiff.inverse());
        let mut gain = 0.0;
        for (name, organ) in [("spleen", 1), ("kidney right", 2), ("kidney left", 3), ("liver", 5)]
        {
            let of = |way: &Transform| dice(labels, organ, &moving, |p| truth.map(p), way);
            let (rigid, deformed) = (of(&stiff_back), of(&back));
            println!("case {n}, {name}: Dice {rigid:.3} rigid, {deformed:.3} deformed");
            assert!(deformed > 0.85, "{name}: {rigid} {deformed}");
            gain += deformed - rigid;
        }
        assert!(gain > 0.0, "{gain}");
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Time-integrated activity of a region.
fn tia(results: &Value, name: &str) -> f64 {
    let regions = results["regions"].as_array().unwrap();
    let region = regions.iter().find(|region| region["name"] == name).unwrap();
    region["tia_mbq_h"].as_f64().unwrap()
}

#[test]
fn a_kidney_that_moved_between_sessions_is_followed_from_plan_to_results() {
    let Some(python) = python_with("pydicom, numpy, SimpleITK") else { return };
    let folder = tempfile::tempdir().unwrap();
    let patient = folder.path().join("patient");
    let grayd = || Command::new(env!("CARGO_BIN_EXE_grayd"));
    said(grayd().args(["phantom", "--output"]).arg(&patient));
    let moved = script(&python, "deform_sessions.py", &[&patient]);
    script(&python, "move_sessions.py", &[&patient]);
    let plan = std::fs::read_to_string(patient.join("plan.yaml")).unwrap();
    let compute = |name: &str, settings: &str| {
        let (path, output) = (folder.path().join(format!("{name}.yaml")), folder.path().join(name));
        std::fs::write(&path, format!("{plan}{settings}")).unwrap();
        let mut command = grayd();
        command.args(["compute", "--plan"]).arg(&path).arg("--output").arg(&output);
        said(command.arg("--input").arg(&patient));
        (read(&output.join("results.json")), output)
    };
    let truth = read(&patient.join("truth.json"));
    let known = tia(&truth, "Kidney Left");
    let (rigid, _) = compute("rigid", "  registration: { method: rigid }\n");
    let (deformed, output) = compute("deformed", "  registration: { method: deformable }\n");
    let off = |results: &Value, name: &str| tia(results, name) / tia(&truth, name) - 1.0;
    for name in ["Kidney Left", "Kidney Right", "Spleen", "Liver"] {
        println!("{name}: {:+.4} rigid, {:+.4} deformed", off(&rigid, name), off(&deformed, name));
    }
    let (stiff, bent) = (off(&rigid, "Kidney Left"), off(&deformed, "Kidney Left"));
    assert!(stiff < -0.08, "{stiff}: the kidney left its rigid outline");
    assert!(bent.abs() < 0.05 && bent.abs() < 0.4 * stiff.abs(), "{bent} of {known}");
    assert!(off(&deformed, "Kidney Right").abs() < 0.05);
    let warnings = deformed["warnings"].as_array().unwrap();
    let said: Vec<&str> = warnings
        .iter()
        .filter(|w| w["code"] == "registered-by-images")
        .map(|w| w["text"].as_str().unwrap())
        .collect();
    assert_eq!(said.len(), 3, "{warnings:?}");
    assert!(said.iter().all(|text| text.contains("deformable registration of CT to CT")));
    assert!(said.iter().all(|text| text.contains(", Jacobian ")), "{said:?}");

    // Others read it, in the direction of the standard: registered points go to the source.
    let object = output.join("deformable-registration.dcm");
    let points = script(&python, "deformable_reg.py", &[&object, &patient]);
    for found in points["points"].as_array().unwrap() {
        let error = found["error_mm"].as_f64().unwrap();
        println!("kidney centre in {}: {error:.2} mm", found["session"]);
        assert!(error < 2.5, "{found}");
        assert!(found["simpleitk_mm"].as_f64().unwrap() < 1e-3, "{found}");
    }
    assert_eq!(points["points"].as_array().unwrap().len(), 3);
    assert!(moved["shift_mm"].is_array());

    // And so does grayd itself: sent to it, the object is honoured and nothing is computed.
    std::fs::copy(&object, patient.join("registration.dcm")).unwrap();
    let (again, second) = compute("honoured", "");
    for name in ["Kidney Left", "Kidney Right", "Spleen", "Liver"] {
        let ratio = tia(&again, name) / tia(&deformed, name);
        assert!((ratio - 1.0).abs() < 1e-4, "{name}: {ratio}");
    }
    assert!(!again["warnings"].to_string().contains("registered-by-images"));
    assert!(!second.join("deformable-registration.dcm").exists());
}
