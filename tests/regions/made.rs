//! Regions that are made here, through the whole pipeline on the digital patient.

use grayd::config::{CameraSettings, NodeConfig, Plan, Protocols, Sourced};
use grayd::phantom::{DigitalPatient, PhantomOptions, Views};
use grayd::pipeline::{self, PipelineError, Request};
use grayd::quantity::Seconds;
use grayd::quantity::nuclide::Nuclide;
use grayd::report::{Completeness, CycleResult, RegionResult, ReportOptions};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};

pub fn dicom_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(dicom_files(&path));
        } else if path.extension().is_some_and(|e| e == "dcm") {
            files.push(path);
        }
    }
    files
}

/// Computes the digital patient's cycle with a protocol and more settings.
fn computed(
    protocol: &str,
    settings: &str,
    options: &PhantomOptions,
) -> (CycleResult, DigitalPatient) {
    computed_in(tempfile::tempdir().unwrap().path(), protocol, settings, options)
}

/// As [`computed`]: the patient is in `patient/`, the objects are in `results/` of a folder.
pub fn computed_in(
    folder: &Path,
    protocol: &str,
    settings: &str,
    options: &PhantomOptions,
) -> (CycleResult, DigitalPatient) {
    let (request, patient) = requested_in(folder, protocol, settings, options);
    (run_in(folder, &request).unwrap(), patient)
}

/// The patient's files in `patient/` of a folder, and what is asked of them.
pub fn requested_in(
    folder: &Path,
    protocol: &str,
    settings: &str,
    options: &PhantomOptions,
) -> (Request, DigitalPatient) {
    let home = folder.join("patient");
    let patient = DigitalPatient::new(options).unwrap();
    patient.write(&home).unwrap();
    let text = patient.plan().replace("multi-time-point", protocol) + settings;
    let protocols = Protocols::load(None).unwrap();
    let plan = Plan::read("plan.yaml", &text, &protocols).unwrap_or_else(|f| panic!("{f:?}"));
    let request = Request {
        protocol_version: protocols.find(protocol).unwrap().version.clone(),
        plan,
        cycle: 1,
        completeness: Completeness::Final,
        predecessor: None,
        inputs: dicom_files(&home),
        earlier: Vec::new(),
        notes: Vec::new(),
        signed_results: Vec::new(),
        cameras: Vec::new(),
        zone: TimeZone::UTC,
        report: ReportOptions { structure_set: true, ..ReportOptions::default() },
        computed_at: Timestamp::UNIX_EPOCH,
    };
    (request, patient)
}

/// Computes into `results/` of a folder.
pub fn run_in(folder: &Path, request: &Request) -> Result<CycleResult, PipelineError> {
    let output = folder.join("results");
    std::fs::create_dir_all(&output).unwrap();
    let result = pipeline::compute(request, &output, &|_| {})?.result;
    let open = |name: &str| dicom_object::open_file(output.join(name)).unwrap();
    check_segments(&open("seg.dcm"), &result);
    check_rois(&open("rt-structure-set.dcm"), &result);
    Ok(result)
}

/// ROIs of regions that were made here say how, to the last word.
fn check_rois(set: &dicom_object::DefaultDicomObject, result: &CycleResult) {
    let rois = set.element_by_name("StructureSetROISequence").unwrap().items().unwrap();
    for roi in rois {
        let text = |name: &str| {
            let value = roi.element_by_name(name).unwrap().to_str().unwrap();
            value.trim_end().to_owned()
        };
        if let Some(made) = &region(result, &text("ROIName")).made {
            assert_eq!(text("ROIDescription"), made.description);
        }
    }
}

/// Segments say which regions were made here, and how.
fn check_segments(seg: &dicom_object::DefaultDicomObject, result: &CycleResult) {
    let segments = seg.element_by_name("SegmentSequence").unwrap().items().unwrap();
    for (segment, region) in segments.iter().zip(&result.regions) {
        let text = |name: &str| {
            segment.element_by_name(name).unwrap().to_str().unwrap().trim_end().to_owned()
        };
        assert_eq!(text("SegmentLabel"), region.name);
        let Some(made) = &region.made else {
            assert_eq!(text("SegmentAlgorithmType"), "SEMIAUTOMATIC");
            continue;
        };
        assert_eq!(text("SegmentAlgorithmType"), "AUTOMATIC");
        assert!(text("SegmentAlgorithmName").ends_with(made.method));
        assert!(text("SegmentDescription").contains(&made.description));
    }
}

fn region<'a>(result: &'a CycleResult, name: &str) -> &'a RegionResult {
    let found = result.regions.iter().find(|region| region.name == name);
    found.unwrap_or_else(|| panic!("no {name} among {:?}", names(result)))
}

