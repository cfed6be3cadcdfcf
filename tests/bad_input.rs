//! What goes wrong in hospitals, on the real node: nothing of it becomes a dose, each is refused,
//! waits or parks its job with words that say what to do, and the node answers all the while.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod site;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{InMemDicomObject, open_file};
use grayd::node::LocalAe;
use grayd::node::send::{self, SendOutcome};
use grayd::node::settings::{Limits, Peer};
use serde_json::Value;
use site::{CALLING_AE, Site, http_json, wait_for};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// C-STORE status "cannot understand".
const CANNOT_UNDERSTAND: u16 = 0xC000;

/// A node that is asked all the time whether it is there, and a patient's files.
struct Ward {
    site: Site,
    files: tempfile::TempDir,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU32>,
    asking: Option<std::thread::JoinHandle<()>>,
}

impl Ward {
    /// With the digital patient stored as `storage` (`nm`, `pet`).
    fn open(storage: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let made = Command::new(env!("CARGO_BIN_EXE_grayd"))
            .args(["phantom", "--storage", storage, "--output"])
            .arg(files.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let site = Site::start(&format!("intake: {{ settle_seconds: 1 }}\n{}", Site::peers(None)));
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let asking = {
            let (stop, answered, peer) = (stop.clone(), answered.clone(), node(&site));
            let own = own_ae();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let echo = send::echo(&peer, &own);
                    runtime().block_on(echo).expect("the node answers C-ECHO");
                    answered.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
            })
        };
        Self { site, files, stop, answered, asking: Some(asking) }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// All files of a series of the digital patient.
    fn series(&self, name: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.file(name)).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// A copy with `edit` applied, as a series of its own of patient `name`.
    fn variant(&self, of: &Path, name: &str, edit: impl FnOnce(&mut InMemDicomObject)) -> PathBuf {
        self.edited(of, name, |set| {
            text(set, tags::PATIENT_ID, VR::LO, name);
            for tag in [tags::SOP_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::STUDY_INSTANCE_UID]
            {
                new_uid(set, tag, name);
            }
            edit(set);
        })
    }

    /// A copy with `edit` applied; its meta information follows.
    fn edited(&self, of: &Path, name: &str, edit: impl FnOnce(&mut InMemDicomObject)) -> PathBuf {
        let mut file = open_file(of).unwrap();
        edit(&mut file);
        let value = |tag| file.element(tag).unwrap().to_str().unwrap().into_owned();
        let (class, instance) = (value(tags::SOP_CLASS_UID), value(tags::SOP_INSTANCE_UID));
        file.meta_mut().media_storage_sop_class_uid = class;
        file.meta_mut().media_storage_sop_instance_uid = instance;
        let stem = of.file_name().unwrap().to_string_lossy().into_owned();
        let path = self.file(&format!("{name}-{stem}"));
        file.write_to_file(&path).unwrap();
        path
    }

