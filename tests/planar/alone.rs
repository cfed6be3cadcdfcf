//! Views without a CT: conjugate views of outlined regions, doses by S values, counts for the rules that read
//! them.

use super::{compute, errors, options, region, warned};
use dicom_dictionary_std::tags;
use grayd::biology::organ::{Adult, RADAR};
use grayd::phantom::{DigitalPatient, PhantomOptions, RegionTruth, SimulatedCourse, Views};
use grayd::quantity::nuclide::Nuclide;
use grayd::quantity::{BecquerelSecond, Gram};
use serde_json::Value;
use std::path::Path;

/// A patient with outlined views.
fn patient(folder: &Path) -> DigitalPatient {
    let patient = DigitalPatient::new(&options(Views::Outlined)).unwrap();
    patient.write(folder).unwrap();
    patient
}

fn without_transmission(folder: &Path) {
    for name in ["transmission", "blank"] {
        std::fs::remove_dir_all(folder.join(name)).unwrap();
    }
}

/// Worst error of the activities of each outlined region.
fn worst(results: &Value, truth: &[RegionTruth]) -> Vec<(String, f64)> {
    let names = results["regions"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap());
    let of = |name: &str| {
        let truth = truth.iter().find(|truth| truth.name == name)?;
        let errors = errors(results, truth);
        let worst = errors.into_iter().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        Some((name.to_owned(), worst))
    };
    names.filter_map(of).collect()
}

/// A dose is the S value at the region's mass times its decays, and states an uncertainty.
fn dose_follows(results: &Value, name: &str, organ: &str, part: f64) {
    let lu = Nuclide::parse("Lu-177").unwrap();
    let one = region(results, name);
    let mass = RADAR.mass(organ, Adult::Male).unwrap().value() * part;
    assert_eq!(one["mass_g"].as_f64().unwrap(), mass, "{name}");
    let tia = BecquerelSecond::from_mbq_h(one["tia_mbq_h"].as_f64().unwrap());
    let gray = RADAR.self_dose(&lu, organ, Adult::Male, Gram::new(mass), tia).unwrap().value();
    let dose = &one["absorbed_dose_gy"];
    assert!((dose["mean"].as_f64().unwrap() / gray - 1.0).abs() < 1e-9, "{name}: {dose} {gray}");
    assert!(dose["max"].is_null() && one["dvh"].is_null() && one["volume_ml"].is_null());
    assert!(one["uncertainty"].as_f64().unwrap() > 0.02, "{one}");
}

#[test]
fn outlined_organs_without_a_ct_have_activities_and_doses_by_either_attenuation() {
    let folder = tempfile::tempdir().unwrap();
    let patient = patient(folder.path());
    for how in ["transmission scan", "stated thickness"] {
        if how == "stated thickness" {
            without_transmission(folder.path());
        }
        let results = compute(folder.path(), |text| text).unwrap();
        assert_eq!(results["engine"]["name"], "organ-s-values");
        assert!(results["grid"].is_null() && warned(&results, "organ-doses"));
        let said = results["time_points"][0]["quantification"].as_str().unwrap();
        assert!(said.contains(how), "{said}");
        let worst = worst(&results, patient.truth());
        println!("{how}: {worst:?}");
        assert!(worst.len() >= 5, "{worst:?}");
        for (name, error) in &worst {
            let stated =
                region(&results, name)["uncertainty_budget"]["time_integrated_activity"].clone();
            assert!(error.abs() < stated.as_f64().unwrap(), "{how}, {name}: {error}, {stated}");
        }
        for (name, organ, part) in
            [("Kidney Left", "kidneys", 0.5), ("Liver", "liver", 1.0), ("Spleen", "spleen", 1.0)]
        {
            dose_follows(&results, name, organ, part);
        }
    }
}

