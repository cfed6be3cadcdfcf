//! The network services beside Orthanc, the same objects in the same run: C-STORE from 1, 4 and 16
//! senders, C-FIND over a large index, C-GET, frames by WADO-RS. `cargo bench --bench network`.
//!
//! `GRAYD_INSTANCES` (100 000) are indexed in grayd through its archive's own interface, and
//! `ORTHANC_INSTANCES` (20 000) stored in Orthanc, which has no other way in than to take them one by
//! one: what it finds, it finds among fewer. Senders are DCMTK's storescu, askers pynetdicom over one
//! association each; their own time is part of both sides'. Servers take turns.
#![allow(clippy::unwrap_used)] // a benchmark that cannot go on ends

#[path = "frames/fetch.rs"]
mod fetch;
#[path = "../tests/site/mod.rs"]
mod site;
#[path = "receive/slices.rs"]
mod slices;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use fetch::{FRAMES, SLICES, fetch, make_objects};
use grayd::archive::{Archive, Arrival, LocalArchive, StorageSettings};
use grayd::dicom::Uid;
use serde_json::{Value, json};
use site::{CALLING_AE, Orthanc, Site};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const SENDERS: [usize; 3] = [1, 4, 16];
const STORED: usize = 320;
const STORE_ROUNDS: usize = 3;
const ROUNDS: usize = 40;
/// Instances of a series, series of a study, studies of a patient and of a day.
const SHAPE: [usize; 4] = [10, 10, 2, 20];

fn count(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn main() {
    // `cargo test --benches` passes no --bench: nothing to measure then.
    let inside = std::env::var_os("GRAYD_PRIVATE_NETWORK").is_some();
    if !inside && !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    if !site::have("Orthanc") || !site::have("storescu") || !site::in_private_network("network") {
        return;
    }
    let mut node = Site::start(&Site::peers(None));
    let Some(orthanc) = Orthanc::start_with_dicomweb() else {
        println!("passed over: Orthanc's DICOMweb plugin is not installed (tests/run installs it)");
        return;
    };
    let modality = json!({ "AET": CALLING_AE, "Host": "127.0.0.1", "Port": 104 });
    let known = ureq::put(format!("http://{}/modalities/bench", orthanc.http)).send_json(&modality);
    known.unwrap();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!("{} UTC, load {load}", jiff::Timestamp::now().strftime("%F %H:%M"));

    let began = Instant::now();
    node.kill();
    let ours = count("GRAYD_INSTANCES", 100_000);
    fill(&node.store(), ours);
    node.restart();
    println!("grayd: {ours} instances indexed in {:.0} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    let theirs = count("ORTHANC_INSTANCES", 20_000).min(ours);
    upload(&orthanc, theirs);
    println!("Orthanc: {theirs} instances stored in {:.0} s\n", began.elapsed().as_secs_f64());

    let roots =
        [format!("http://{}/dicom-web", node.web), format!("http://{}/dicom-web", orthanc.http)];
    make_objects(&node.folder.path().join("objects"), &roots);
    store(&node, &orthanc);
    ask(&node, &orthanc, theirs);
    frames(&roots);
}

/// The n-th small instance of the index; lower numbers are the same whatever the size of the whole.
fn small(n: usize) -> (String, InMemDicomObject) {
    let [instances, series, studies, per_day] = SHAPE;
    let series_number = n / instances;
    let study = series_number / series;
    let (patient, day) = (study / studies, study / per_day);
    let date = format!("2{:03}{:02}{:02}", 20 + day / 336, day / 28 % 12 + 1, day % 28 + 1);
    let study_uid = format!("1.2.7.{study}");
    let series_uid = format!("{study_uid}.{series_number}");
    let uid = format!("{series_uid}.{n}");
    let texts = [
        (tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE.to_owned()),
        (tags::SOP_INSTANCE_UID, VR::UI, uid.clone()),
        (tags::STUDY_DATE, VR::DA, date),
        (tags::STUDY_TIME, VR::TM, "101500".to_owned()),
        (tags::ACCESSION_NUMBER, VR::SH, format!("A{study}")),
        (tags::MODALITY, VR::CS, "CT".to_owned()),
        (tags::PATIENT_NAME, VR::PN, format!("Bench{patient}^Anna")),
        (tags::PATIENT_ID, VR::LO, format!("P-{patient}")),
        (tags::STUDY_INSTANCE_UID, VR::UI, study_uid),
        (tags::SERIES_INSTANCE_UID, VR::UI, series_uid),
        (tags::SERIES_NUMBER, VR::IS, (series_number % series).to_string()),
        (tags::INSTANCE_NUMBER, VR::IS, (n % instances).to_string()),
    ];
    let element = |(tag, vr, text)| DataElement::new(tag, vr, PrimitiveValue::from(text));
    (uid, InMemDicomObject::from_element_iter(texts.map(element)))
}

/// Through the archive's own interface, 16 receivers at once, as associations would.
fn fill(store: &Path, instances: usize) {
    let settings = StorageSettings {
        directory: store.to_owned(),
        reserve_mb: 64,
        ..StorageSettings::default()
    };
    let archive = LocalArchive::open(&settings, jiff::tz::TimeZone::UTC).unwrap();
    let uid = |text: &str| Uid::parse(text).unwrap();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= instances {
                        break;
                    }
                    let (instance, object) = small(n);
                    let mut bytes = Vec::new();
                    let syntax =
                        dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
                    object.write_dataset_with_ts(&mut bytes, &syntax).unwrap();
                    let arrival = Arrival {
                        sop_class: uid(uids::CT_IMAGE_STORAGE),
                        sop_instance: uid(&instance),
                        transfer_syntax: uid(uids::EXPLICIT_VR_LITTLE_ENDIAN),
                        calling_ae: "BENCH".into(),
                    };
                    let mut incoming = archive.receive(arrival).unwrap();
                    incoming.write(&bytes).unwrap();
                    incoming.commit().unwrap();
                }
            });
        }
    });
}