    fn store(&self, files: &[PathBuf]) -> Vec<SendOutcome> {
        let (peer, own) = (node(&self.site), own_ae());
        let outcomes = runtime().block_on(send::store(&peer, &own, files)).unwrap();
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    fn must_take(&self, files: &[PathBuf]) {
        for outcome in self.store(files) {
            assert_eq!(outcome, SendOutcome::Stored { status: 0 });
        }
    }

    /// The entry of `/api/waiting` for a patient with this `why`.
    fn waiting(&self, patient: &str, why: &str) -> Value {
        wait_for(&format!("{patient} to wait: {why}"), || {
            let all = http_json(self.site.web, "/api/waiting")?;
            let mut all = all.as_array()?.iter();
            all.find(|w| w["patient_id"] == patient && w["why"] == why).cloned()
        })
    }

    /// The job that ends in this state.
    fn job(&self, state: &str) -> Value {
        wait_for(&format!("a job to be {state}"), || {
            let jobs = http_json(self.site.web, "/api/jobs")?;
            jobs.as_array()?.iter().find(|job| job["state"] == state).cloned()
        })
    }

    /// No job was made: nothing of what came is fit for one.
    fn no_job(&self) {
        let jobs = http_json(self.site.web, "/api/jobs").unwrap();
        assert_eq!(jobs.as_array().map(Vec::len), Some(0), "{jobs}");
    }

    /// The node has answered every question, also now that all is over.
    fn close(mut self) {
        let before = self.answered.load(Ordering::Relaxed);
        wait_for("two more C-ECHOs", || {
            let gone = self.asking.as_ref().is_none_or(std::thread::JoinHandle::is_finished);
            (gone || self.answered.load(Ordering::Relaxed) >= before + 2).then_some(())
        });
        self.stop.store(true, Ordering::Relaxed);
        self.asking.take().unwrap().join().expect("every C-ECHO was answered");
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn node(site: &Site) -> Peer {
    let host = "127.0.0.1".to_owned();
    Peer {
        name: "node".into(),
        ae_title: "GRAYD".into(),
        host,
        port: site.dicom.port(),
        ..Peer::default()
    }
}

fn own_ae() -> LocalAe {
    LocalAe::plain(CALLING_AE, Limits::default()).unwrap()
}

fn text(set: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    set.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

/// Another UID for another `name`, the same each time.
fn new_uid(set: &mut InMemDicomObject, tag: Tag, name: &str) {
    let old = set.element(tag).unwrap().to_str().unwrap().into_owned();
    let new = grayd::dicom::Uid::derived(&["bad input", name, old.trim_end_matches('\0')]);
    text(set, tag, VR::UI, new.as_str());
}

fn image_type(set: &mut InMemDicomObject, third: &str) {
    text(set, tags::IMAGE_TYPE, VR::CS, &format!("ORIGINAL\\PRIMARY\\{third}\\EMISSION"));
}

/// Edits the radiopharmaceutical's item.
fn agent(set: &mut InMemDicomObject, edit: impl Fn(&mut InMemDicomObject)) {
    set.update_value(tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, |value| {
        edit(&mut value.items_mut().unwrap()[0]);
    });
}

/// One time point, half-lives stated; `administered` is the content of its braces.
fn plan(patient: &str, administered: &str) -> String {
    format!(
        "patient: {{ id: {patient} }}\nprotocol: single-time-point\n\
         radiopharmaceutical: 177Lu-DOTATATE\n\
         cycles:\n  - {{ number: 1, administered: {{ {administered} }} }}\n\
         settings: {{ kinetics: {{ effective_half_life_h: {{ default: 75 }} }} }}\n"
    )
}

/// What the digital patient was given.
const GIVEN: &str = "activity_mbq: 7400, at: 2026-03-02T10:15:00+01:00";

fn says(value: &Value, key: &str, parts: &[&str]) {
    let text = value[key].as_str().unwrap_or_default();
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in `{text}`");
    }
}

#[test]
fn what_is_no_reconstructed_volume_waits_and_says_what_to_send() {
    let ward = Ward::open("nm");
    let spect = ward.file("spect-1/0001.dcm");
    let cases: [(&str, &str, &[&str], &str); 4] = [
        ("P-TOMO", "TOMO", &["projections"], "send the RECON TOMO"),
        ("P-GATED", "RECON GATED TOMO", &["gated"], "RECON TOMO of the whole acquisition"),
        ("P-WHOLE", "WHOLE BODY", &["planar"], "send the SPECT"),
        ("P-SC", "RECON TOMO", &["Secondary Capture", "not activity"], "original NM RECON TOMO"),
    ];
    for (patient, third, _, _) in cases {
        ward.site.plan(&format!("{patient}.yaml"), &plan(patient, GIVEN));
        let file = ward.variant(&spect, patient, |set| {
            image_type(set, third);
            if patient == "P-SC" {
                text(set, tags::SOP_CLASS_UID, VR::UI, uids::SECONDARY_CAPTURE_IMAGE_STORAGE);
            }
        });
        ward.must_take(&[file]);
    }
    for (patient, _, reason, supply) in cases {
        let waiting = ward.waiting(patient, "not-usable");
        says(&waiting, "reason", reason);
        says(&waiting, "supply", &[supply]);
    }
    ward.no_job();
    ward.close();
}

#[test]
fn an_image_without_pixels_is_refused_with_the_reason_and_leaves_no_trace() {
    let ward = Ward::open("nm");
    let empty = ward.variant(&ward.file("spect-1/0001.dcm"), "P-EMPTY", |set| {
        image_type(set, "TOMO");
        set.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::Empty));
    });
    let short = ward.variant(&ward.file("spect-2/0001.dcm"), "P-SHORT", |set| {
        set.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(vec![1; 8].into())));
    });
    let outcomes = ward.store(&[empty, short]);
    let told = [
        "(7FE0,0010) holds no pixels; send the instance with its pixels",
        "(7FE0,0010) holds 16 bytes of pixels where",
    ];
    for (outcome, told) in outcomes.iter().zip(told) {
        let SendOutcome::Refused { status: CANNOT_UNDERSTAND, comment: Some(comment) } = outcome
        else {
            panic!("{outcome:?}");
        };
        assert!(comment.starts_with(told), "{comment}");
    }
    // The next one is taken: the refusals have cost nothing but themselves.
    ward.must_take(&[ward.file("spect-1/0001.dcm")]);
    ward.waiting("PHANTOM-1", "unknown-patient");
    let waiting = http_json(ward.site.web, "/api/waiting").unwrap().to_string();
    assert!(!waiting.contains("P-EMPTY") && !waiting.contains("P-SHORT"), "{waiting}");
    ward.no_job();
    ward.close();
}