#[test]
fn a_stated_mass_goes_before_the_reference_adult_s() {
    let folder = tempfile::tempdir().unwrap();
    patient(folder.path());
    let plan = folder.path().join("plan.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    let by_reference = compute(folder.path(), |text| text).unwrap();
    let measured =
        "measured:\n  masses: [{ region: liver, mass_g: 900, relative_uncertainty: 0.05 }]\n";
    std::fs::write(&plan, format!("{text}{measured}")).unwrap();
    let by_plan = compute(folder.path(), |text| text).unwrap();
    let dose =
        |results: &Value| region(results, "Liver")["absorbed_dose_gy"]["mean"].as_f64().unwrap();
    // Half the mass: twice the electrons' part.
    let ratio = dose(&by_plan) / dose(&by_reference);
    assert!((1.9..2.0).contains(&ratio), "{ratio}");
    assert!(region(&by_reference, "Liver")["warnings"].to_string().contains("reference-mass"));
    let liver = region(&by_plan, "Liver");
    assert!(!liver["warnings"].to_string().contains("reference-mass"));
    let parts = liver["uncertainty_budget"]["contributions"].as_array().unwrap();
    let mass = parts.iter().find(|part| part["source"] == "mass").unwrap();
    assert_eq!(
        (mass["absorbed_dose"].as_f64(), mass["time_integrated_activity"].as_f64()),
        (Some(-0.05), Some(0.0))
    );
}

#[test]
fn what_views_without_a_ct_lack_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    patient(folder.path());
    let refused = |wanted: &str| {
        let error = compute(folder.path(), |text| text).unwrap_err();
        assert!(error.contains(wanted), "{error}");
    };
    let [through, blank] = ["transmission", "blank"].map(|name| {
        let path = std::fs::read_dir(folder.path().join(name)).unwrap().next().unwrap();
        path.unwrap().path()
    });
    // A second scan of the patient is no blank.
    let pixels =
        dicom_object::open_file(through).unwrap().element(tags::PIXEL_DATA).unwrap().clone();
    let mut second = dicom_object::open_file(&blank).unwrap();
    second.put(pixels);
    second.write_to_file(&blank).unwrap();
    refused("nothing says which of transmission series");
    std::fs::remove_dir_all(folder.path().join("blank")).unwrap();
    refused("came without its blank");
    std::fs::remove_dir_all(folder.path().join("transmission")).unwrap();
    let plan = folder.path().join("plan.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    let lines = text.lines().filter(|line| !line.contains("body_thickness_mm"));
    std::fs::write(&plan, lines.collect::<Vec<_>>().join("\n")).unwrap();
    refused("body_thickness_mm");
    std::fs::write(&plan, &text).unwrap();
    let config = std::fs::read_to_string(folder.path().join("config.yaml")).unwrap();
    let error = compute(folder.path(), |text| text.replace("PHANTOM", "OTHER")).unwrap_err();
    assert!(error.contains("cps_per_mbq"), "{error}");
    std::fs::write(folder.path().join("config.yaml"), config).unwrap();
    std::fs::remove_dir_all(folder.path().join("regions")).unwrap();
    refused("send a SEG drawn on the views");
}

/// 131I-tositumomab by whole-body residence: views alone are enough, without a calibration, a CT or an outline.
#[test]
fn whole_body_counts_of_views_alone_give_the_activity_of_tositumomab() {
    let protocols = grayd::config::Protocols::load(None).unwrap();
    let protocol = protocols.find("i131-tositumomab-wb").unwrap();
    let quick = PhantomOptions {
        spect_shape: [24, 32, 32],
        spect_voxel_mm: 9.6,
        ..options(Views::Outlined)
    };
    let mut course = SimulatedCourse::new(protocol, &quick).unwrap();
    course.complete().unwrap();
    let folder = tempfile::tempdir().unwrap();
    course.write(folder.path()).unwrap();
    let cycle = folder.path().join("cycle-1");
    for entry in std::fs::read_dir(&cycle).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_string_lossy().starts_with("planar") {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
    let results = compute(folder.path(), |_| "plans: .\n".into()).unwrap();
    assert_eq!(results["regions"], Value::Array(Vec::new()));
    assert_eq!(results["whole_body_counts"].as_array().unwrap().len(), 3);
    let proposal = &results["prescription"]["proposal"];
    let truth = course.true_state().unwrap().proposal.unwrap();
    let off = proposal["unrounded_mbq"].as_f64().unwrap() / truth.unrounded.mbq() - 1.0;
    println!("{} MBq, {off:+.4}", proposal["unrounded_mbq"]);
    assert!(off.abs() < 0.05, "{proposal} {off}");
    assert!(warned(&results, "whole-body-from-views"));
}
