//! The node as a whole with workers of our own making: what a crash, a refusal and a success of a
//! worker become, and what pages and API say.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use dicom_core::VR;
use dicom_dictionary_std::tags;
use grayd::archive::{
    Archive, Arrival, AuditEvent, Delete, DeliveryEnd, InstanceFilter, JobState, LocalArchive,
};
use grayd::config;
use grayd::dicom::Uid;
use grayd::dicom::write::{Code, DataSet};
use grayd::node::LocalAe;
use grayd::node::send::{self, SendOutcome};
use grayd::node::settings::{Limits, Peer};
use grayd::service::retention::make_room;
use grayd::service::{self, Ready, Service};
use grayd::worklist::{State, Step, Worklist, order};
use jiff::{SignedDuration, Timestamp};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// How long anything may take before a test says that it did not happen.
const DEADLINE: Duration = Duration::from_secs(120);

const PLAN: &str = "patient: { id: P-1 }\nprotocol: single-time-point\n\
    radiopharmaceutical: 177Lu-DOTATATE\ncycles:\n  - number: 1\n    administered: \
    { activity_mbq: 7400, at: 2026-03-02T10:00:00Z }\n\
    settings: { kinetics: { effective_half_life_h: { default: 75 } } }\n";

/// A node over a temporary folder whose workers run `script`.
struct Site {
    folder: tempfile::TempDir,
    service: Arc<Service>,
    ready: Ready,
    shutdown: watch::Sender<bool>,
    running: Option<std::thread::JoinHandle<Result<(), service::ServiceError>>>,
}

impl Site {
    fn start(script: &str, more: &str) -> Self {
        let worker: Vec<OsString> = ["sh", "-c", script].map(OsString::from).to_vec();
        Self::start_with(worker, more, |_| {})
    }

    /// With a worker of one's own and settings that no file may have.
    fn start_with(
        worker: Vec<OsString>,
        more: &str,
        adjust: impl FnOnce(&mut config::NodeConfig),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plans")).unwrap();
        let file = folder.path().join("grayd.yaml");
        let web = if more.contains("web:") { "" } else { "web: { listen: \"127.0.0.1:0\" }\n" };
        let text = format!(
            "node: {{ listen: \"127.0.0.1:0\" }}\n{web}\
             storage: {{ directory: store, reserve_mb: 1 }}\nintake: {{ settle_seconds: 0 }}\n{more}"
        );
        std::fs::write(&file, text).unwrap();
        let mut loaded = config::load(&file).unwrap();
        adjust(&mut loaded.config);
        let zone = loaded.config.site.zone();
        let archive = LocalArchive::open(&loaded.config.storage, zone).unwrap();
        let service = Service::new(loaded, Arc::new(archive), worker).unwrap();
        let (shutdown, receiver) = watch::channel(false);
        let (sender, ready) = oneshot::channel();
        let owned = service.clone();
        let running = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(service::run(owned, receiver, |ready| {
                sender.send(ready).unwrap();
            }))
        });
        let ready = ready.blocking_recv().unwrap();
        Self { folder, service, ready, shutdown, running: Some(running) }
    }

    fn plan(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join("plans").join(name), text).unwrap();
    }

    /// A SPECT and an RTSTRUCT drawn on it: what a job wants.
    fn images(&self) {
        store(&*self.service.archive, &spect());
        store(&*self.service.archive, &structure_set());
    }

    fn job(&self, state: JobState) -> grayd::archive::Job {
        wait_for("the job's end", || {
            let jobs = self.service.archive.jobs(10).unwrap();
            jobs.into_iter().find(|job| job.state == state)
        })
    }

    /// A line of the audit trail.
    fn note(&self, event: &str) {
        let (event, actor, outcome) = (event.to_owned(), "TEST".to_owned(), "fine".to_owned());
        let line = AuditEvent { at: Timestamp::now(), event, actor, object: None, outcome };
        self.service.archive.audit(line).unwrap();
    }

    fn stop(mut self) {
        self.shutdown.send(true).unwrap();
        self.running.take().unwrap().join().unwrap().unwrap();
    }
}

fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Head and body of one GET.
fn get(address: SocketAddr, host: &str, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    (String::from_utf8_lossy(&answer[..end]).to_lowercase(), answer[end + 4..].to_vec())
}

fn page(site: &Site, path: &str) -> String {
    let (head, body) = get(site.ready.web, "localhost", path);
    assert!(head.starts_with("http/1.0 200"), "{path}: {head}");
    String::from_utf8(body).unwrap()
}

fn json(site: &Site, path: &str) -> serde_json::Value {
    serde_json::from_str(&page(site, path)).unwrap()
}

