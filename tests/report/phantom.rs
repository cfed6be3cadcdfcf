//! The digital patient is what it says it is, to the closed form and to foreign readers.

use crate::peer::{dciodvfy_faults, peer, python_with, script};
use grayd::phantom::{DigitalPatient, PhantomDecay, PhantomOptions, SliceOrder, SpectStorage};
use grayd::quantity::nuclide::Nuclide;
use grayd::quantity::{KiloElectronvolt, Seconds};
use std::path::Path;

/// Lines of dciodvfy that are normal for the digital patient, and why.
const NORMAL_LINES: &[(&str, &str)] =
    &[("</DecayCorrection(0054,1102)>", "not of the NM IOD; says what DECY refers to")];

fn options() -> PhantomOptions {
    PhantomOptions {
        // ICRP 107: 6.647 d, 147.9 keV electrons.
        decay: Some(PhantomDecay {
            half_life: Seconds::from_hours(6.647 * 24.0),
            energy_per_decay: KiloElectronvolt::new(147.9),
        }),
        ..PhantomOptions::new(Nuclide::parse("Lu-177").unwrap())
    }
}

/// The same patient on a grid that is quick to read and write.
fn coarse() -> PhantomOptions {
    PhantomOptions { spect_shape: [24, 32, 32], spect_voxel_mm: 9.6, ..options() }
}

/// What a foreign reader measures in each region must be the truth.
fn agrees_with_truth(options: &PhantomOptions, tolerance: f64) {
    let Some(python) = python_with("pydicom, highdicom, numpy") else { return };
    let directory = tempfile::tempdir().unwrap();
    let patient = DigitalPatient::new(options).unwrap();
    patient.write(directory.path()).unwrap();
    let seen = script(&python, "phantom_pydicom.py", &[directory.path()]);
    let regions: Vec<_> = patient.truth().iter().filter(|region| region.is_drawn).collect();
    assert_eq!(seen["regions"].as_object().unwrap().len(), regions.len());
    for truth in regions {
        let region = &seen["regions"][&truth.name];
        let near = |what: &str, found: f64, expected: f64| {
            let off = (found / expected - 1.0).abs();
            assert!(off < tolerance, "{} {what}: {found}, truth {expected}", truth.name);
        };
        near("contoured volume", region["contour_ml"].as_f64().unwrap(), truth.volume.value());
        near("segmented volume", region["segment_ml"].as_f64().unwrap(), truth.volume.value());
        near("CT mass", region["mass_g"].as_f64().unwrap(), truth.mass.value());
        for (n, activity) in truth.activity.iter().enumerate() {
            near("activity", region["activity_mbq"][n].as_f64().unwrap(), activity.mbq());
        }
    }
}

#[test]
fn a_foreign_reader_finds_the_true_volume_mass_and_activity_of_every_region() {
    agrees_with_truth(&options(), 1e-4);
}

#[test]
fn stored_as_pet_and_upside_down_it_is_the_same_patient() {
    for slice_order in [SliceOrder::Descending, SliceOrder::ReversedVector] {
        agrees_with_truth(&PhantomOptions { slice_order, ..coarse() }, 1e-4);
    }
    let slice_order = SliceOrder::Descending;
    agrees_with_truth(
        &PhantomOptions { storage: SpectStorage::Pet, slice_order, ..coarse() },
        1e-4,
    );
}

#[test]
fn dciodvfy_accepts_every_object() {
    let Some(dciodvfy) = peer("dciodvfy") else { return };
    let mut faults = Vec::new();
    for storage in [SpectStorage::NmReconTomo, SpectStorage::Pet] {
        let directory = tempfile::tempdir().unwrap();
        let small =
            PhantomOptions { storage, times: Some(vec![Seconds::from_hours(24.0)]), ..coarse() };
        let paths = DigitalPatient::new(&small).unwrap().write(directory.path()).unwrap();
        for path in paths.iter().filter(|p| p.extension().is_some_and(|e| e == "dcm")) {
            faults.extend(dciodvfy_faults(&dciodvfy, path, NORMAL_LINES));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_same_seed_makes_the_same_files_and_another_seed_another_patient() {
    let bytes = |seed: u64| -> Vec<Vec<u8>> {
        let directory = tempfile::tempdir().unwrap();
        let small = PhantomOptions { seed, noise_counts: Some(1e5), ..coarse() };
        let paths = DigitalPatient::new(&small).unwrap().write(directory.path()).unwrap();
        paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
    };
    let first = bytes(1);
    assert_eq!(first, bytes(1));
    assert!(first.iter().zip(bytes(2)).all(|(a, b)| a != &b));
}

#[test]
fn the_truth_is_the_closed_form() {
    let patient = DigitalPatient::new(&options()).unwrap();
    let hours = [4.0, 24.0, 96.0, 168.0];
    assert_eq!(patient.times().iter().map(|t| t.hours()).collect::<Vec<_>>(), hours);
    let administered = 7400.0;
    let uptake: f64 = patient.truth().iter().map(|r| r.initial_activity.mbq()).sum();
    assert!(uptake > 0.3 * administered && uptake < 0.7 * administered);
    for region in patient.truth() {
        let half_life = region.effective_half_life.hours();
        assert!(half_life < 6.647 * 24.0, "{}", region.name);
        // Trapezoids over the curve against the integral.
        let curve = |t: f64| region.initial_activity.mbq() * (-(2f64.ln()) * t / half_life).exp();
        let steps = (0..200_000).map(|n| f64::from(n) * 0.01);
        let integral: f64 = steps.map(|t| (curve(t) + curve(t + 0.01)) * 0.005).sum();
        let tia = region.time_integrated_activity.mbq_h();
        assert!((integral / tia - 1.0).abs() < 1e-5, "{}: {integral} {tia}", region.name);
        assert!((curve(24.0) / region.activity[1].mbq() - 1.0).abs() < 1e-12);
        // 147.9 keV per decay: 0.0853 Gy kg per MBq h times 1e-3.
        let dose = tia * 3.6e9 * 147.9e3 * 1.602_176_634e-19 / (region.mass.value() * 1e-3);
        assert!((region.mean_dose.value() / dose - 1.0).abs() < 1e-12);
    }
}

#[test]
fn impossible_options_are_refused() {
    let refused = |options: PhantomOptions| DigitalPatient::new(&options).unwrap_err().to_string();
    assert!(refused(PhantomOptions { spect_shape: [0, 9, 9], ..options() }).contains("SPECT size"));
    assert!(refused(PhantomOptions { ct_per_spect: 0, ..options() }).contains("CT voxels"));
    assert!(refused(PhantomOptions { spect_voxel_mm: -1.0, ..options() }).contains("spacing"));
    assert!(refused(PhantomOptions { times: Some(vec![]), ..options() }).contains("time points"));
    let noise = PhantomOptions { noise_counts: Some(f64::NAN), ..options() };
    assert!(refused(noise).contains("noise"));
}

#[test]
fn the_plan_names_patient_agent_and_zone() {
    let patient = DigitalPatient::new(&options()).unwrap();
    let plan = patient.plan();
    for line in [
        "patient: { id: \"PHANTOM-1\", issuer: \"GRAYD-PHANTOM\" }",
        "radiopharmaceutical: 177Lu-PHANTOM",
        "administered: { activity_mbq: 7400, at: 2026-03-02T10:15:00+01:00 }",
    ] {
        assert!(plan.contains(line), "{plan}");
    }
    let directory = tempfile::tempdir().unwrap();
    let path: &Path = directory.path();
    assert!(patient.write(path).unwrap().iter().any(|written| written.ends_with("plan.yaml")));
}
