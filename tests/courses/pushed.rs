//! Courses pushed over associations to a running node, cycle by cycle, and their results got back from it.

use super::beside::{doses_agree, proposal_agrees, therapies_agree};
use super::site::{self, CALLING_AE, Site, http_bytes, http_json, wait_for};
use super::{course_of, options};
use dicom_dictionary_std::tags;
use dicom_object::DefaultDicomObject;
use grayd::config::Protocols;
use grayd::phantom::{PhantomOptions, SimulatedCourse, Views, protocols};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

/// One course with its files.
struct Pushed {
    name: String,
    course: SimulatedCourse,
    folder: tempfile::TempDir,
    results: Vec<Value>,
}

impl Pushed {
    fn new(name: &str, seed: u64) -> Self {
        Self::of(name, course_of(name, seed))
    }

    fn of(name: &str, mut course: SimulatedCourse) -> Self {
        course.complete().unwrap();
        let folder = tempfile::tempdir().unwrap();
        course.write(folder.path()).unwrap();
        Self { name: name.into(), course, folder, results: Vec::new() }
    }

    /// Entries of `cameras:` that the course asks for.
    fn cameras(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("config.yaml"));
        let text = text.unwrap_or_default();
        let entries = text.split("  - match").skip(1);
        entries.map(|entry| format!("  - match{entry}")).collect()
    }

    /// Result of the numbered cycle, once the node has it.
    fn result(&self, site: &Site, cycle: usize) -> Value {
        wait_for(&format!("{} cycle {cycle}", self.name), || {
            let courses = http_json(site.web, "/api/courses")?;
            let courses = courses.as_array()?;
            let id = courses.iter().find(|c| c["protocol"] == *self.name)?["course"].as_str()?;
            let path = format!("/api/courses/{id}/results?cycle={cycle}");
            http_json(site.web, &path).filter(|r| r["cycle"] == cycle)
        })
    }
}

/// What a job left, by C-GET of each one's series: modalities, sorted.
fn got_back(site: &Site, objects: &Value) -> Vec<String> {
    let text = |object: &DefaultDicomObject, tag| {
        object.element(tag).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned()
    };
    let folder = tempfile::tempdir().unwrap();
    for uid in objects.as_array().unwrap() {
        let bytes = http_bytes(site.web, &format!("/objects/{}", uid.as_str().unwrap()));
        let object = dicom_object::from_reader(bytes.as_slice()).unwrap();
        let status = Command::new("getscu")
            .args(["-S", "-aet", CALLING_AE, "-aec", "GRAYD", "-od"])
            .arg(folder.path())
            .args(["-k", "QueryRetrieveLevel=SERIES"])
            .arg("-k")
            .arg(format!("StudyInstanceUID={}", text(&object, tags::STUDY_INSTANCE_UID)))
            .arg("-k")
            .arg(format!("SeriesInstanceUID={}", text(&object, tags::SERIES_INSTANCE_UID)))
            .arg("127.0.0.1")
            .arg(site.dicom.port().to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success());
    }
    let files = std::fs::read_dir(folder.path()).unwrap();
    let modality = |path| text(&dicom_object::open_file(path).unwrap(), tags::MODALITY);
    let mut modalities: Vec<String> = files.map(|file| modality(file.unwrap().path())).collect();
    modalities.sort();
    modalities
}

#[test]
fn every_course_pushed_to_a_node_comes_back_as_its_true_doses_and_proposal() {
    if !["dcmsend", "getscu"].iter().all(|program| site::have(program)) {
        return;
    }
    let names = protocols().unwrap();
    let mut courses: Vec<Pushed> =
        names.iter().zip(1..).map(|(name, seed)| Pushed::new(name, seed)).collect();
    let cameras: BTreeSet<String> = courses.iter().flat_map(Pushed::cameras).collect();
    let cameras: String = cameras.into_iter().collect();
    let site = Site::start(&format!(
        "intake: {{ settle_seconds: 1 }}\n{}cameras:\n{cameras}",
        Site::peers(None)
    ));
    for pushed in &courses {
        site.plan(&format!("{}.yaml", pushed.name), &pushed.course.plan());
    }
    let longest = courses.iter().map(|pushed| pushed.course.cycles().len()).max().unwrap();
    // One cycle after another, as patients come: what a rule knows of earlier ones is computed by then.
    for cycle in 1..=longest {
        let now = || courses.iter().filter(|pushed| pushed.course.cycles().len() >= cycle);
        for pushed in now() {
            assert!(site.dcmsend_folder(&pushed.folder.path().join(format!("cycle-{cycle}"))));
        }
        let results: Vec<Value> = now().map(|pushed| pushed.result(&site, cycle)).collect();
        let given = courses.iter_mut().filter(|pushed| pushed.course.cycles().len() >= cycle);
        given.zip(results).for_each(|(pushed, result)| pushed.results.push(result));
    }
    let mut faults = Vec::new();
    for Pushed { name, course, results, .. } in &courses {
        let said = doses_agree(course, results)
            .and_then(|doses| Ok(doses + &therapies_agree(course, results)?))
            .and_then(|so_far| Ok(so_far + &proposal_agrees(course, results.last().unwrap())?));
        match said {
            Ok(said) => println!("{name}: {said}"),
            Err(fault) => faults.push(format!("{name}: {fault}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let jobs = http_json(site.web, "/api/jobs").unwrap();
    let jobs = jobs.as_array().unwrap();
    let cycles: usize = courses.iter().map(|pushed| pushed.course.cycles().len()).sum();
    assert_eq!(jobs.len(), cycles, "{jobs:#?}");
    for job in jobs {
        let modalities = got_back(&site, &job["results"]);
        assert_eq!(modalities, ["DOC", "RTDOSE", "SEG", "SR"], "{job}");
    }
}

/// A site without SPECT/CT: views of the whole body are all that is sent, and nothing is known of the camera.
#[test]
fn views_without_a_ct_pushed_to_a_node_come_back_as_an_activity() {
    if !["dcmsend", "getscu"].iter().all(|program| site::have(program)) {
        return;
    }
    let name = "i131-tositumomab-wb";
    let protocols = Protocols::load(None).unwrap();
    let outlined = PhantomOptions { views: Views::Outlined, ..options(name) };
    let course = SimulatedCourse::new(protocols.find(name).unwrap(), &outlined).unwrap();
    let pushed = Pushed::of(name, course);
    let site = Site::start(&format!("intake: {{ settle_seconds: 1 }}\n{}", Site::peers(None)));
    site.plan("p.yaml", &pushed.course.plan());
    let cycle = pushed.folder.path().join("cycle-1");
    let mut sent = 0;
    for entry in std::fs::read_dir(cycle).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("planar") {
            assert!(site.dcmsend_folder(&path));
            sent += 1;
        }
    }
    assert_eq!(sent, 3);
    let result = pushed.result(&site, 1);
    assert_eq!(result["regions"], Value::Array(Vec::new()));
    println!("{}", proposal_agrees(&pushed.course, &result).unwrap());
    let jobs = http_json(site.web, "/api/jobs").unwrap();
    assert_eq!(got_back(&site, &jobs[0]["results"]), ["DOC", "SR"], "{jobs}");
}
