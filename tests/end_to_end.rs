//! The whole way: real and simulated series go in over DICOM, results come back to a PACS.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod site;

use serde_json::Value;
use site::{Orthanc, Site, http_json, wait_for};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Result of the only course, once it is there.
fn results(site: &Site) -> Value {
    wait_for("results", || {
        let courses = http_json(site.web, "/api/courses")?;
        let id = courses.as_array()?.first()?["id"].as_str()?.to_owned();
        http_json(site.web, &format!("/api/courses/{id}/results"))
            .filter(|r| r["regions"].is_array())
    })
}

fn region<'a>(results: &'a Value, name: &str) -> &'a Value {
    let regions = results["regions"].as_array().unwrap();
    regions
        .iter()
        .find(|r| r["name"] == name)
        .unwrap_or_else(|| panic!("no region {name}: {results}"))
}

fn near(what: &str, value: f64, expected: f64, relative: f64) {
    let off = (value / expected - 1.0).abs();
    assert!(off <= relative, "{what}: {value} instead of {expected}, off by {off:.2e}");
}

/// Files below a folder, in an order that is not theirs.
fn shuffled(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut state = 1u64;
    for n in (1..files.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        files.swap(n, (state >> 33) as usize % (n + 1));
    }
    files
}

/// Name of the larger lesion in the structure set.
const LESION_1: &str = "lesion1 liver R lobe";

const MICHIGAN_PLAN: &str = "\
patient: { id: ANON54121 }
protocol: single-time-point
radiopharmaceutical: 177Lu-DOTATATE
cycles:
  - { number: 1, administered: { activity_mbq: 7400, at: 2018-11-15T09:22:00-05:00 } }
settings:
  kinetics: { effective_half_life_h: { default: 75 } }
";

