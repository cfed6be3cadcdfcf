//! Reports for dose registries: one is checked by dicom3tools, the other, which that does not know, by DCMTK;
//! both by pydicom and highdicom, item by item.

use crate::peer::{dciodvfy_faults, peer, python_with, said, script};
use crate::results::{NORMAL_LINES, input, options, result};
use grayd::dicom::read;
use grayd::report::{
    AdministrationFacts, Completeness, CycleResult, DoseBits, Kind, ReceivedReport, ReportOptions,
    Written, dose_reports, write_all,
};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const ADMINISTRATION_CLASS: &str = "1.2.840.10008.5.1.4.1.1.88.68";

fn written(result: &CycleResult, folder: &Path) -> Vec<Written> {
    write_all(result, folder, &options(DoseBits::ThirtyTwo)).unwrap()
}

fn path_of(written: &[Written], kind: Kind) -> Option<PathBuf> {
    written.iter().find(|one| one.kind == kind).map(|one| one.path.clone())
}

/// Items of a concept directly below another, in order.
fn below<'v>(item: &'v Value, concept: &str) -> Vec<&'v Value> {
    let items = item["items"].as_array().unwrap().iter();
    items.filter(|item| item["concept"] == concept).collect()
}

/// The only one, with its relationship and type.
#[track_caller]
fn only<'v>(item: &'v Value, concept: &str, relationship: &str, kind: &str) -> &'v Value {
    let [found] = below(item, concept)[..] else { panic!("{concept} once in {item}") };
    assert_eq!((&found["relationship"], &found["type"]), (&relationship.into(), &kind.into()));
    found
}

/// The result with a report of its administration that was received.
pub fn received() -> CycleResult {
    let mut result = result();
    let instance = input("SR", ADMINISTRATION_CLASS, 1, 40, 1);
    result.inputs.push(instance.clone());
    let event = grayd::dicom::Uid::parse("1.2.826.0.1.555").ok();
    result.administration.reports = vec![ReceivedReport { instance, event }];
    result
}

#[test]
fn what_was_given_comes_back_from_the_administration_report() {
    let folder = tempfile::tempdir().unwrap();
    let (result, zone) = (result(), TimeZone::UTC);
    let path = path_of(&written(&result, folder.path()), Kind::AdministrationReport).unwrap();
    if let Some(dciodvfy) = peer("dciodvfy") {
        assert_eq!(dciodvfy_faults(&dciodvfy, &path, NORMAL_LINES), [""; 0]);
    }
    // By our own reader, as a hospital's report would be read.
    let report = read::administration(&path, &zone).unwrap();
    let given = &result.administration;
    assert_eq!(report.stated, Some(result.administered));
    assert_eq!(report.start, result.administered_at);
    assert_eq!(report.event, Some(dose_reports::event(&result)));
    assert_eq!((report.before, report.after), (given.before, given.after));
    assert_eq!((&report.by, &report.activity_meter), (&given.by, &given.activity_meter));
    assert_eq!(report.route.unwrap().meaning, "Intravenous route");
    assert_eq!(report.agent.unwrap().value, "781259000");
    assert_eq!(report.radionuclide.unwrap().meaning, "^177^Lutetium");
    assert_eq!(report.intent.unwrap().value, "262202000");
    let Some(python) = python_with("highdicom") else { return };
    let seen = script(&python, "sr_tree.py", &[&path]);
    let root = &seen["root"];
    assert_eq!(
        (&seen["class"], &root["template"]),
        (&ADMINISTRATION_CLASS.into(), &"10021".into())
    );
    let event = only(root, "113502", "CONTAINS", "CONTAINER");
    // TID 10022: the order of its rows is significant.
    let order: Vec<&str> =
        event["items"].as_array().unwrap().iter().filter_map(|i| i["concept"].as_str()).collect();
    let rows =
        ["349358000", "113503", "123003", "113507", "113508", "113509", "410675002", "113870"];
    assert_eq!(order, rows);
    let agent = only(event, "349358000", "CONTAINS", "CODE");
    only(agent, "89457008", "HAS PROPERTIES", "CODE");
    let half_life = only(agent, "304283002", "HAS PROPERTIES", "NUM");
    assert_eq!(half_life["value"]["unit"], "s");
    let days = half_life["value"]["number"].as_f64().unwrap() / 86_400.0;
    assert!((days - 6.647).abs() < 0.01, "{days}");
    let before = only(event, "113508", "CONTAINS", "NUM");
    assert_eq!(before["value"], serde_json::json!({ "number": 7450.0, "unit": "MBq" }));
    assert_eq!(before["observed"], "20260302101500+0100");
    only(before, "113540", "HAS OBS CONTEXT", "CODE");
    let route = only(event, "410675002", "CONTAINS", "CODE");
    only(route, "272737002", "HAS PROPERTIES", "CODE");
    let person = only(event, "113870", "HAS OBS CONTEXT", "PNAME");
    let role = only(person, "113875", "HAS PROPERTIES", "CODE");
    assert_eq!(role["value"]["value"], "113851");
}