#[test]
fn real_headers_and_captures_are_refused_or_wait() {
    let Some(data) = site::shared_data() else { return };
    let data = data.join("images");
    let ward = Ward::open("nm");
    for name in ["NM-NmIm-Siemens-s1-1.dcm", "NM-NmIm-Siemens-s1-2.dcm"] {
        let header = data.join("openrem_nm").join(name);
        if !header.is_file() {
            println!("passed over: {} is not on this machine", header.display());
            continue;
        }
        let outcome = ward.store(&[header]).remove(0);
        let SendOutcome::Refused { status: CANNOT_UNDERSTAND, comment: Some(comment) } = outcome
        else {
            panic!("{name}: {outcome:?}");
        };
        assert!(comment.contains("holds no pixels"), "{name}: {comment}");
    }
    let capture = data.join("nm_legacy/NM1_UNC");
    if capture.is_file() {
        ward.site.plan("capture.yaml", &plan("8NM1", GIVEN));
        ward.must_take(&[capture]);
        let waiting = ward.waiting("8NM1", "not-usable");
        says(&waiting, "reason", &["Secondary Capture"]);
        says(&waiting, "supply", &["send the original"]);
    } else {
        println!("passed over: {} is not on this machine", capture.display());
    }
    ward.no_job();
    ward.close();
}

#[test]
fn an_activity_typed_in_mci_parks_the_job_until_it_is_corrected() {
    let ward = Ward::open("nm");
    ward.site
        .plan("typed.yaml", &plan("PHANTOM-1", "activity_mbq: 200, at: 2026-03-02T10:15:00+01:00"));
    let mut files = ward.series("spect-1");
    files.extend(ward.series("ct-1"));
    files.extend(ward.series("regions").into_iter().filter(|path| is_structure_set(path)));
    ward.must_take(&files);
    let job = ward.job("parked");
    says(&job, "reason", &["mCi", "the plan says 200.0 MBq", "the object 7400.0 MBq", "correct"]);
    // What was asked for is done: the course goes on by itself.
    ward.site.plan("typed.yaml", &plan("PHANTOM-1", GIVEN));
    ward.job("done");
    ward.close();
}

#[test]
fn an_activity_that_the_image_cannot_hold_parks_the_job() {
    let ward = Ward::open("nm");
    ward.site
        .plan("typed.yaml", &plan("PHANTOM-1", "activity_mbq: 200, at: 2026-03-02T10:15:00+01:00"));
    // The object does not say what was given: only the image itself speaks against the plan.
    let silent = ward.edited(&ward.file("spect-1/0001.dcm"), "silent", |set| {
        agent(set, |item| {
            item.remove_element(tags::RADIONUCLIDE_TOTAL_DOSE);
        });
    });
    let mut files = vec![silent];
    files.extend(ward.series("ct-1"));
    files.extend(ward.series("regions").into_iter().filter(|path| is_structure_set(path)));
    ward.must_take(&files);
    let job = ward.job("parked");
    says(&job, "reason", &["left of what was administered", "check unit, calibration and"]);
    ward.close();
}

fn is_structure_set(path: &Path) -> bool {
    let file = open_file(path).unwrap();
    file.element(tags::MODALITY).unwrap().to_str().unwrap() == "RTSTRUCT"
}