#[test]
fn a_real_lu177_series_comes_back_as_dose_segmentation_and_report() {
    let Some(data) = site::shared_data() else { return };
    if !["dcmsend", "Orthanc", "dciodvfy", "dsrdump", "plastimatch"].iter().all(|p| site::have(p))
        || !site::in_private_network(
            "a_real_lu177_series_comes_back_as_dose_segmentation_and_report",
        )
    {
        return;
    }
    let scan = data.join("images/lu177_spect_michigan/SCAN_001");
    let pacs = Orthanc::start();
    let more = format!(
        "site: {{ time_zone: America/Detroit }}\nintake: {{ settle_seconds: 2 }}\n{}",
        Site::peers(Some(pacs.dicom_port))
    );
    let site = Site::start(&more);
    site.plan("michigan.yaml", MICHIGAN_PLAN);
    let files = shuffled(&scan.join("image"));
    // Several associations at once, none of which knows the whole series.
    std::thread::scope(|scope| {
        for part in files.chunks(files.len().div_ceil(4)) {
            scope.spawn(|| assert!(site.dcmsend(part)));
        }
    });
    assert!(site.dcmsend(&shuffled(&scan.join("mask"))));

    let results = results(&site);
    let total: f64 = results["regions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["activity_mbq"][0]["value"].as_f64().unwrap())
        .sum();
    near(
        "field of view, MBq",
        results["time_points"][0]["field_of_view_mbq"].as_f64().unwrap(),
        1350.55,
        0.005,
    );
    near("sum of regions, MBq", total, 1350.55, 0.005);
    let lesion = region(&results, LESION_1);
    let volume = lesion["volume_ml"].as_f64().unwrap();
    near("lesion 1, ml", volume, 106.98, 0.005);
    let activity = lesion["activity_mbq"][0]["value"].as_f64().unwrap();
    near("lesion 1, kBq/ml", activity * 1000.0 / volume, 1142.7, 0.005);
    let warned = |value: &Value| value.to_string().contains("decay-factor-contradiction");
    assert!(warned(&results["warnings"]), "{}", results["warnings"]);

    let modalities =
        wait_for("four objects in Orthanc", || Some(pacs.modalities()).filter(|m| m.len() >= 4));
    assert_eq!(modalities, ["DOC", "RTDOSE", "SEG", "SR"]);
    let folder = tempfile::tempdir().unwrap();
    let of = |modality| pacs.download(modality, folder.path()).pop().unwrap();
    let (dose, seg, sr) = (of("RTDOSE"), of("SEG"), of("SR"));
    read_back(&dose, &seg, &sr, &results);
}

/// Foreign readers find the same dose at the same place, and validators nothing new.
fn read_back(dose: &Path, seg: &Path, sr: &Path, results: &Value) {
    let grid = &results["grid"];
    let number = |key: &str, n: usize| grid[key][n].as_f64().unwrap();
    // A voxel inside: 40 % of the way along each axis.
    let shape: Vec<f64> = (0..3).map(|n| grid["shape"][n].as_f64().unwrap()).collect();
    let index = [shape[2], shape[1], shape[0]].map(|n| (n * 0.4).floor());
    let position: Vec<String> = (0..3)
        .map(|n| (number("origin_lps_mm", n) + index[n] * number("spacing_mm", n)).to_string())
        .collect();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/read_back.py");
    let output = Command::new(site::python())
        .arg(script)
        .args([dose, seg, sr])
        .args(&position)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["units"], &found["type"]), (&"GY".into(), &"PHYSICAL".into()));
    assert_eq!(found["summation"], "PLAN_OVERVIEW");
    for n in 0..3 {
        let (read, meant) = (found["index"][n].as_f64().unwrap(), index[n]);
        assert!(
            (read - meant).abs() * number("spacing_mm", n) < 0.01,
            "axis {n}: {read} for {meant}"
        );
    }
    let segments = found["segments"].as_array().unwrap();
    assert!(segments.contains(&LESION_1.into()), "{segments:?}");
    assert!(
        found["sr_text"].as_str().unwrap().contains("decay-factor-contradiction"),
        "{}",
        found["sr_text"]
    );

    let image = dose.with_extension("mha");
    let convert = Command::new("plastimatch")
        .args(["convert", "--input"])
        .arg(dose)
        .arg("--output-dose-img")
        .arg(&image)
        .output()
        .unwrap();
    assert!(convert.status.success(), "{}", String::from_utf8_lossy(&convert.stderr));
    let stats = Command::new("plastimatch").arg("stats").arg(&image).output().unwrap();
    let stats = String::from_utf8_lossy(&stats.stdout).into_owned();
    let maximum = stats
        .split_whitespace()
        .skip_while(|word| *word != "MAX")
        .nth(1)
        .and_then(|text| text.parse::<f64>().ok())
        .unwrap_or_else(|| panic!("no maximum in {stats}"));
    near("plastimatch's maximum", maximum, found["max"].as_f64().unwrap(), 1e-4);
    // It stops at 32-bit RT Dose; the reports' own tests check a 16-bit twin.
    for object in [seg, sr] {
        let check = Command::new("dciodvfy").arg(object).output().unwrap();
        let said = String::from_utf8_lossy(&check.stderr).into_owned();
        assert!(!said.lines().any(|line| line.starts_with("Error")), "{said}");
    }
    let dump = Command::new("dsrdump").arg(sr).output().unwrap();
    let complaints = String::from_utf8_lossy(&dump.stderr).into_owned();
    assert!(dump.status.success() && !complaints.contains("E:"), "{complaints}");
}

/// The digital patient, stored in `order`, sent shuffled over `associations` at once: what came of
/// it, and the stored values of the dose.
fn digital_patient(order: &str, associations: usize) -> (Value, Vec<u8>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_grayd"))
        .args(["phantom", "--order", order, "--output"])
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    let site = Site::start(&format!("intake: {{ settle_seconds: 3 }}\n{}", Site::peers(None)));
    // The truth is the closed form of local deposition.
    let plan = std::fs::read_to_string(folder.path().join("plan.yaml")).unwrap();
    site.plan("patient.yaml", &format!("{plan}  dose: {{ engine: local }}\n"));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(shuffled(&path));
        }
    }
    // Folders mixed with one another, too.
    files.sort_by_key(|path| path.file_name().map(|name| name.to_owned()));
    std::thread::scope(|scope| {
        for part in files.chunks(files.len().div_ceil(associations)) {
            scope.spawn(|| assert!(site.dcmsend(part)));
        }
    });
    let results = results(&site);
    report_is_linked(&site);
    let jobs = http_json(site.web, "/api/jobs").unwrap();
    let objects = jobs[0]["results"].as_array().unwrap();
    let pixels = objects
        .iter()
        .filter_map(|uid| {
            let bytes = site::http_bytes(site.web, &format!("/objects/{}", uid.as_str().unwrap()));
            let object = dicom_object::from_reader(bytes.as_slice()).unwrap();
            let modality =
                object.element_by_name("Modality").unwrap().to_str().unwrap().into_owned();
            let pixels = object.element_by_name("PixelData").ok()?.to_bytes().unwrap().into_owned();
            (modality == "RTDOSE").then_some(pixels)
        })
        .next()
        .unwrap();
    let truth = std::fs::read_to_string(folder.path().join("truth.json")).unwrap();
    (results, pixels, serde_json::from_str(&truth).unwrap())
}