/// Over its REST interface, four at once.
fn upload(orthanc: &Orthanc, instances: usize) {
    let next = AtomicUsize::new(0);
    let url = format!("http://{}/instances", orthanc.http);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let agent = ureq::Agent::new_with_defaults();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= instances {
                        break;
                    }
                    let (uid, object) = small(n);
                    let meta = FileMetaTableBuilder::new()
                        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
                        .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
                        .media_storage_sop_instance_uid(uid);
                    let mut bytes = Vec::new();
                    object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
                    let mut answer = agent.post(&url).send(&bytes[..]).unwrap();
                    answer.body_mut().read_to_vec().unwrap();
                }
            });
        }
    });
}

/// Images a second until the last sender has its answer.
fn store(node: &Site, orthanc: &Orthanc) {
    println!("C-STORE of {STORED} CT slices, images/s, median of {STORE_ROUNDS} rounds");
    let servers = [("GRAYD", node.dicom.port()), ("ORTHANC", orthanc.dicom_port)];
    let mut first = 0;
    for senders in SENDERS {
        let mut rates = [Vec::new(), Vec::new()];
        for round in 0..STORE_ROUNDS {
            // New instances every time: what is there already costs nothing.
            let work = node.folder.path();
            let folders = slices::write(work, senders, first..first + STORED);
            first += STORED;
            for at in [0, 1].map(|n| (n + round) % 2) {
                rates[at].push(send(servers[at], &folders));
            }
            folders.iter().for_each(|folder| std::fs::remove_dir_all(folder).unwrap());
        }
        let [ours, theirs] = rates.map(|mut rates| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        });
        println!(
            "  {senders:>2} senders: grayd {ours:.0}, Orthanc {theirs:.0}, ratio {:.2}",
            ours / theirs
        );
    }
}