#[test]
fn dates_that_are_missing_are_asked_for() {
    let ward = Ward::open("nm");
    let spect = ward.file("spect-1/0001.dcm");
    // Nobody says when it was injected: a plan without it is no plan.
    ward.site.plan("undated.yaml", &plan("P-UNDATED", "activity_mbq: 7400"));
    // Nobody says when it was acquired.
    ward.site.plan("timeless.yaml", &plan("P-TIMELESS", GIVEN));
    // Said to have been injected a month after it was acquired.
    let late = "activity_mbq: 7400, at: 2026-04-02T10:15:00+01:00";
    ward.site.plan("late.yaml", &plan("P-LATE", late));
    let timeless = ward.variant(&spect, "P-TIMELESS", |set| {
        for tag in [
            tags::ACQUISITION_DATE,
            tags::ACQUISITION_TIME,
            tags::SERIES_DATE,
            tags::SERIES_TIME,
            tags::CONTENT_DATE,
            tags::CONTENT_TIME,
            tags::STUDY_DATE,
            tags::STUDY_TIME,
        ] {
            set.remove_element(tag);
        }
    });
    let undated = ward.variant(&spect, "P-UNDATED", |_| {});
    ward.must_take(&[timeless, undated, ward.variant(&spect, "P-LATE", |_| {})]);

    let waiting = ward.waiting("P-TIMELESS", "no-acquisition-time");
    says(&waiting, "supply", &["Acquisition Date and Time (0008,0022), (0008,0032)"]);
    let waiting = ward.waiting("P-LATE", "outside-cycles");
    says(&waiting, "supply", &["correct the time of administration"]);
    ward.waiting("P-UNDATED", "unknown-patient");
    let plans = http_json(ward.site.web, "/api/plans").unwrap();
    let faults = plans["faults"].to_string();
    assert!(faults.contains("undated.yaml") && faults.contains("`at`"), "{faults}");
    ward.no_job();
    ward.close();
}

#[test]
fn suv_without_what_undoes_it_parks_the_job() {
    let ward = Ward::open("pet");
    ward.site.plan("suv.yaml", &plan("PHANTOM-1", GIVEN));
    let suv = ward.series("spect-1").into_iter().map(|slice| {
        ward.edited(&slice, "suv", |set| {
            text(set, tags::UNITS, VR::CS, "GML");
            text(set, tags::SUV_TYPE, VR::CS, "BW");
        })
    });
    let mut files: Vec<PathBuf> = suv.collect();
    files.extend(ward.series("ct-1"));
    files.extend(ward.series("regions").into_iter().filter(|path| is_structure_set(path)));
    ward.must_take(&files);
    let job = ward.job("parked");
    says(&job, "reason", &["SUV", "Patient's Weight (0010,1030)", "send the series in Bq/ml"]);
    ward.close();
}

#[test]
fn nobody_computes_for_an_unknown_patient_or_two_patients_in_one_study() {
    let ward = Ward::open("nm");
    let first = ward.file("spect-1/0001.dcm");
    let nameless = ward.variant(&first, "nameless", |set| text(set, tags::PATIENT_ID, VR::LO, ""));
    ward.must_take(&[first.clone(), nameless]);
    let waiting = ward.waiting("", "unknown-patient");
    says(&waiting, "reason", &["no Patient ID (0010,0020)"]);
    says(&waiting, "supply", &["enter the ID", "under new UIDs"]);
    let waiting = ward.waiting("PHANTOM-1", "unknown-patient");
    says(&waiting, "reason", &["no plan is for this patient"]);
    says(&waiting, "supply", &["write a plan with this Patient ID", "correct the ID"]);
    // The plan comes later: the series waits for its regions now.
    ward.site.plan("late.yaml", &plan("PHANTOM-1", GIVEN));
    let waiting = ward.waiting("PHANTOM-1", "regions-missing");
    says(&waiting, "supply", &["send an RTSTRUCT or SEG"]);

    // Another patient's image comes under the same study.
    let other = ward.edited(&first, "other", |set| {
        text(set, tags::PATIENT_ID, VR::LO, "P-OTHER");
        new_uid(set, tags::SOP_INSTANCE_UID, "other");
        new_uid(set, tags::SERIES_INSTANCE_UID, "other");
    });
    ward.must_take(&[other]);
    for patient in ["PHANTOM-1", "P-OTHER"] {
        let waiting = ward.waiting(patient, "two-patients");
        says(&waiting, "reason", &["two patients"]);
        says(&waiting, "supply", &["correct the Patient ID", "under new UIDs"]);
    }
    ward.no_job();
    ward.close();
}