/// One element of an explicit little endian data set.
fn element(group: u16, number: u16, vr: &str, value: &str) -> Vec<u8> {
    let pad = if vr == "UI" { '\0' } else { ' ' };
    let mut value = value.to_owned();
    if value.len() % 2 == 1 {
        value.push(pad);
    }
    let mut bytes = Vec::new();
    bytes.extend(group.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(vr.as_bytes());
    bytes.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
    bytes.extend(value.as_bytes());
    bytes
}

/// A sequence of one item.
fn sequence(group: u16, number: u16, item: &[u8]) -> Vec<u8> {
    let length = u32::try_from(item.len()).unwrap();
    let mut bytes = Vec::new();
    bytes.extend(group.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(b"SQ\0\0");
    bytes.extend((length + 8).to_le_bytes());
    bytes.extend([0xfe, 0xff, 0x00, 0xe0]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(item);
    bytes
}

const NM: &str = "1.2.840.10008.5.1.4.1.1.20";
const RTSTRUCT: &str = "1.2.840.10008.5.1.4.1.1.481.3";

struct Object {
    class: &'static str,
    uid: &'static str,
    bytes: Vec<u8>,
}

fn spect() -> Object {
    spect_of("P-1", "<b>SPECT</b>")
}

fn spect_of(patient_id: &str, description: &str) -> Object {
    let bytes = [
        element(0x0008, 0x0005, "CS", "ISO_IR 192"),
        element(0x0008, 0x0008, "CS", "ORIGINAL\\PRIMARY\\RECON TOMO\\EMISSION"),
        element(0x0008, 0x0016, "UI", NM),
        element(0x0008, 0x0018, "UI", "1.2.3.1"),
        element(0x0008, 0x0022, "DA", "20260303"),
        element(0x0008, 0x0032, "TM", "100000"),
        element(0x0008, 0x0060, "CS", "NM"),
        element(0x0008, 0x103e, "LO", description),
        element(0x0010, 0x0010, "PN", "CANARY^NAME"),
        element(0x0010, 0x0020, "LO", patient_id),
        element(0x0020, 0x000d, "UI", "1.2.3"),
        element(0x0020, 0x000e, "UI", "1.2.3.10"),
        element(0x0020, 0x0052, "UI", "1.2.3.100"),
        element(0x0028, 0x0008, "IS", "64"),
    ];
    Object { class: NM, uid: "1.2.3.1", bytes: bytes.concat() }
}

fn structure_set() -> Object {
    structure_set_of("P-1")
}

fn structure_set_of(patient_id: &str) -> Object {
    let series = element(0x0020, 0x000e, "UI", "1.2.3.10");
    let study = sequence(0x3006, 0x0014, &series);
    let frame = [element(0x0020, 0x0052, "UI", "1.2.3.100"), sequence(0x3006, 0x0012, &study)];
    let bytes = [
        element(0x0008, 0x0005, "CS", "ISO_IR 192"),
        element(0x0008, 0x0016, "UI", RTSTRUCT),
        element(0x0008, 0x0018, "UI", "1.2.3.2"),
        element(0x0008, 0x0060, "CS", "RTSTRUCT"),
        element(0x0010, 0x0010, "PN", "CANARY^NAME"),
        element(0x0010, 0x0020, "LO", patient_id),
        element(0x0020, 0x000d, "UI", "1.2.3"),
        element(0x0020, 0x000e, "UI", "1.2.3.20"),
        element(0x0020, 0x0052, "UI", "1.2.3.100"),
        sequence(0x3006, 0x0010, &frame.concat()),
    ];
    Object { class: RTSTRUCT, uid: "1.2.3.2", bytes: bytes.concat() }
}

fn store(archive: &dyn Archive, object: &Object) {
    let uid = |text: &str| Uid::parse(text).unwrap();
    let arrival = Arrival {
        sop_class: uid(object.class),
        sop_instance: uid(object.uid),
        transfer_syntax: uid("1.2.840.10008.1.2.1"),
        calling_ae: "SPECT1".into(),
    };
    let mut incoming = archive.receive(arrival).unwrap();
    incoming.write(&object.bytes).unwrap();
    incoming.commit().unwrap();
}

/// A Part 10 file as a worker leaves it.
fn write_part10(path: &Path, class: &'static str, uid: &'static str) {
    let bytes = [
        element(0x0008, 0x0016, "UI", class),
        element(0x0008, 0x0018, "UI", uid),
        element(0x0008, 0x0060, "CS", "RTDOSE"),
        element(0x0008, 0x103e, "LO", "Absorbed dose"),
        element(0x0010, 0x0020, "LO", "P-1"),
        element(0x0020, 0x000d, "UI", "1.2.3"),
        element(0x0020, 0x000e, "UI", "1.2.3.30"),
    ];
    write_file(path, &Object { class, uid, bytes: bytes.concat() });
}

fn write_file(path: &Path, object: &Object) {
    let meta = [
        element(0x0002, 0x0002, "UI", object.class),
        element(0x0002, 0x0003, "UI", object.uid),
        element(0x0002, 0x0010, "UI", "1.2.840.10008.1.2.1"),
        element(0x0002, 0x0012, "UI", "1.2.3.999"),
    ]
    .concat();
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    bytes.extend([0x02, 0, 0, 0, b'U', b'L', 4, 0]);
    bytes.extend(u32::try_from(meta.len()).unwrap().to_le_bytes());
    bytes.extend(meta);
    bytes.extend(&object.bytes);
    std::fs::write(path, bytes).unwrap();
}

/// A worker that reads its order, copies what the test prepared and says that it is done.
fn copying_worker(prepared: &Path) -> String {
    format!(
        "read order; out=$(printf %s \"$order\" | sed 's/.*\"output\":\"\\([^\"]*\\)\".*/\\1/'); \
         cp {0}/dose.dcm {0}/results.json \"$out\"; \
         echo '{{\"progress\":{{\"fraction\":0.5,\"stage\":\"dose\"}}}}'; \
         echo '{{\"done\":{{\"objects\":[\"dose.dcm\"],\"results\":\"results.json\"}}}}'",
        prepared.display()
    )
}

const RESULTS: &str = r#"{"cycle": 1, "completeness": "final", "protocol": "single-time-point",
 "nuclide": "Lu-177", "warnings": [{"code": "a-code", "text": "a <script>warning</script>"}],
 "administered": {"activity_mbq": 7400, "at": "2026-03-02T10:00:00Z"},
 "regions": [{"name": "Kidney <left>", "volume_ml": 151.2, "mass_g": 158.9,
  "activity_mbq": [{"hours": 24, "value": 101.5}],
  "fit": {"model": "single-time-point",
   "parameters": {"terms": [{"amplitude_mbq": 126.7, "rate_per_h": 0.00924}]}},
  "tia_mbq_h": 13710.0, "tiac_h": 1.853, "effective_half_life_h": 75,
  "absorbed_dose_gy": {"mean": 7.362, "min": 1, "max": 12, "median": 7.3, "sd": 1,
   "d98": 2.1, "d95": 3.2, "d50": 7.3, "d2": 11.1},
  "bed_gy": 8.9, "uncertainty": 0.14,
   "warnings": [{"code": "few-points", "text": "one <script>point</script>"}]},
  {"name": "Empty", "volume_ml": null, "mass_g": null, "activity_mbq": [], "fit": null,
   "tia_mbq_h": null, "effective_half_life_h": null, "absorbed_dose_gy": null, "bed_gy": null,
   "uncertainty": null, "warnings": [{"code": "no-dose", "text": "not covered by the image"}]}]}"#;

#[test]
fn a_series_becomes_a_result_that_pages_and_api_show() {
    let prepared = tempfile::tempdir().unwrap();
    write_part10(&prepared.path().join("dose.dcm"), "1.2.840.10008.5.1.4.1.1.481.2", "1.2.3.9");
    std::fs::write(prepared.path().join("results.json"), RESULTS).unwrap();
    let site = Site::start(&copying_worker(prepared.path()), "");
    site.images();
    wait_for("the series to wait for a plan", || {
        let waiting = json(&site, "/api/waiting");
        (waiting[0]["why"] == "unknown-patient").then_some(())
    });
    site.plan("a.yaml", PLAN);
    let job = site.job(JobState::Done);
    assert_eq!(site.service.archive.job_results(job.id).unwrap(), [Uid::parse("1.2.3.9").unwrap()]);

    let course = json(&site, "/api/courses")[0]["course"].as_str().unwrap().to_owned();
    let results = page(&site, &format!("/api/courses/{course}/results"));
    assert_eq!(results, RESULTS, "verbatim");
    assert_eq!(json(&site, "/api/jobs")[0]["state"], "done");
    assert_eq!(json(&site, "/api/waiting"), serde_json::json!([]));
    assert_eq!(json(&site, "/api/deliveries"), serde_json::json!([]));

    let shown = page(&site, &format!("/courses/{course}"));
    for text in ["7.362", "13710", "14 %", "not covered by the image", "/objects/1.2.3.9", "<svg"] {
        assert!(shown.contains(text), "{text} is not in {shown}");
    }
    assert!(shown.contains("Kidney &lt;left&gt;") && !shown.contains("<script>"));
    let home = page(&site, "/");
    for text in [&shown, &home] {
        assert!(text.contains(grayd::report::RESEARCH_MARK));
        assert!(!text.contains("CANARY"), "a patient's name is on a page");
    }
    let (head, body) = get(site.ready.web, "localhost", "/objects/1.2.3.9");
    assert!(head.contains("application/dicom") && &body[128..132] == b"DICM", "{head}");
    site.stop();
}

#[allow(dead_code)] // other tests use other parts of it
#[path = "peer/certificates.rs"]
mod certificates;

/// A repository of audit records: a TLS server that keeps the frames of every connection.
struct Repository {
    port: u16,
    frames: Arc<std::sync::Mutex<Vec<String>>>,
    /// Connections that have ended.
    ended: Arc<AtomicUsize>,
}

impl Repository {
    fn start(port: u16, identity: &certificates::Identity) -> Self {
        Self::start_with(port, identity, None, &[])
    }

    /// With the certificate of the authority of clients, where one is demanded of them, and so many
    /// frames after which the first connections are closed.
    fn start_with(
        port: u16,
        identity: &certificates::Identity,
        clients: Option<&Path>,
        closings: &'static [usize],
    ) -> Self {
        use tokio_rustls::rustls::pki_types::pem::PemObject;
        use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
        use tokio_rustls::rustls::server::WebPkiClientVerifier;
        use tokio_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let chain = vec![CertificateDer::from(identity.der.clone())];
        let key = PrivateKeyDer::from_pem_file(&identity.key).unwrap();
        let verifier = clients.map_or_else(WebPkiClientVerifier::no_client_auth, |authority| {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .unwrap()
        });
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key);
        let config = Arc::new(config.unwrap());
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (frames, ended) = <(Arc<std::sync::Mutex<Vec<String>>>, Arc<AtomicUsize>)>::default();
        let (kept, over) = (frames.clone(), ended.clone());
        std::thread::spawn(move || {
            let mut closings = closings.iter();
            for stream in listener.incoming() {
                let connection = ServerConnection::new(config.clone()).unwrap();
                let mut stream =
                    std::io::BufReader::new(StreamOwned::new(connection, stream.unwrap()));
                // Until the node goes or begins a frame that is none.
                for _ in 0..*closings.next().unwrap_or(&usize::MAX) {
                    let Some(frame) = next_frame(&mut stream) else { break };
                    kept.lock().unwrap().push(frame);
                }
                drop(stream);
                over.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, frames, ended }
    }

    fn events(&self) -> Vec<String> {
        let frames = self.frames.lock().unwrap();
        let event = |frame: &String| {
            let rest = frame.split_once("<EventTypeCode csd-code=\"").unwrap().1;
            rest.split_once('"').unwrap().0.to_owned()
        };
        frames.iter().map(event).collect()
    }
}

/// Octet counting: the length in digits, a space, the message.
fn next_frame(stream: &mut impl std::io::BufRead) -> Option<String> {
    let mut length = Vec::new();
    stream.read_until(b' ', &mut length).ok()?;
    let length: usize = std::str::from_utf8(&length).ok()?.trim_end().parse().ok()?;
    let mut message = vec![0; length];
    stream.read_exact(&mut message).ok()?;
    String::from_utf8(message).ok()
}

#[test]
fn the_audit_trail_reaches_its_repository_whole_and_in_order_however_late_that_comes() {
    let folder = tempfile::tempdir().unwrap();
    let authority = certificates::Authority::new(folder.path(), "hospital");
    let identity = authority.identity("localhost");
    // A port that is free now, and on which nobody listens as the node starts.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let site = Site::start("exit 1", &syslog(port, &authority));
    let note = |event: &str| site.note(event);
    (0..250).for_each(|number| note(&format!("test-{number}")));
    let repository = Repository::start(port, &identity);
    assert_eq!(repository.port, port);
    let all = |count: usize| {
        wait_for("the trail", || {
            let events = repository.events();
            (events.len() >= count).then_some(events)
        })
    };
    let events = all(251);
    assert_eq!(events[0], "application-started");
    let numbers = events[1..].iter().map(|event| event.strip_prefix("test-").unwrap());
    assert!(numbers.eq((0..250).map(|number| number.to_string())), "{events:?}");
    note("one-more");
    assert_eq!(all(252)[251], "one-more", "and nothing twice");
    let first = repository.frames.lock().unwrap()[0].clone();
    assert!(first.starts_with("<85>1 2") && first.contains(" GRAYD grayd "), "{first}");
    site.stop();
}

/// The setting of a repository whose certificate this authority has signed.
fn syslog(port: u16, authority: &certificates::Authority) -> String {
    format!(
        "audit: {{ syslog: {{ host: localhost, port: {port}, authorities: {} }} }}\n",
        authority.file.display()
    )
}

#[test]
fn a_repository_that_wants_a_certificate_of_us_has_taken_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let authority = certificates::Authority::new(folder.path(), "hospital");
    let clients = certificates::Authority::new(folder.path(), "clients");
    let identity = authority.identity("localhost");
    let repository = Repository::start_with(0, &identity, Some(&clients.file), &[]);
    let site = Site::start("exit 1", &syslog(repository.port, &authority));
    wait_for("attempts", || (repository.ended.load(Ordering::SeqCst) >= 2).then_some(()));
    assert_eq!(site.service.archive.note("audit/syslog").unwrap(), None);
    assert_eq!(repository.events(), Vec::<String>::new());
    site.stop();
}

#[test]
fn a_repository_that_goes_and_comes_back_lacks_no_line_of_the_audit_trail() {
    let folder = tempfile::tempdir().unwrap();
    let authority = certificates::Authority::new(folder.path(), "hospital");
    let identity = authority.identity("localhost");
    let repository = Repository::start_with(0, &identity, None, &[1, 3, 100]);
    let site = Site::start("exit 1", &syslog(repository.port, &authority));
    // It goes while nothing is to be sent, then twice amid a batch.
    wait_for("the first to end", || (repository.ended.load(Ordering::SeqCst) >= 1).then_some(()));
    std::thread::sleep(Duration::from_millis(500));
    (0..250).for_each(|number| site.note(&format!("test-{number}")));
    let events = wait_for("the trail", || {
        let events = repository.events();
        events.contains(&"test-249".to_owned()).then_some(events)
    });
    // What was not known to have arrived came again.
    let mut once: Vec<String> = Vec::new();
    for event in events {
        if !once.contains(&event) {
            once.push(event);
        }
    }
    let numbers = (0..250).map(|number| format!("test-{number}"));
    let whole: Vec<String> =
        ["application-started".to_owned()].into_iter().chain(numbers).collect();
    assert_eq!(once, whole);
    assert!(repository.ended.load(Ordering::SeqCst) >= 3);
    site.stop();
}

/// A step that asks for the dose of P-1, with what else it says.
fn schedule(site: &Site, step: &str, more: DataSet) -> Uid {
    let step = Uid::parse(step).unwrap();
    let request = DataSet::new()
        .text(tags::PROCEDURE_STEP_STATE, VR::CS, "SCHEDULED")
        .text(tags::SCHEDULED_PROCEDURE_STEP_PRIORITY, VR::CS, "MEDIUM")
        .text(tags::PROCEDURE_STEP_LABEL, VR::LO, "Dose")
        .text(tags::SCHEDULED_PROCEDURE_STEP_START_DATE_TIME, VR::DT, "20260302101500")
        .text(tags::INPUT_READINESS_STATE, VR::CS, "READY")
        .text(tags::PATIENT_ID, VR::LO, "P-1")
        .code(tags::SCHEDULED_WORKITEM_CODE_SEQUENCE, &order::COMPUTE)
        .with(more)
        .into_inner();
    let worklist = Worklist::of(&*site.service.archive);
    worklist.create(step.clone(), request, "RIS", Timestamp::now()).unwrap();
    step
}

fn step_in(site: &Site, step: &Uid, state: State) -> Step {
    wait_for(state.as_str(), || {
        let step = Worklist::of(&*site.service.archive).step(step).unwrap();
        (step.state == state).then_some(step)
    })
}

/// Everything that a step says, in the DICOM JSON model.
fn words(step: &Step) -> String {
    dicom_json::to_string(&step.data).unwrap()
}

fn parameter(concept: &Code, text: &str) -> DataSet {
    let item = DataSet::new().code(tags::CONCEPT_NAME_CODE_SEQUENCE, concept).text(
        tags::TEXT_VALUE,
        VR::UT,
        text,
    );
    DataSet::new().sequence(tags::SCHEDULED_PROCESSING_PARAMETERS_SEQUENCE, vec![item])
}

#[test]
fn a_step_that_asks_for_dose_is_taken_once_its_course_is_known_and_completed_with_the_results() {
    let prepared = tempfile::tempdir().unwrap();
    write_part10(&prepared.path().join("dose.dcm"), "1.2.840.10008.5.1.4.1.1.481.2", "1.2.3.9");
    std::fs::write(prepared.path().join("results.json"), RESULTS).unwrap();
    let site = Site::start(&copying_worker(prepared.path()), "");
    let step = schedule(&site, "1.2.50.1", DataSet::new());
    let other = schedule(&site, "1.2.50.2", parameter(&order::COURSE, "nowhere"));
    std::thread::sleep(Duration::from_secs(3));
    step_in(&site, &step, State::Scheduled);
    site.plan("a.yaml", PLAN);
    let taken = step_in(&site, &step, State::InProgress);
    assert!(taken.is_ours());
    wait_for("what is missing", || {
        let step = Worklist::of(&*site.service.archive).step(&step).unwrap();
        words(&step).contains("waits for").then_some(())
    });
    site.images();
    let done = step_in(&site, &step, State::Completed);
    let said = words(&done);
    for part in ["1.2.3.9", "1.2.840.10008.5.1.4.1.1.481.2", "\"GRAYD\"", "COMPUTE_DOSE"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    // Computed already; and who asks for another's course, or for more than was used, is told.
    step_in(&site, &schedule(&site, "1.2.50.3", DataSet::new()), State::Completed);
    let course = json(&site, "/api/courses")[0]["course"].as_str().unwrap().to_owned();
    let stranger = parameter(&order::COURSE, &course).text(tags::PATIENT_ID, VR::LO, "P-2");
    let refused = step_in(&site, &schedule(&site, "1.2.50.4", stranger), State::Canceled);
    assert!(words(&refused).contains("another patient"), "{}", words(&refused));
    let reference = DataSet::new().uid_text(tags::REFERENCED_SOP_INSTANCE_UID, "1.2.3.4.5");
    let input = DataSet::new().sequence(tags::REFERENCED_SOP_SEQUENCE, vec![reference]);
    let more = DataSet::new().sequence(tags::INPUT_INFORMATION_SEQUENCE, vec![input]);
    let waits = schedule(&site, "1.2.50.5", more);
    step_in(&site, &waits, State::InProgress);
    step_in(&site, &other, State::Scheduled);
    site.stop();
}

#[test]
fn a_step_with_a_provisional_result_is_as_far_as_its_imaging() {
    let prepared = tempfile::tempdir().unwrap();
    write_part10(&prepared.path().join("dose.dcm"), "1.2.840.10008.5.1.4.1.1.481.2", "1.2.3.9");
    std::fs::write(prepared.path().join("results.json"), RESULTS).unwrap();
    let site = Site::start(&copying_worker(prepared.path()), "");
    let more = "settings: { imaging: { time_points: 4, provisional: true }, ";
    site.plan("a.yaml", &PLAN.replace("settings: { ", more));
    site.images();
    site.job(JobState::Done);
    let step = schedule(&site, "1.2.50.1", DataSet::new());
    let said = wait_for("the provisional result", || {
        let step = Worklist::of(&*site.service.archive).step(&step).unwrap();
        let said = words(&step);
        said.contains("a provisional result is there").then_some(said)
    });
    let said = serde_json::from_str::<serde_json::Value>(&said).unwrap();
    let progress = &said["00741002"]["Value"][0]["00741004"]["Value"][0];
    assert!(*progress == "25" || *progress == 25, "one image of four: {progress}");
    site.stop();
}

#[test]
fn a_step_whose_job_fails_is_canceled_with_the_reason() {
    let site = Site::start("read order; exit 1", "compute: { attempts: 1 }\n");
    site.plan("a.yaml", PLAN);
    site.images();
    let reason = site.job(JobState::Failed).reason.unwrap();
    let step = step_in(&site, &schedule(&site, "1.2.50.1", DataSet::new()), State::Canceled);
    let said = serde_json::from_str::<serde_json::Value>(&words(&step)).unwrap();
    let progress = &said["00741002"]["Value"][0];
    assert_eq!(progress["00741238"]["Value"][0], reason);
    assert!(progress["00404052"]["Value"][0].is_string(), "when");
    site.stop();
}

#[test]
fn a_crashing_worker_costs_attempts_and_a_refusing_one_parks_with_the_reason() {
    let site =
        Site::start("read order; echo 'out of luck' >&2; kill -9 $$", "compute: { attempts: 2 }\n");
    site.plan("a.yaml", PLAN);
    site.images();
    let job = site.job(JobState::Failed);
    let reason = job.reason.unwrap();
    assert!(reason.contains("signal: 9") && reason.contains("out of luck"), "{reason}");
    assert_eq!(job.attempts, 2);
    assert!(page(&site, "/").contains("out of luck"), "the node goes on and says so");
    site.stop();

    let refuse = "read order; echo '{\"parked\":{\"reason\":\"send the CT\"}}'; exit 3";
    let site = Site::start(refuse, "");
    site.plan("a.yaml", PLAN);
    site.images();
    assert_eq!(site.job(JobState::Parked).reason.unwrap(), "send the CT");
    site.stop();
}

#[test]
fn pages_are_served_only_under_our_names_and_change_nothing() {
    let site = Site::start("exit 1", "web: { listen: \"127.0.0.1:0\", hosts: [dose.hospital] }\n");
    let web = site.ready.web;
    for host in ["localhost:1", "127.0.0.1", "Dose.Hospital:80"] {
        let (head, _) = get(web, host, "/");
        assert!(head.starts_with("http/1.0 200"), "{host}: {head}");
        assert!(head.contains("content-security-policy: default-src 'self'"));
    }
    assert!(get(web, "evil.example", "/api/courses").0.starts_with("http/1.0 421"));
    for path in ["/objects/../../etc/passwd", "/objects/1.2.3.4", "/courses/x", "/nothing"] {
        assert!(get(web, "localhost", path).0.starts_with("http/1.0 404"), "{path}");
    }
    assert_eq!(page(&site, "/healthz"), "ok\n");
    wait_for("readiness", || {
        get(web, "localhost", "/readyz").0.starts_with("http/1.0 200").then_some(())
    });
    site.stop();
}

#[test]
fn a_broken_plan_is_shown_with_its_place() {
    let site = Site::start("exit 1", "");
    site.plan("a.yaml", &PLAN.replace("7400", "0"));
    let fault = wait_for("the fault", || {
        let fault = json(&site, "/api/plans")["faults"][0].clone();
        fault.is_object().then_some(fault)
    });
    assert_eq!((fault["line"].as_u64(), fault["column"].as_u64()), (Some(6), Some(35)));
    assert!(page(&site, "/").contains("a.yaml:6:35: 0 MBq cannot have been given"));
    site.stop();
}

/// Markup that would run, an attribute that would end, text that would turn about.
const CANARY_ID: &str = "\"><img src=x onerror=canary()>\u{202e}";
const CANARY_DESCRIPTION: &str = "<script>canary()</script>\u{2067}'\" SPECT";

fn turns_text(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{1b}')
}

/// No tag stands where only text may, and nothing turns text about.
fn assert_harmless(what: &str, text: &str) {
    for harm in ["<script", "<img"] {
        assert!(!text.contains(harm), "{what}: {harm} in {text}");
    }
    assert!(!text.contains(turns_text), "{what}: {text}");
}

#[test]
fn received_markup_and_bidi_characters_are_text_on_every_page() {
    let prepared = tempfile::tempdir().unwrap();
    write_part10(&prepared.path().join("dose.dcm"), "1.2.840.10008.5.1.4.1.1.481.2", "1.2.3.9");
    let region = serde_json::to_string(CANARY_DESCRIPTION).unwrap();
    let results = RESULTS.replace("\"Kidney <left>\"", &region);
    std::fs::write(prepared.path().join("results.json"), results).unwrap();
    let peer = "peers: [{ name: s, ae_title: SPECT1, host: 127.0.0.1, port: 104 }]\n";
    let site = Site::start(&copying_worker(prepared.path()), peer);
    push(&site, &[spect_of(CANARY_ID, CANARY_DESCRIPTION), structure_set_of(CANARY_ID)]);
    wait_for("the series to wait for a plan", || {
        (json(&site, "/api/waiting")[0]["why"] == "unknown-patient").then_some(())
    });
    let home = page(&site, "/");
    assert!(home.contains("&lt;script&gt;canary()"), "the description is shown as text: {home}");
    assert!(home.contains("[U+202E]") && home.contains("[U+2067]"), "{home}");
    assert_harmless("home while waiting", &home);
    let url = format!("http://{}", site.ready.web);
    let told =
        Command::new(env!("CARGO_BIN_EXE_grayd")).args(["status", "--url", &url]).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("canary()") && !told.contains(turns_text), "{told}");

    let id = serde_json::to_string(CANARY_ID).unwrap();
    site.plan("a.yaml", &PLAN.replace("id: P-1", &format!("id: {id}")));
    site.job(JobState::Done);
    let course = json(&site, "/api/courses")[0]["course"].as_str().unwrap().to_owned();
    let shown = page(&site, &format!("/courses/{course}"));
    assert!(shown.contains("&lt;img src=x"), "the patient's ID is shown as text: {shown}");
    // Table, legends of both plots and the list of warnings hold the region's name.
    assert!(shown.matches("&lt;script&gt;canary()").count() >= 4, "{shown}");
    for (what, text) in [("course", &shown), ("home", &page(&site, "/"))] {
        assert_harmless(what, text);
        assert!(!text.contains("CANARY"), "a patient's name is on a page");
    }
    site.stop();
}

/// Over a real association.
fn push(site: &Site, objects: &[Object]) {
    let folder = tempfile::tempdir().unwrap();
    let files = objects.iter().map(|object| {
        let path = folder.path().join(format!("{}.dcm", object.uid));
        write_file(&path, object);
        path
    });
    let files: Vec<_> = files.collect();
    let node = Peer {
        name: "node".into(),
        ae_title: "GRAYD".into(),
        host: "127.0.0.1".into(),
        port: site.ready.dicom.port(),
        ..Peer::default()
    };
    let own = LocalAe::plain("SPECT1", Limits::default()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outcomes = runtime.block_on(send::store(&node, &own, &files)).unwrap();
    for (uid, outcome) in outcomes {
        assert!(matches!(outcome, SendOutcome::Stored { .. }), "{uid}: {outcome:?}");
    }
}

fn sh(script: String) -> Vec<OsString> {
    ["sh".into(), "-c".into(), script.into()].to_vec()
}

/// The number that a worker wrote of itself, once it has.
fn pid(file: &Path) -> u32 {
    wait_for("the worker to start", || std::fs::read_to_string(file).ok()?.trim().parse().ok())
}

fn wait_for_death(pid: u32) {
    wait_for("the worker's death", || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
}

#[test]
fn a_worker_over_its_time_is_killed_and_costs_one_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("echo $$ > {}; exec tail -f /dev/null", file.display());
    let site = Site::start_with(sh(script), "compute: { attempts: 1 }\n", |config| {
        config.compute.time_limit_s = 1;
    });
    site.plan("a.yaml", PLAN);
    site.images();
    let pid = pid(&file);
    let reason = site.job(JobState::Failed).reason.unwrap();
    assert!(reason.contains("stopped after 1 s (compute.time_limit_s)"), "{reason}");
    wait_for_death(pid);
    site.stop();
}

#[test]
fn a_worker_without_memory_dies_alone() {
    let worker = [env!("CARGO_BIN_EXE_grayd"), "work"].map(OsString::from).to_vec();
    let site = Site::start_with(worker, "compute: { attempts: 2 }\n", |config| {
        // Less than the program itself takes: its first allocation of size fails.
        config.compute.memory_mb = 8;
    });
    site.plan("a.yaml", PLAN);
    site.images();
    let job = site.job(JobState::Failed);
    let reason = job.reason.unwrap();
    assert!(reason.starts_with("worker ended with"), "{reason}");
    assert_eq!(job.attempts, 2);
    assert!(page(&site, "/").contains("worker ended with"), "the node goes on and says so");
    site.stop();
}

#[test]
fn a_worker_whose_lease_went_to_another_is_killed_and_publishes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let progress = r#"{"progress":{"fraction":0.5,"stage":"half done"}}"#;
    let script = format!("echo '{progress}'; echo $$ > {}; exec tail -f /dev/null", file.display());
    let site = Site::start_with(sh(script), "", |config| config.compute.lease_s = 3);
    site.plan("a.yaml", PLAN);
    site.images();
    let pid = pid(&file);
    let step = schedule(&site, "1.2.50.1", DataSet::new());
    let says = |what: &str| {
        wait_for(what, || {
            let step = Worklist::of(&*site.service.archive).step(&step).unwrap();
            words(&step).contains(what).then_some(())
        });
    };
    says("half done");
    let index = rusqlite::Connection::open(site.folder.path().join("store/index.sqlite")).unwrap();
    index
        .execute("UPDATE jobs SET worker = 'another', lease_until = lease_until + 1000", [])
        .unwrap();
    wait_for_death(pid);
    let job = site.job(JobState::Running);
    assert_eq!((job.attempts, job.reason), (1, None), "it is the other's now");
    // Whose progress is not known here; the lost attempt's is not its.
    says("begun");
    assert!(site.service.archive.job_results(job.id).unwrap().is_empty());
    site.stop();
}

#[test]
fn a_node_that_is_told_to_stop_lets_the_running_job_end() {
    let prepared = tempfile::tempdir().unwrap();
    write_part10(&prepared.path().join("dose.dcm"), "1.2.840.10008.5.1.4.1.1.481.2", "1.2.3.9");
    std::fs::write(prepared.path().join("results.json"), RESULTS).unwrap();
    let (file, go) = (prepared.path().join("pid"), prepared.path().join("go"));
    assert!(Command::new("mkfifo").arg(&go).status().unwrap().success());
    let (file_name, go_name) = (file.display(), go.display());
    let script = format!("echo $$ > {file_name}; {}", copying_worker(prepared.path()));
    let script = script.replace("; cp ", &format!("; read word < {go_name}; cp "));
    let mut site = Site::start(&script, "");
    site.plan("a.yaml", PLAN);
    site.images();
    pid(&file);
    site.shutdown.send(true).unwrap();
    // A new association is refused already; the job goes on until it is done.
    wait_for("the node to stop listening", || {
        TcpStream::connect(site.ready.dicom).is_err().then_some(())
    });
    std::fs::write(&go, "go\n").unwrap();
    site.running.take().unwrap().join().unwrap().unwrap();
    let job = &site.service.archive.jobs(1).unwrap()[0];
    assert_eq!(job.state, JobState::Done, "{:?}", job.reason);
    let trail = site.service.archive.audit_trail(1).unwrap();
    assert_eq!(trail[0].event, "application-stopped");
}

const PEERS: &str = "peers: [{ name: pacs, ae_title: PACS, host: 127.0.0.1, port: 9 }]\n\
    results: { send_to: [pacs] }\n";

#[test]
fn only_what_is_old_confirmed_and_of_no_open_course_is_deleted() {
    let prepared = tempfile::tempdir().unwrap();
    write_part10(&prepared.path().join("dose.dcm"), "1.2.840.10008.5.1.4.1.1.481.2", "1.2.3.9");
    std::fs::write(prepared.path().join("results.json"), RESULTS).unwrap();
    let site = Site::start_with(sh(copying_worker(prepared.path())), PEERS, |config| {
        let retention = &mut config.storage.retention;
        retention.delete = Delete::ByAge;
        retention.received = true;
    });
    let service = &site.service;
    let held = || service.archive.instances(&InstanceFilter::default()).unwrap().len();
    let patients = |wanted: Option<usize>| {
        wait_for("intake to see the plans", || {
            service.something_came();
            let found = service.board.get().patients_with_plans;
            (found.map(|patients| patients.len()) == wanted).then_some(())
        });
    };
    let year = SignedDuration::from_hours(24 * 366);
    let later = || Timestamp::now() + year;
    site.plan("a.yaml", PLAN);
    site.images();
    let job = site.job(JobState::Done);
    assert_eq!(held(), 3);
    assert_eq!(make_room(service, later()).unwrap(), 0, "the course is open");

    site.plan("other.yaml", &PLAN.replace("id: P-1", "id: P-2"));
    std::fs::write(site.folder.path().join("plans/a.yaml"), "patient:").unwrap();
    patients(None);
    assert_eq!(make_room(service, later()).unwrap(), 0, "a broken plan may be anybody's");
    std::fs::remove_file(site.folder.path().join("plans/a.yaml")).unwrap();
    patients(Some(1));
    assert_eq!(make_room(service, later()).unwrap(), 0, "the result is not confirmed");

    let deliveries = service.archive.deliveries(9).unwrap();
    for delivery in &deliveries {
        service.archive.finish_delivery(delivery.id, DeliveryEnd::Delivered).unwrap();
    }
    assert_eq!(make_room(service, Timestamp::now()).unwrap(), 0, "it is young");
    assert_eq!(make_room(service, later()).unwrap(), 1);
    assert_eq!(held(), 0);
    let trail = service.archive.audit_trail(20).unwrap();
    let line = trail.iter().find(|line| line.event == "study-deleted").unwrap();
    assert_eq!(line.object.as_deref(), Some("1.2.3"));
    assert!(line.outcome.starts_with("3 instances"), "{}", line.outcome);
    let objects = std::fs::read_dir(site.folder.path().join("store/objects")).unwrap();
    let left = objects.map(|d| std::fs::read_dir(d.unwrap().path()).unwrap().count());
    assert_eq!(left.sum::<usize>(), 0, "objects are gone from the disk");

    // The same images and the same plan again: the same work is done anew.
    site.images();
    site.plan("a.yaml", PLAN);
    wait_for("the second job", || {
        let jobs = service.archive.jobs(9).unwrap();
        jobs.into_iter().find(|again| again.id > job.id && again.state == JobState::Done)
    });
    site.stop();
}