fn send((title, port): (&str, u16), folders: &[std::path::PathBuf]) -> f64 {
    let began = Instant::now();
    let senders: Vec<Child> = folders
        .iter()
        .map(|folder| {
            Command::new("storescu")
                .args(["-aet", CALLING_AE, "-aec", title, "+sd", "127.0.0.1"])
                .arg(port.to_string())
                .arg(folder)
                .env("TCP_NODELAY", "1")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut sender in senders {
        assert!(sender.wait().unwrap().success(), "{title}: storescu failed");
    }
    STORED as f64 / began.elapsed().as_secs_f64()
}

/// C-FIND of each kind and C-GET of a series of real slices.
fn ask(node: &Site, orthanc: &Orthanc, known: usize) {
    let [instances, series, studies, per_day] = SHAPE;
    let all_studies = (known / (instances * series)).max(1);
    let some = |make: &dyn Fn(usize) -> Value| -> Vec<Value> {
        // Spread over what both have.
        (0..ROUNDS).map(|n| make(n * 7919 % all_studies)).collect()
    };
    let study = |keys: Value| {
        let mut all = json!({
            "kind": "find", "QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "PatientID": "",
            "PatientName": "", "StudyDate": "", "AccessionNumber": ""
        });
        for (key, value) in keys.as_object().unwrap() {
            all[key] = value.clone();
        }
        all
    };
    let day = |study: usize| {
        let (_, object) = small(study / per_day * per_day * instances * series);
        object.element(tags::STUDY_DATE).unwrap().to_str().unwrap().into_owned()
    };
    let questions = json!({
        "C-FIND a study by its UID":
            some(&|k| study(json!({ "StudyInstanceUID": format!("1.2.7.{k}") }))),
        "C-FIND a patient's studies": some(&|k| study(json!({ "PatientID": format!("P-{}", k / studies) }))),
        "C-FIND by name and wildcard": some(&|k| study(json!({ "PatientName": format!("BENCH{}^*", k / studies) }))),
        "C-FIND a day's studies": some(&|k| study(json!({ "StudyDate": day(k) }))),
        "C-FIND series of a study": some(&|k| json!({
            "kind": "find", "QueryRetrieveLevel": "SERIES", "StudyInstanceUID": format!("1.2.7.{k}"),
            "SeriesInstanceUID": "", "Modality": "", "SeriesNumber": ""
        })),
        "C-FIND instances of a series": some(&|k| json!({
            "kind": "find", "QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": format!("1.2.7.{k}"),
            "SeriesInstanceUID": format!("1.2.7.{k}.{}", k * series), "SOPInstanceUID": "", "InstanceNumber": ""
        })),
        format!("C-GET {SLICES} CT slices"): [{
            "kind": "get", "QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1"
        }],
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/network.py");
    let mut child = Command::new(site::python())
        .arg(script)
        .arg(ROUNDS.to_string())
        .args([node.dicom.port().to_string(), "GRAYD".into()])
        .args([orthanc.dicom_port.to_string(), "ORTHANC".into()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), &questions).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("\nms a question: median (p99); matches or instances at the last one");
    for name in questions.as_object().unwrap().keys() {
        let of = |title: &str| {
            let times = said["times"][title][name].as_array().unwrap();
            quantiles(times.iter().map(|time| time.as_f64().unwrap() * 1e3).collect())
        };
        let counts = |title: &str| said["counts"][title][name].to_string();
        line(name, of("GRAYD"), of("ORTHANC"));
        assert_eq!(counts("GRAYD"), counts("ORTHANC"), "{name}: both find the same");
        println!("      {} each", counts("GRAYD"));
    }
}

fn frames(roots: &[String; 2]) {
    println!("\nms a frame by WADO-RS: median (p99)");
    for (name, series, count) in [("CT 512 x 512", "1", SLICES), ("NM 128 x 128", "2", FRAMES)] {
        let mut taken = [Vec::new(), Vec::new()];
        for round in 0..=5 {
            for at in [0, 1].map(|n| (n + round) % 2) {
                let times = fetch(&roots[at], series, count);
                if round > 0 {
                    taken[at].extend(times.iter().map(|time| time.as_secs_f64() * 1e3));
                }
            }
        }
        let [ours, theirs] = taken.map(quantiles);
        line(name, ours, theirs);
    }
}

/// Median and p99.
fn quantiles(mut times: Vec<f64>) -> [f64; 2] {
    times.sort_by(f64::total_cmp);
    [0.5, 0.99].map(|share| times[(share * (times.len() - 1) as f64) as usize])
}

fn line(name: &str, ours: [f64; 2], theirs: [f64; 2]) {
    println!(
        "  {name:<30} grayd {:.2} ({:.2}), Orthanc {:.2} ({:.2}), ratio {:.2}",
        ours[0],
        ours[1],
        theirs[0],
        theirs[1],
        ours[0] / theirs[0]
    );
}