/// The page of the course links to the PDF.
fn report_is_linked(site: &Site) {
    let courses = http_json(site.web, "/api/courses").unwrap();
    let course = courses[0]["id"].as_str().unwrap();
    let page = site::http_get(site.web, &format!("/courses/{course}")).unwrap();
    let page = page.replace("&#x2f;", "/");
    let link = page.split("href=\"").find(|rest| rest.contains("/rendered\">Report")).unwrap();
    let bytes = site::http_bytes(site.web, link.split('"').next().unwrap());
    assert!(bytes.starts_with(b"%PDF-") && bytes.len() > 10_000);
}

#[test]
fn the_digital_patient_has_its_closed_form_doses_whatever_the_order_of_storage() {
    if !site::have("dcmsend") {
        return;
    }
    let (results, pixels, truth) = digital_patient("ascending", 1);
    for known in truth["regions"].as_array().unwrap() {
        let name = known["name"].as_str().unwrap();
        let found = region(&results, name);
        let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{name}: {found}"));
        let dose = number(&found["absorbed_dose_gy"]["mean"]);
        near(&format!("{name}, Gy"), dose, number(&known["mean_dose_gy"]), 0.005);
        near(
            &format!("{name}, MBq h"),
            number(&found["tia_mbq_h"]),
            number(&known["tia_mbq_h"]),
            0.005,
        );
        near(&format!("{name}, g"), number(&found["mass_g"]), number(&known["mass_g"]), 0.005);
    }
    for (order, associations) in [("descending", 4), ("reversed-vector", 3)] {
        let (other, other_pixels, _) = digital_patient(order, associations);
        assert_eq!(other["regions"], results["regions"], "{order}");
        assert!(other_pixels == pixels, "{order}: the dose map differs");
    }
}

/// `grayd compute` of the digital patient, with `dose:` settings, into a folder.
fn computed(dose: &str, folder: &tempfile::TempDir) -> Value {
    computed_of(dose, folder, |_| {})
}

