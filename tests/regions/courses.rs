//! The digital patient through whole courses: from its files to doses and proposals, beside its truth.

use crate::made::dicom_files;
use grayd::config::{Plan, Protocols};
use grayd::phantom::{PhantomOptions, SimulatedCourse, protocols};
use grayd::pipeline::course::CycleDoses;
use grayd::pipeline::{self, Request};
use grayd::quantity::Becquerel;
use grayd::quantity::nuclide::Nuclide;
use grayd::report::{Completeness, CycleResult, ReportOptions};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

fn options() -> PhantomOptions {
    PhantomOptions { ct_per_spect: 1, ..PhantomOptions::new(Nuclide::parse("Lu-177").unwrap()) }
}

/// Computes the newest cycle of a course from its files.
fn computed(
    course: &SimulatedCourse,
    protocols: &Protocols,
    earlier: &[CycleDoses],
) -> CycleResult {
    let folder = tempfile::tempdir().unwrap();
    course.write(folder.path()).unwrap();
    let text = course.plan();
    let plan =
        Plan::read("plan.yaml", &text, protocols).unwrap_or_else(|f| panic!("{f:?}\n{text}"));
    let cycle = course.cycles().len() as u32;
    let request = Request {
        protocol_version: protocols.find(&plan.protocol).unwrap().version.clone(),
        plan,
        cycle,
        completeness: Completeness::Final,
        predecessor: None,
        inputs: dicom_files(&folder.path().join(format!("cycle-{cycle}"))),
        earlier: earlier.to_vec(),
        notes: Vec::new(),
        cameras: Vec::new(),
        zone: TimeZone::UTC,
        report: ReportOptions::default(),
        computed_at: Timestamp::UNIX_EPOCH,
    };
    let output = tempfile::tempdir().unwrap();
    pipeline::compute(&request, output.path(), &|_| {}).unwrap().result
}

/// Goes through a course by the activities that the computed results propose.
fn followed(name: &str) -> (SimulatedCourse, Vec<CycleResult>) {
    let protocols = Protocols::load(None).unwrap();
    let mut course = SimulatedCourse::new(protocols.find(name).unwrap(), &options()).unwrap();
    let mut results: Vec<CycleResult> = Vec::new();
    let mut earlier = Vec::new();
    while course.cycles().len() < course.length() {
        let proposed = results
            .last()
            .and_then(|r| r.prescription.as_ref())
            .and_then(|p| p["proposal"]["activity_mbq"].as_f64().map(Becquerel::from_mbq));
        let next = match proposed {
            Some(activity) => activity,
            None => course.next_activity().unwrap().unwrap_or_else(|| panic!("{name} stops")),
        };
        course.give(next).unwrap();
        let result = computed(&course, &protocols, &earlier);
        earlier.push(CycleDoses::of(&result));
        results.push(result);
    }
    (course, results)
}

/// Every drawn region's dose is the true one within its stated uncertainty (k = 2).
fn agrees(name: &str, course: &SimulatedCourse, results: &[CycleResult]) {
    let (mut worst, mut count) = (0.0f64, 0);
    for (patient, result) in course.cycles().iter().zip(results) {
        for truth in patient.truth().iter().filter(|truth| truth.is_drawn) {
            let region = result.regions.iter().find(|r| r.name == truth.name).unwrap();
            let dose = region.dose.as_ref().unwrap().mean.value();
            let off = dose / truth.mean_dose.value() - 1.0;
            // Without noise the fit is exact; what is stated is the least that has to hold.
            let stated = region.uncertainty.unwrap_or(0.01);
            assert!(
                off.abs() < 2.0 * stated,
                "{name} cycle {} {}: {dose} Gy, {off:+.4}, stated {stated:.4}",
                result.cycle,
                truth.name
            );
            worst = worst.max(off.abs());
            count += 1;
        }
    }
    println!("{name}: {count} doses, worst {:.3} %", 100.0 * worst);
    assert!(count > 0);
}

#[test]
fn every_course_of_the_digital_patient_comes_from_files_to_true_doses_and_a_proposal() {
    let rules = Protocols::load(None).unwrap();
    for name in protocols().unwrap() {
        let (course, results) = followed(&name);
        agrees(&name, &course, &results);
        let last = results.last().unwrap();
        let ruled = rules.find(&name).unwrap().parameters.prescription.rule().is_some();
        assert_eq!(last.prescription.is_some(), ruled, "{name}");
        if let Some(prescription) = &last.prescription {
            assert!(prescription["proposal"].is_object(), "{name}: {prescription:#}");
            assert_eq!(prescription["holds"], Value::Array(Vec::new()), "{name}: {prescription:#}");
        }
    }
}

#[test]
fn quebec_ends_near_23_gy_to_the_simulated_kidneys_with_3_2_1_and_1_images() {
    let (course, results) = followed("lu177-quebec");
    let points: Vec<usize> = results.iter().map(|r| r.time_points.len()).collect();
    assert_eq!(points, [3, 2, 1, 1]);
    let kidneys = |cycle: &grayd::phantom::DigitalPatient| {
        let of = cycle.truth().iter().filter(|t| t.name.starts_with("Kidney"));
        of.map(|t| t.mean_dose.value()).sum::<f64>() / 2.0
    };
    let true_doses: Vec<f64> = course.cycles().iter().map(kidneys).collect();
    let total: f64 = true_doses.iter().sum();
    println!("quebec: kidneys {true_doses:.3?}, together {total:.3} Gy of 23");
    assert!((total / 23.0 - 1.0).abs() < 0.02, "{total} Gy: {true_doses:?}");
    let last = results.last().unwrap().prescription.as_ref().unwrap();
    let fixed = &last["fixed_regime"][0];
    // Four times 7.4 GBq to the same patient.
    let wanted: f64 = course
        .cycles()
        .iter()
        .zip(&true_doses)
        .map(|(cycle, gy)| gy * 7.4 / cycle.administered().gbq())
        .sum();
    let stated = fixed["absorbed_dose_gy"].as_f64().unwrap();
    println!("fixed regime: {stated:.3} Gy stated, {wanted:.3} Gy true");
    assert!((stated / wanted - 1.0).abs() < 0.02, "{fixed}");
    // The half-life of the cycles imaged once is said to be another cycle's.
    let warned = |result: &CycleResult| {
        let regions = result.regions.iter().flat_map(|r| &r.warnings);
        regions.filter(|w| w.code == "half-life-of-prior-cycle").count()
    };
    assert_eq!(
        results.iter().map(|r| warned(r) > 0).collect::<Vec<_>>(),
        [false, false, true, true]
    );
}

#[test]
fn a_single_image_without_a_cycle_before_is_refused_with_what_to_do() {
    let protocols = Protocols::load(None).unwrap();
    let quebec = protocols.find("lu177-quebec").unwrap();
    let mut course = SimulatedCourse::new(quebec, &options()).unwrap();
    for _ in 0..3 {
        course.give(Becquerel::from_gbq(7.4)).unwrap();
    }
    let failed = std::panic::catch_unwind(|| computed(&course, &protocols, &[]));
    let text = *failed.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("compute an earlier cycle first"), "{text}");
}

#[test]
fn a_protocol_without_a_course_is_refused_with_those_that_have_one() {
    let protocols = Protocols::load(None).unwrap();
    let error = SimulatedCourse::new(protocols.find("combo-lp").unwrap(), &options()).unwrap_err();
    assert!(error.to_string().contains("lu177-quebec"), "{error}");
}
