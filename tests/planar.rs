//! Planar and hybrid courses of the digital patient, from files to results: what comes out must be what
//! the patient was made of. Its views are seen through its own tissue, with scatter and resolution.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use dicom_core::ops::{ApplyOp, AttributeAction, AttributeOp};
use dicom_dictionary_std::tags;
use grayd::phantom::{DigitalPatient, PhantomOptions, RegionTruth, Views};
use grayd::quantity::nuclide::Nuclide;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

#[path = "planar/alone.rs"]
mod alone;
#[path = "planar/unplaced.rs"]
mod unplaced;

fn options(views: Views) -> PhantomOptions {
    PhantomOptions { views, ..PhantomOptions::new(Nuclide::parse("Lu-177").unwrap()) }
}

/// Runs `grayd compute` on the patient's folder with its configuration, which `change` may edit.
fn compute(folder: &Path, change: impl Fn(String) -> String) -> Result<Value, String> {
    let config = folder.join("config.yaml");
    std::fs::write(&config, change(std::fs::read_to_string(&config).unwrap())).unwrap();
    let results = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_grayd"))
        .args(["compute", "--plan"])
        .arg(folder.join("plan.yaml"))
        .arg("--config")
        .arg(&config)
        .arg("--input")
        .arg(folder)
        .arg("--output")
        .arg(results.path())
        .output()
        .unwrap();
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stderr).into_owned());
    }
    let text = std::fs::read_to_string(results.path().join("results.json")).unwrap();
    Ok(serde_json::from_str(&text).unwrap())
}

fn region<'a>(results: &'a Value, name: &str) -> &'a Value {
    results["regions"].as_array().unwrap().iter().find(|r| r["name"] == name).unwrap()
}

/// Relative error of each activity of a region against the truth at the time of the image.
fn errors(results: &Value, truth: &RegionTruth) -> Vec<f64> {
    let rate = std::f64::consts::LN_2 / truth.effective_half_life.hours();
    let measured = region(results, &truth.name)["activity_mbq"].as_array().unwrap().clone();
    let error = |point: &Value| {
        let at = point["hours"].as_f64().unwrap();
        point["value"].as_f64().unwrap() / (truth.initial_activity.mbq() * (-rate * at).exp()) - 1.0
    };
    measured.iter().map(error).collect()
}

fn warned(results: &Value, code: &str) -> bool {
    results.to_string().contains(&format!("\"{code}\""))
}

#[test]
fn organs_and_whole_body_of_a_planar_course_are_within_five_per_cent() {
    let folder = tempfile::tempdir().unwrap();
    let patient = DigitalPatient::new(&options(Views::Planar)).unwrap();
    patient.write(folder.path()).unwrap();
    let results = compute(folder.path(), |text| text).unwrap();
    let (mut found, mut wanted) = (vec![0.0; 4], vec![0.0; 4]);
    for truth in patient.truth() {
        let errors = errors(&results, truth);
        println!(
            "{:20} {:?}",
            truth.name,
            errors.iter().map(|e| format!("{e:+.4}")).collect::<Vec<_>>()
        );
        for (n, error) in errors.iter().enumerate() {
            assert!(error.abs() < 0.05, "{}: {errors:?}", truth.name);
            found[n] += truth.activity[n].mbq() * (1.0 + error);
            wanted[n] += truth.activity[n].mbq();
        }
        let one = region(&results, &truth.name);
        let tia = one["tia_mbq_h"].as_f64().unwrap();
        let tia_error = tia / truth.time_integrated_activity.mbq_h() - 1.0;
        assert!(tia_error.abs() < 0.05, "{}: TIA {tia_error}", truth.name);
        assert!(one["uncertainty"].as_f64().unwrap() > 0.02, "{one}");
    }
    for (found, wanted) in found.iter().zip(&wanted) {
        println!("whole body {:+.4}", found / wanted - 1.0);
        assert!((found / wanted - 1.0).abs() < 0.05, "whole body {found} of {wanted}");
    }
    assert!(warned(&results, "planar-uniform") && !warned(&results, "planar-misfit"));
    // Mean doses follow: local deposition of what is right in activity and mass.
    let kidney = patient.truth().iter().find(|t| t.name == "Kidney Left").unwrap();
    let dose = region(&results, "Kidney Left")["absorbed_dose_gy"]["mean"].as_f64().unwrap();
    println!("left kidney {dose} Gy, true {}", kidney.mean_dose.value());
    assert!((dose / kidney.mean_dose.value() - 1.0).abs() < 0.1, "{dose}");
}