/// As [`computed`], after `change` has had its way with the patient's files.
fn computed_of(dose: &str, folder: &tempfile::TempDir, change: impl Fn(&Path)) -> Value {
    let patient = folder.path().join("patient");
    let grayd = |arguments: &[&std::ffi::OsStr]| {
        let output = Command::new(env!("CARGO_BIN_EXE_grayd")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    grayd(&["phantom".as_ref(), "--output".as_ref(), patient.as_ref()]);
    change(&patient);
    let plan = patient.join("plan.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, format!("{text}  dose: {{ {dose} }}\n")).unwrap();
    let results = folder.path().join("results");
    grayd(&[
        "compute".as_ref(),
        "--plan".as_ref(),
        plan.as_ref(),
        "--input".as_ref(),
        patient.as_ref(),
        "--output".as_ref(),
        results.as_ref(),
    ]);
    serde_json::from_str(&std::fs::read_to_string(results.join("results.json")).unwrap()).unwrap()
}

#[test]
fn kernel_and_monte_carlo_agree_on_the_digital_patient() {
    let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (kernel, simulated) =
        (computed("engine: auto", &one), computed("engine: monte-carlo", &other));
    assert_eq!(kernel["engine"]["name"], "kernel");
    let because = kernel["engine"]["chosen_because"].as_str().unwrap();
    assert!(because.starts_with("auto: ") && because.contains("its own voxel"), "{because}");
    assert!(simulated["engine"]["histories"].as_u64().unwrap() > 10_000);
    let written =
        |folder: &tempfile::TempDir| folder.path().join("results/rt-dose-error.dcm").exists();
    assert!(written(&other) && !written(&one), "the standard error stands beside a simulated dose");
    for name in ["Liver", "Spleen", "Kidney Left", "Kidney Right"] {
        let dose = |results| region(results, name)["absorbed_dose_gy"]["mean"].as_f64().unwrap();
        // Soft tissue in soft tissue: what separates the two is density at borders, and statistics.
        near(&format!("{name}, Gy"), dose(&kernel), dose(&simulated), 0.03);
        let uncertainty = region(&simulated, name)["uncertainty"].as_f64().unwrap();
        assert!(uncertainty < 0.2, "{name}: {uncertainty}");
    }
}

#[test]
fn a_time_budget_or_a_number_of_decays_ends_monte_carlo_and_the_result_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let dose =
        "engine: monte-carlo, monte_carlo: { relative_uncertainty: 0.0005, max_histories: 300000 }";
    let results = computed(dose, &folder);
    let histories = results["engine"]["histories"].as_u64().unwrap();
    assert!((300_000..900_000).contains(&histories), "{histories}");
    let warnings = results["warnings"].to_string();
    assert!(warnings.contains("monte-carlo-stopped"), "{warnings}");
    assert!(warnings.contains("monte-carlo-target-missed"), "{warnings}");

    let folder = tempfile::tempdir().unwrap();
    let dose =
        "engine: monte-carlo, monte_carlo: { relative_uncertainty: 0.0005, time_budget_s: 1 }";
    let warnings = computed(dose, &folder)["warnings"].to_string();
    assert!(warnings.contains("ended at its time budget of 1 s"), "{warnings}");
}

#[test]
fn a_dose_grid_in_the_frame_of_the_ct_keeps_every_regions_decays_and_dose() {
    let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let emission = computed("engine: kernel", &one);
    let ct = computed("engine: kernel, grid: ct, spacing_mm: 4", &other);
    assert_eq!(ct["grid"]["spacing_mm"], serde_json::json!([4.0, 4.0, 4.0]));
    for name in ["Liver", "Spleen", "Kidney Left"] {
        let value = |results: &Value, key: &str| region(results, name)[key].as_f64().unwrap();
        for key in ["tia_mbq_h", "mass_g", "volume_ml"] {
            near(&format!("{name} {key}"), value(&ct, key), value(&emission, key), 0.01);
        }
        let dose = |results| region(results, name)["absorbed_dose_gy"]["mean"].as_f64().unwrap();
        // Half a voxel of blur is the price of the change of grids: an edge as sharp as this
        // phantom's costs the spleen 6 %.
        near(&format!("{name}, Gy"), dose(&ct), dose(&emission), 0.07);
    }
}

#[test]
fn a_ct_that_covers_part_of_the_image_is_used_and_the_rest_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let results = computed_of("engine: auto", &folder, |patient| {
        for series in std::fs::read_dir(patient).unwrap().map(|entry| entry.unwrap().path()) {
            if !series.file_name().unwrap().to_string_lossy().starts_with("ct-") {
                continue;
            }
            let slices = shuffled(&series);
            let mut slices: Vec<&PathBuf> = slices.iter().collect();
            slices.sort();
            for slice in &slices[slices.len() * 9 / 10..] {
                std::fs::remove_file(slice).unwrap();
            }
        }
    });
    let warnings = results["warnings"].to_string();
    assert!(warnings.contains("ct-does-not-cover"), "{warnings}");
    assert!(region(&results, "Liver")["absorbed_dose_gy"]["mean"].as_f64().unwrap() > 0.0);
}

/// What a peer script says, as JSON.
fn script(python: &Path, name: &str, argument: &Path) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name);
    let output = Command::new(python).arg(path).arg(argument).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn sessions_placed_anew_are_registered_and_the_registration_goes_out_with_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let (patient, output) = (folder.path().join("patient"), folder.path().join("results"));
    let grayd = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_grayd")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let (patient_text, output_text) = (patient.to_str().unwrap(), output.to_str().unwrap());
    grayd(&["phantom", "--output", patient_text]);
    let python = site::python();
    let shifts = script(&python, "move_sessions.py", &patient);
    let plan = patient.join("plan.yaml");
    // The plan ends with its settings: registration is asked for, never a default.
    let asked = std::fs::read_to_string(&plan).unwrap() + "  registration: { method: rigid }\n";
    std::fs::write(&plan, asked).unwrap();
    grayd(&[
        "compute",
        "--plan",
        plan.to_str().unwrap(),
        "--input",
        patient_text,
        "--output",
        output_text,
    ]);
    let read = |path: &Path| -> Value {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let (results, truth) = (read(&output.join("results.json")), read(&patient.join("truth.json")));
    for known in truth["regions"].as_array().unwrap() {
        let name = known["name"].as_str().unwrap();
        let tia = region(&results, name)["tia_mbq_h"].as_f64().unwrap();
        near(&format!("{name}, MBq h"), tia, known["tia_mbq_h"].as_f64().unwrap(), 0.03);
    }
    let warnings = results["warnings"].as_array().unwrap();
    let registered = warnings.iter().filter(|w| w["code"] == "registered-by-images").count();
    assert_eq!(registered, 3, "{warnings:?}");
    // The regions' frame is the registered one; a matrix takes a session's points there.
    let object = script(&python, "reg_pydicom.py", &output.join("registration.dcm"));
    let items = object["items"].as_array().unwrap();
    assert_eq!((items[0]["frame"] == object["registered"], items.len()), (true, 4));
    for (item, session) in items[1..].iter().zip(2..) {
        for axis in 0..3 {
            let shift = shifts[session.to_string()][axis].as_f64().unwrap();
            let back = item["matrix"][4 * axis + 3].as_f64().unwrap();
            assert!((back + shift).abs() < 0.5, "session {session}: {item} for {shift}");
        }
    }
}