fn names(result: &CycleResult) -> Vec<&str> {
    result.regions.iter().map(|region| region.name.as_str()).collect()
}

pub fn options() -> PhantomOptions {
    PhantomOptions::new(Nuclide::parse("Lu-177").unwrap())
}

#[test]
fn uppsala_doses_the_kidneys_by_spheres_in_them() {
    let (result, patient) = computed("lu177-uppsala", "", &options());
    for side in ["Kidney Left", "Kidney Right"] {
        let truth = patient.truth().iter().find(|truth| truth.name == side).unwrap();
        let (kidney, sample) = (region(&result, side), region(&result, &format!("{side} sample")));
        // Three spheres of 2 cm in a uniform kidney: its concentration, so its integral and dose.
        let ml = sample.volume.unwrap().value();
        assert!((ml / (3.0 * 4.18879) - 1.0).abs() < 5e-3, "{side}: {ml} ml");
        let made = sample.made.as_ref().unwrap();
        assert_eq!((made.method, made.within.as_deref()), ("spheres", Some(side)));
        let tia = kidney.fit.as_ref().unwrap().time_integrated_activity.mbq_h();
        assert!((tia / truth.time_integrated_activity.mbq_h() - 1.0).abs() < 5e-3, "{side}: {tia}");
        for one in [kidney, sample] {
            let dose = one.dose.as_ref().unwrap().mean.value();
            assert!((dose / truth.mean_dose.value() - 1.0).abs() < 5e-3, "{}: {dose}", one.name);
        }
        assert!(kidney.warnings.iter().any(|w| w.code == "concentration-sampled"));
    }
    // The limit counts each kidney once.
    let course = result.prescription.as_ref().unwrap();
    let ledger = course["ledger"].to_string();
    assert!(ledger.contains("kidneys") && !ledger.contains("sample"), "{ledger}");
}

#[test]
fn thresholds_and_tissues_of_the_ct_have_numbers_and_own_no_voxel_they_should_not() {
    let settings = "  regions:
    derived:
      core: { threshold: { within: [lesion], of_maximum: 0.5 } }
      body: { ct: body }
      lungs: { ct: lungs }
      bone: { ct: bone }
  dose: { engine: local }
";
    let (result, patient) = computed("multi-time-point", settings, &options());
    let truth = |name: &str| patient.truth().iter().find(|truth| truth.name == name).unwrap();
    // Uniform lesions: everything from half the maximum on is the lesion.
    for lesion in ["Lesion 1", "Lesion 2"] {
        let core = region(&result, &format!("{lesion} core"));
        let (ml, wanted) = (core.volume.unwrap().value(), truth(lesion).volume.value());
        assert!((ml / wanted - 1.0).abs() < 1e-4, "{lesion}: {ml} ml of {wanted}");
    }
    // Lungs and spine are drawn, so the CT finds what was drawn, voxel by voxel.
    let lungs = truth("Lung Left").volume.value() + truth("Lung Right").volume.value();
    let found = region(&result, "lungs").volume.unwrap().value();
    assert!((found / lungs - 1.0).abs() < 1e-4, "{found} ml of {lungs}");
    let (spine, found) =
        (truth("Spine").volume.value(), region(&result, "bone").volume.unwrap().value());
    assert!((found / spine - 1.0).abs() < 1e-4, "{found} ml of {spine}");
    let whole: f64 = patient.truth().iter().map(|truth| truth.volume.value()).sum();
    let found = region(&result, "body").volume.unwrap().value();
    assert!((found / whole - 1.0).abs() < 1e-4, "{found} ml of {whole}");
    // Everything that was drawn keeps its dose, and the rest is still outside of what was drawn.
    for known in patient.truth() {
        let dose = region(&result, &known.name).dose.as_ref().unwrap().mean.value();
        assert!((dose / known.mean_dose.value() - 1.0).abs() < 5e-3, "{}: {dose}", known.name);
    }
}

#[test]
fn noise_lifts_the_hottest_spheres_by_what_the_documentation_says() {
    let noisy = PhantomOptions { noise_counts: Some(1e7), ..options() };
    let (result, patient) = computed("lu177-uppsala", "", &noisy);
    let mut bias = Vec::new();
    for side in ["Kidney Left", "Kidney Right"] {
        let truth = patient.truth().iter().find(|truth| truth.name == side).unwrap();
        let tia = region(&result, side).fit.as_ref().unwrap().time_integrated_activity;
        bias.push(tia / truth.time_integrated_activity - 1.0);
    }
    println!("bias of three hottest spheres at 1e7 counts: {bias:.4?}");
    assert!(bias.iter().all(|b| (-0.02..0.05).contains(b)), "{bias:?}");
}