#[test]
fn the_patient_dose_report_holds_an_estimate_for_each_organ_and_lesion() {
    let folder = tempfile::tempdir().unwrap();
    let result = result();
    let all = written(&result, folder.path());
    let path = path_of(&all, Kind::PatientDoseReport).unwrap();
    if let Some(dsrdump) = peer("dsrdump") {
        let text = said(Command::new(dsrdump).arg(&path));
        // DCMTK's check of value representations does not know UTF-8.
        let odd = text.lines().filter(|line| line.starts_with("W:") || line.starts_with("E:"));
        let normal = ["ISO_IR 192", "Check for template constraints not yet supported"];
        let odd: Vec<_> =
            odd.filter(|line| !normal.iter().any(|known| line.contains(known))).collect();
        assert!(odd.is_empty(), "{odd:?}");
        assert!(text.contains("Patient Radiation Dose SR Document"), "{text}");
    }
    if let Some(dsr2html) = peer("dsr2html") {
        let page = said(Command::new(dsr2html).arg(&path));
        assert!(page.contains("Mean Absorbed Radiation Dose") && page.contains("Lesion 1"));
    }
    let Some(python) = python_with("highdicom") else { return };
    let seen = script(&python, "sr_tree.py", &[&path]);
    let uid = |kind| -> Value {
        let own = all.iter().find(|one| one.kind == kind).unwrap().sop_instance.as_ref();
        own.unwrap().as_str().into()
    };
    let root = &seen["root"];
    assert_eq!((&root["concept"], &root["template"]), (&"128401".into(), &"10030".into()));
    let estimates = below(root, "128402");
    assert_eq!(estimates.len(), result.regions.len());
    for (region, estimate) in result.regions.iter().zip(estimates) {
        let name = only(estimate, "128403", "CONTAINS", "TEXT");
        assert_eq!(name["value"], format!("{}, cycle 2", region.name));
        let dose = region.dose.as_ref().unwrap();
        let mean = only(estimate, "128533", "CONTAINS", "NUM");
        assert_eq!(mean["value"]["unit"], "Gy");
        assert_eq!(mean["value"]["number"], dose.mean.value());
        let uncertainty = below(mean, "RELUNC");
        assert_eq!(uncertainty.len(), usize::from(region.uncertainty.is_some()), "{mean}");
        let method = only(estimate, "128415", "CONTAINS", "CONTAINER");
        let used = only(method, "128416", "CONTAINS", "COMPOSITE");
        assert_eq!(used["value"]["class"], ADMINISTRATION_CLASS);
        assert_eq!(used["value"]["instance"], uid(Kind::AdministrationReport));
        let model = only(method, "128500", "CONTAINS", "CONTAINER");
        for (concept, kind) in [("128417", "CODE"), ("128420", "CODE"), ("128427", "CONTAINER")] {
            only(model, concept, "CONTAINS", kind);
        }
        let segment = only(model, "128425", "CONTAINS", "IMAGE");
        assert_eq!(segment["value"]["instance"], uid(Kind::Segmentation));
        let map = only(estimate, "128412", "CONTAINS", "CONTAINER");
        let data = only(map, "128414", "CONTAINS", "COMPOSITE");
        assert_eq!(data["value"]["instance"], uid(Kind::RtDose));
    }
    let left = below(root, "128402")[0];
    let site = only(left, "363698007", "HAS CONCEPT MOD", "CODE");
    assert_eq!(site["value"]["meaning"], "Kidney");
    assert_eq!(only(site, "272741003", "HAS CONCEPT MOD", "CODE")["value"]["meaning"], "Left");
    // What the tree names is in the evidence.
    for kind in [Kind::AdministrationReport, Kind::Segmentation, Kind::RtDose] {
        assert!(seen["evidence"].as_array().unwrap().contains(&uid(kind)), "{kind:?}");
    }
    assert!(root.to_string().contains("decay-factor-contradiction"));
}

#[test]
fn a_received_report_is_named_and_none_is_written_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let result = received();
    let all = written(&result, folder.path());
    assert_eq!(path_of(&all, Kind::AdministrationReport), None);
    assert_eq!(dose_reports::event(&result).as_str(), "1.2.826.0.1.555");
    let Some(python) = python_with("highdicom") else { return };
    let path = path_of(&all, Kind::PatientDoseReport).unwrap();
    let seen = script(&python, "sr_tree.py", &[&path]);
    let method = only(below(&seen["root"], "128402")[0], "128415", "CONTAINS", "CONTAINER");
    let used = only(method, "128416", "CONTAINS", "COMPOSITE");
    let instance = &result.administration.reports[0].instance.sop_instance;
    assert_eq!(used["value"]["instance"], instance.as_str());
}

#[test]
fn the_administration_has_one_name_whatever_is_computed_of_it() {
    let first = result();
    let mut revised = result();
    revised.completeness = Completeness::Provisional;
    revised.inputs.pop();
    revised.software.parameters_sha256 = "f".repeat(64);
    revised.administration = AdministrationFacts::default();
    revised.computed_at = "2026-04-01T00:00:00Z".parse().unwrap();
    assert_eq!(dose_reports::event(&first), dose_reports::event(&revised));
    let mut another = result();
    another.administered_at = "2026-05-04T07:40:00Z".parse().unwrap();
    assert_ne!(dose_reports::event(&first), dose_reports::event(&another));
}

#[test]
fn without_a_registry_nothing_is_written_for_one_and_all_else_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let with = written(&result(), folder.path());
    let plain = ReportOptions { dose_reports: false, ..options(DoseBits::ThirtyTwo) };
    let without = write_all(&result(), folder.path(), &plain).unwrap();
    let registry =
        |one: &&Written| matches!(one.kind, Kind::AdministrationReport | Kind::PatientDoseReport);
    assert_eq!(without.iter().filter(registry).count(), 0);
    let others: Vec<_> = with.iter().filter(|one| !registry(one)).cloned().collect();
    assert_eq!(others, without);
    // A result without any dose has nothing to tell.
    let mut none = result();
    none.regions.iter_mut().for_each(|region| region.dose = None);
    assert_eq!(path_of(&written(&none, folder.path()), Kind::PatientDoseReport), None);
}