#[test]
fn regions_come_from_a_segmenter_that_is_sent_the_ct() {
    let python = site::python();
    if !site::have("dcmsend") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_grayd"))
        .args(["phantom", "--output"])
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    let slices = std::fs::read_dir(folder.path().join("ct-1")).unwrap().count();
    let port = site::free_port();
    let more = format!(
        "intake: {{ settle_seconds: 2 }}\n{}  - {{ name: segmenter, ae_title: SEGMENTER, host: \
         127.0.0.1, port: {port} }}\n",
        Site::peers(None)
    );
    let site = Site::start(&more);
    let mut segmenter = Command::new(&python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/segmenter.py"))
        .args([port, site.dicom.port(), slices as u16].map(|n| n.to_string()))
        .arg(folder.path().join("regions"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(segmenter.stdout.take().unwrap()).lines();
    if said.next().is_none_or(|line| line.unwrap() != "ready") {
        segmenter.wait().unwrap();
        println!("passed over: pynetdicom is not installed (tests/run installs it)");
        return;
    }
    let plan = std::fs::read_to_string(folder.path().join("plan.yaml")).unwrap();
    let asked = "  dose: { engine: local }\n  regions: { from: segmenter, time_limit_h: 6 }\n";
    site.plan("patient.yaml", &(plan + asked));
    // Images alone: nobody sends regions but the segmenter.
    for n in 1..=4 {
        for kind in ["spect", "ct"] {
            let files = shuffled(&folder.path().join(format!("{kind}-{n}")));
            assert!(site.dcmsend(&files));
        }
    }
    let results = results(&site);
    let answered: Value = serde_json::from_str(&said.next().unwrap().unwrap()).unwrap();
    assert!(segmenter.wait().unwrap().success());
    assert_eq!((&answered["slices"], &answered["statuses"]), (&slices.into(), &[0, 0][..].into()));
    let truth = std::fs::read_to_string(folder.path().join("truth.json")).unwrap();
    let truth: Value = serde_json::from_str(&truth).unwrap();
    let known = truth["regions"].as_array().unwrap().iter();
    for known in known.filter(|known| known["drawn"] == true) {
        let name = known["name"].as_str().unwrap();
        let dose = region(&results, name)["absorbed_dose_gy"]["mean"].as_f64().unwrap();
        near(&format!("{name}, Gy"), dose, known["mean_dose_gy"].as_f64().unwrap(), 0.005);
    }
}