#[test]
fn a_hybrid_course_has_the_shape_of_its_views_and_the_scale_of_its_spect() {
    let folder = tempfile::tempdir().unwrap();
    let patient = DigitalPatient::new(&options(Views::Hybrid)).unwrap();
    patient.write(folder.path()).unwrap();
    // A sensitivity that is 30 % off changes no hybrid result, and is told.
    let off = |text: String| text.replace("cps_per_mbq: 9.1", "cps_per_mbq: 7.0");
    let results = compute(folder.path(), off).unwrap();
    assert_eq!(results["time_points"].as_array().unwrap().len(), 5);
    for truth in patient.truth() {
        let one = region(&results, &truth.name);
        let error =
            one["tia_mbq_h"].as_f64().unwrap() / truth.time_integrated_activity.mbq_h() - 1.0;
        println!("{:20} TIA {error:+.4}", truth.name);
        assert!(error.abs() < 0.05, "{}: {error}", truth.name);
        assert_eq!(one["fit"]["model"], "hybrid");
    }
    assert!(warned(&results, "hybrid-scale") && !warned(&results, "planar-uniform"));
}

#[test]
fn counting_noise_of_a_usual_scan_stays_within_ten_per_cent() {
    let folder = tempfile::tempdir().unwrap();
    let noisy = PhantomOptions { noise_counts: Some(1e6), ..options(Views::Planar) };
    let patient = DigitalPatient::new(&noisy).unwrap();
    patient.write(folder.path()).unwrap();
    let results = compute(folder.path(), |text| text).unwrap();
    for truth in patient.truth() {
        let errors = errors(&results, truth);
        println!(
            "{:20} {:?}",
            truth.name,
            errors.iter().map(|e| format!("{e:+.4}")).collect::<Vec<_>>()
        );
        assert!(errors.iter().all(|e| e.abs() < 0.10), "{}: {errors:?}", truth.name);
    }
}

#[test]
fn what_planar_views_lack_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let one = PhantomOptions {
        times: Some(vec![grayd::quantity::Seconds::from_hours(24.0)]),
        spect_shape: [24, 32, 32],
        spect_voxel_mm: 9.6,
        ..options(Views::Planar)
    };
    DigitalPatient::new(&one).unwrap().write(folder.path()).unwrap();
    let plan = folder.path().join("plan.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replace(", planar: activity", "")).unwrap();
    let refused = compute(folder.path(), |text| text).unwrap_err();
    assert!(refused.contains("planar: activity"), "{refused}");
    std::fs::write(&plan, text).unwrap();
    let refused = compute(folder.path(), |text| text.replace("PHANTOM", "OTHER")).unwrap_err();
    assert!(refused.contains("cps_per_mbq"), "{refused}");
    let (ct, away) = (folder.path().join("ct-1"), tempfile::tempdir().unwrap());
    std::fs::rename(&ct, away.path().join("ct-1")).unwrap();
    let refused = compute(folder.path(), |text| text.replace("OTHER", "PHANTOM")).unwrap_err();
    assert!(refused.contains("neither a CT nor outlined regions"), "{refused}");
    std::fs::rename(away.path().join("ct-1"), &ct).unwrap();
    // The second window no longer ends at the peak: the one above does not tell what scatters from the peak.
    for entry in std::fs::read_dir(folder.path().join("planar-1")).unwrap() {
        let path = entry.unwrap().path();
        let mut object = dicom_object::open_file(&path).unwrap();
        for (limit, kev) in
            [(tags::ENERGY_WINDOW_LOWER_LIMIT, "20"), (tags::ENERGY_WINDOW_UPPER_LIMIT, "30")]
        {
            let range = tags::ENERGY_WINDOW_RANGE_SEQUENCE;
            let at = (tags::ENERGY_WINDOW_INFORMATION_SEQUENCE, 1, range, 0, limit);
            object.apply(AttributeOp::new(at, AttributeAction::SetStr(kev.into()))).unwrap();
        }
        object.write_to_file(&path).unwrap();
    }
    let refused = compute(folder.path(), |text| text).unwrap_err();
    assert!(refused.contains("broad_beam_ratio"), "{refused}");
}
