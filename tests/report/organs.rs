//! A result whose doses are of organs, from views without a CT: what is written of it, and what others read.

use crate::peer::{dciodvfy_faults, peer, python_with, script};
use crate::results::{NORMAL_LINES, options, result};
use grayd::report::{CycleResult, DoseBits, Kind, json, write_all};
use grayd::volume::Occupancy;

fn of_organs() -> CycleResult {
    let mut result = result();
    result.voxels = None;
    result.registrations.clear();
    result.engine.name = "organ-s-values";
    result.engine.energy_per_decay_kev = None;
    for region in &mut result.regions {
        region.occupancy = Occupancy::default();
        region.volume = None;
        region.dose.as_mut().unwrap().spread = None;
    }
    result
}

#[test]
fn means_of_organs_are_written_without_a_map_and_read_from_groups_without_a_segment() {
    let result = of_organs();
    let folder = tempfile::tempdir().unwrap();
    let written = write_all(&result, folder.path(), &options(DoseBits::ThirtyTwo)).unwrap();
    let of_voxels = [Kind::RtDose, Kind::Segmentation, Kind::StructureSet, Kind::Registration];
    assert!(written.iter().all(|one| !of_voxels.contains(&one.kind)), "{written:?}");
    let path = &written.iter().find(|one| one.kind == Kind::StructuredReport).unwrap().path;
    if let Some(dciodvfy) = peer("dciodvfy") {
        assert_eq!(dciodvfy_faults(&dciodvfy, path, NORMAL_LINES), [""; 0]);
    }
    let Some(python) = python_with("highdicom") else { return };
    let seen = script(&python, "sr_highdicom.py", &[path]);
    assert_eq!(seen["groups"], serde_json::json!([]));
    let groups = seen["course"].as_array().unwrap();
    for region in &result.regions {
        let mut own = groups.iter().filter(|group| group["tracking_identifier"] == *region.name);
        let values = &own.next().unwrap()["values"];
        let mean = region.dose.as_ref().unwrap().mean.value();
        assert_eq!(values["Absorbed Dose [Gy]"].as_f64(), Some(mean), "{values}");
        assert!(values["Mass [g]"].is_number() && values["Volume [cm3]"].is_null(), "{values}");
        assert_eq!(own.count(), result.time_points.len());
    }
}

#[test]
fn what_an_organ_s_dose_does_not_tell_is_null_and_not_missed() {
    let json = json::write(&of_organs());
    assert!(json["grid"].is_null() && json["frame_of_reference_uid"].is_null());
    let kidney = &json["regions"][0];
    assert_eq!(kidney["absorbed_dose_gy"]["mean"], 7.654321098765);
    assert!(kidney["absorbed_dose_gy"]["max"].is_null() && kidney["dvh"].is_null());
    assert!(!kidney["warnings"].to_string().contains("volume"), "{}", kidney["warnings"]);
}
