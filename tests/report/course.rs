//! A result with everything that a report can hold, and its course as foreign readers find it in the SR.

use crate::peer::{dciodvfy_faults, peer, python_with, said, script};
use crate::results::{NORMAL_LINES, grid, options, result, voxels};
use grayd::config::{Plan, Protocols};
use grayd::pipeline::course;
use grayd::report::{CycleResult, DoseBits, Kind, planes, write_all};
use grayd::uncertainty::{Budget, Contribution};
use grayd::volume::{Transform, Volume};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The result with planes over a CT, and with a budget.
pub fn whole() -> CycleResult {
    let mut result = result();
    let hu = Volume::new(grid(), box_of_tissue(&result));
    let gy = &result.voxels.as_ref().unwrap().gy;
    let cut = planes::cut(gy, Some((&hu, &Transform::Identity)), &result.regions);
    voxels(&mut result).planes = cut;
    for region in &mut result.regions {
        let part = |source, absorbed_dose: f64| Contribution {
            source,
            time_integrated_activity: absorbed_dose,
            absorbed_dose,
            share_of_dose_variance: 0.5,
        };
        region.uncertainty_budget = Some(Budget {
            time_integrated_activity: Some(0.05),
            absorbed_dose: region.uncertainty,
            contributions: vec![part("volume", -0.07), part("fit", 0.021)],
            unknown: vec!["calibration"],
        });
    }
    result
}

/// Tissue in a box, air around.
fn box_of_tissue(result: &CycleResult) -> ndarray::Array3<f32> {
    let (slices, rows, columns) = result.voxels.as_ref().unwrap().gy.grid().dim();
    ndarray::Array3::from_shape_fn((slices, rows, columns), |(_, j, i)| {
        let inside = (3..rows - 3).contains(&j) && (2..columns - 2).contains(&i);
        if inside { 40.0 } else { -1000.0 }
    })
}

/// The course of a plan whose first cycle was this result.
pub fn with_course(protocol: &str, more: &str) -> CycleResult {
    let mut result = whole();
    result.protocol = protocol.into();
    result.cycle = 1;
    let plan = format!(
        "patient: {{ id: P-0001, issuer: HOSPITAL }}\nprotocol: {protocol}\ncycles:\n  - {{ number: 1, \
         administered: {{ activity_mbq: 7400, at: 2026-03-02T10:15:00+01:00 }} }}\n{more}"
    );
    let plan = Plan::read("p.yaml", &plan, &Protocols::load(None).unwrap()).unwrap();
    let course = course::evaluate(&plan, &[course::CycleDoses::of(&result)]).unwrap();
    result.prescription = Some(course::write(&course));
    result
}

fn report(result: &CycleResult, folder: &Path) -> PathBuf {
    let written = write_all(result, folder, &options(DoseBits::ThirtyTwo)).unwrap();
    written.into_iter().find(|one| one.kind == Kind::StructuredReport).unwrap().path
}

/// Kidneys measured, the next activity proposed.
pub const MARROW: &str =
    "measured:\n  doses:\n    - { cycle: 1, region: red marrow, dose_gy: 0.2 }\n";

#[test]
fn sums_limits_and_proposal_are_measurement_groups_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let result = with_course("lu177-quebec", MARROW);
    let path = report(&result, folder.path());
    if let Some(dciodvfy) = peer("dciodvfy") {
        assert_eq!(dciodvfy_faults(&dciodvfy, &path, NORMAL_LINES), [""; 0]);
    }
    let Some(python) = python_with("highdicom") else { return };
    let seen = script(&python, "sr_highdicom.py", &[&path]);
    let course = result.prescription.as_ref().unwrap();
    let group = |name: &str| -> &serde_json::Value {
        let mut found = seen["course"].as_array().unwrap().iter();
        found.find(|group| group["tracking_identifier"] == name).unwrap_or_else(|| panic!("{seen}"))
    };
    for tissue in course["tissues"].as_array().unwrap() {
        let values = &group(tissue["tissue"].as_str().unwrap())["values"];
        for (key, name) in [
            ("absorbed_dose_gy", "Absorbed dose of the course so far [Gy]"),
            ("dose_limit_gy", "Limit of absorbed dose [Gy]"),
            ("remaining_dose_gy", "Absorbed dose left to the limit [Gy]"),
        ] {
            assert_eq!(values[name], tissue[key], "{name}");
        }
    }
    let proposal = &group("Proposal of cycle 2")["values"];
    assert_eq!(proposal["Proposed activity [MBq]"], course["proposal"]["activity_mbq"]);
    assert!(proposal["Proposed activity [MBq]"].as_f64().unwrap() > 1000.0);
    let regions = seen["groups"].as_array().unwrap();
    assert_eq!(regions.len(), 3 * (1 + 4), "regions stay as they are");
    let parts = "Contribution to relative uncertainty of mean absorbed dose [%]";
    assert!(regions[0]["values"][parts].is_number(), "{}", regions[0]);
    // Another ledger is another document.
    let identity = |path: &Path| -> String {
        let object = dicom_object::open_file(path).unwrap();
        let uid = object.element(dicom_dictionary_std::tags::SOP_INSTANCE_UID).unwrap();
        uid.to_str().unwrap().into_owned()
    };
    let other = tempfile::tempdir().unwrap();
    let more = MARROW.replace("0.2", "0.3");
    let other = report(&with_course("lu177-quebec", &more), other.path());
    assert_ne!(identity(&path), identity(&other));
    let Some(dsrdump) = peer("dsrdump") else { return };
    let tree = said(Command::new(dsrdump).arg(&path));
    for wanted in ["Entry of the course's ledger", "Limiting constraint", "Source of uncertainty"] {
        assert!(tree.contains(wanted), "lacks {wanted}: {tree}");
    }
}