#[test]
fn a_kidney_that_holds_no_sphere_parks_the_job_with_what_to_state() {
    let small = "  regions: { derived: { sample: { spheres: { diameter_mm: 70 } } } }\n";
    let failed = std::panic::catch_unwind(|| computed("lu177-uppsala", small, &options()));
    let text = *failed.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("no sphere of 70 mm fits"), "{text}");
}

/// A number of a plan is the plan's own.
#[test]
fn a_plan_may_ask_for_other_spheres_and_answers_for_them() {
    let settings =
        "  regions: { derived: { sample: { spheres: { diameter_mm: 24, count: 1 } } } }\n";
    let (result, _) = computed("lu177-uppsala", settings, &options());
    let sample = region(&result, "Kidney Left sample");
    assert!(
        (sample.volume.unwrap().value() / 7.238 - 1.0).abs() < 5e-3,
        "{}",
        sample.volume.unwrap().value()
    );
    let protocols = Protocols::load(None).unwrap();
    let own = &protocols.find("lu177-uppsala").unwrap().parameters.regions.derived["sample"];
    let stated: &Sourced<f64> = &own.spheres.as_ref().unwrap().diameter_mm;
    assert_eq!(stated.value, 20.0);
}

#[test]
fn a_recovery_curve_leaves_samples_and_what_they_stand_for_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (request, patient) = requested_in(folder.path(), "lu177-uppsala", "", &options());
    let camera: CameraSettings = serde_saphyr::from_str(
        "match: { station_name: PHANTOM }\nnuclide: Lu-177\nrecovery: { beta_ml: 4, gamma: 1.1 }\n",
    )
    .unwrap();
    let request = Request { cameras: vec![camera], ..request };
    let result = run_in(folder.path(), &request).unwrap();
    for side in ["Kidney Left", "Kidney Right"] {
        let truth = patient.truth().iter().find(|truth| truth.name == side).unwrap();
        for name in [side.to_owned(), format!("{side} sample")] {
            let one = region(&result, &name);
            assert_eq!(one.recovery, None, "{name}");
            let dose = one.dose.as_ref().unwrap().mean.value();
            assert!((dose / truth.mean_dose.value() - 1.0).abs() < 5e-3, "{name}: {dose}");
        }
    }
    // 668 ml: 1/(1 + (4/668)^1.1).
    let liver = region(&result, "Liver").recovery.unwrap().coefficient;
    assert!((0.99..1.0).contains(&liver), "{liver}");
}

#[test]
fn one_image_takes_a_stated_half_life_before_that_of_an_earlier_cycle() {
    let once = PhantomOptions { times: Some(vec![Seconds::from_hours(24.0)]), ..options() };
    let stated = "  kinetics: { effective_half_life_h: { default: 50 } }\n";
    let (result, _) = computed("lu177-uppsala", stated, &once);
    let kidney = region(&result, "Kidney Left");
    let half_life = kidney.fit.as_ref().unwrap().effective_half_life.unwrap();
    assert!((half_life.hours() - 50.0).abs() < 1e-9, "{half_life:?}");
    let text = &kidney.warnings.iter().find(|w| w.code == "half-life-stated").unwrap().text;
    assert!(text.contains("the stated one, 50.00 h (relative uncertainty 55.8 %"), "{text}");
    // Its uncertainty reaches the integral and the dose: ln Ã moves by 1 - λt of it, beside the point's 10 %.
    let rate = std::f64::consts::LN_2 / 50.0;
    let by_half_life = 0.558 * (1.0 - 24.0 * rate);
    let u = kidney.fit.as_ref().unwrap().relative_uncertainty.unwrap();
    assert!((u / by_half_life.hypot(0.1) - 1.0).abs() < 0.01, "{u}");
    assert!(kidney.uncertainty.unwrap() >= u, "{:?}", kidney.uncertainty);
    let bias = kidney.fit.as_ref().unwrap().bias.as_ref().unwrap();
    assert!(bias.low < 0.0 && bias.statement.contains(" %"), "{bias:?}");
}

#[test]
fn what_is_hot_in_a_region_is_not_asked_of_planar_views() {
    let folder = tempfile::tempdir().unwrap();
    let planar = PhantomOptions { views: Views::Planar, ..options() };
    let core =
        "  regions: { derived: { core: { threshold: { within: [lesion], of_maximum: 0.5 } } } }\n";
    let (request, _) = requested_in(folder.path(), "multi-time-point", core, &planar);
    let config = NodeConfig::open(&folder.path().join("patient/config.yaml")).unwrap();
    let request = Request { cameras: config.cameras, ..request };
    let text = run_in(folder.path(), &request).unwrap_err().to_string();
    assert!(
        text.contains("region Lesion 1 core") && text.contains("send a SPECT or PET"),
        "{text}"
    );
}
