//! The node asks peers for what they have of a patient: pynetdicom as a PACS that is honest or not,
//! and Orthanc.

use crate::committing::{Hospital, Pacs};
use crate::peer::EXPLICIT;
use crate::peer::node::{patient as patient_limits, peer};
use crate::retrieval::{samples, store, uid};
use crate::site::{self, Orthanc, Site, http_json, wait_for};
use grayd::archive::{Archive, InstanceFilter};
use grayd::config::Retrieve;
use grayd::dicom::PatientIdentity;
use grayd::node::LocalAe;
use grayd::node::fetch::{FetchError, Fetched, Wanted, fetch};
use grayd::node::send::{SendOutcome, store as send};
use grayd::node::settings::Peer;
use jiff::civil::date;
use std::path::PathBuf;
use std::sync::Arc;

/// A PACS with three CT slices and one NM of P-1 on 2026-03-01, one CT of P-1 ten years before, and one CT of
/// P-2. Its argument: how it behaves, and where the node is for C-MOVE.
const PACS: &str = r#"
import sys
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import *
mode, _, node = sys.argv[1].partition(" ")
CT, NM = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.20"
def made(patient, study, date, series, number, cls=CT):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = cls, f"{series}.{number}"
    ds.StudyDate, ds.Modality = date, "CT" if cls == CT else "NM"
    ds.PatientName, ds.PatientID = "A^B", patient
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
    ds.InstanceNumber = number
    ds.Rows = ds.Columns = 16
    ds.SamplesPerPixel, ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 8, 8, 7
    ds.PixelRepresentation, ds.PhotometricInterpretation = 0, "MONOCHROME2"
    ds.PixelData = bytes([number]) * 256
    return ds
held = [made("P-1", "1.2.8.1", "20260301", "1.2.8.1.1", n) for n in (1, 2, 3)]
held.append(made("P-1", "1.2.8.1", "20260301", "1.2.8.1.2", 1, NM))
held.append(made("P-1", "1.2.8.2", "20160301", "1.2.8.2.1", 1))
held.append(made("P-2", "1.2.8.3", "20260301", "1.2.8.3.1", 1))
def say(*words): print(*words, flush=True)
def matches(ds, asked, *keys):
    for key in keys:
        wanted = asked.get(key)
        if wanted in (None, ""): continue
        values = [wanted] if isinstance(wanted, str) else list(wanted)
        if key == "StudyDate":
            first, last = wanted.split("-")
            if not first <= ds.StudyDate <= last: return False
        elif str(ds.get(key)) not in values: return False
    return True
UNIQUE = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
def find(event):
    asked = event.identifier
    say("find", asked.QueryRetrieveLevel, asked.get("StudyDate", ""), asked.get("PatientID", ""))
    depth = ("STUDY", "SERIES", "IMAGE").index(asked.QueryRetrieveLevel)
    keys = UNIQUE if mode == "lying" else ("PatientID", "StudyDate") + UNIQUE
    seen = set()
    for ds in held:
        unique = tuple(ds.get(k) for k in UNIQUE[:depth + 1])
        if unique in seen or not matches(ds, asked, *keys): continue
        seen.add(unique)
        answer = Dataset()
        for element in asked:
            answer.add(ds[element.tag] if element.tag in ds else element)
        yield 0xFF00, answer
def found(event):
    asked = event.identifier
    say("retrieve", asked.QueryRetrieveLevel, len(asked.get("SOPInstanceUID", "").split("\\"))
        if isinstance(asked.get("SOPInstanceUID", ""), str) else len(asked.SOPInstanceUID))
    for ds in held:
        if not matches(ds, asked, *UNIQUE): continue
        if mode == "lossy" and ds.InstanceNumber == 2: continue
        if mode == "smuggling": ds.PatientID = "P-9"
        yield ds
def get(event):
    sent = list(found(event))
    yield len(sent)
    for ds in sent: yield 0xFF00, ds
def move(event):
    if event.move_destination != "GRAYD":
        yield None, None
        return
    yield "127.0.0.1", int(node), {"ae_title": "GRAYD"}
    sent = list(found(event))
    yield len(sent)
    for ds in sent: yield 0xFF00, ds
ae = AE("PACS")
if mode != "unasked": ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
if mode != "moving": ae.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
ae.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
for c in (CT, NM):
    ae.add_supported_context(c, scu_role=False, scp_role=True)
    ae.add_requested_context(c)
server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[
    (evt.EVT_C_FIND, find), (evt.EVT_C_GET, get), (evt.EVT_C_MOVE, move)])
say(server.server_address[1])
sys.stdin.read()
"#;

fn wanted(retrieve: Retrieve) -> Wanted {
    Wanted {
        patient: PatientIdentity { id: "P-1".into(), ..PatientIdentity::default() },
        modalities: vec!["CT".into()],
        dates: (date(2026, 2, 1), date(2026, 3, 2)),
        retrieve,
    }
}

fn own() -> LocalAe {
    LocalAe::plain("GRAYD", patient_limits()).unwrap()
}

fn held(hospital: &Hospital) -> Vec<String> {
    let all = hospital.archive.instances(&InstanceFilter::default()).unwrap();
    all.iter().map(|instance| instance.header.sop_instance.to_string()).collect()
}

/// The node, which knows the PACS, and the PACS, which knows the node.
async fn start(mode: &str, folder: &tempfile::TempDir) -> Option<(Hospital, Pacs, Peer)> {
    // Calls come from the PACS' AE title; its port is not known before it runs.
    let hospital = Hospital::start(folder, vec![peer("pacs", "PACS", "127.0.0.1", 104)]).await;
    let pacs = Pacs::run(PACS, &format!("{mode} {}", hospital.port))?;
    let peer = peer("pacs", "PACS", "127.0.0.1", pacs.port);
    Some((hospital, pacs, peer))
}

async fn ask(hospital: &Hospital, peer: &Peer, wanted: &Wanted) -> Result<Fetched, FetchError> {
    let archive: Arc<dyn Archive> = hospital.archive.clone();
    fetch(&archive, peer, &own(), wanted).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_archive_lacks_comes_by_get_and_by_move_and_nothing_else() {
    for retrieve in [Retrieve::Get, Retrieve::Move] {
        let folder = tempfile::tempdir().unwrap();
        let Some((hospital, pacs, peer)) = start("honest", &folder).await else { return };
        let wanted = wanted(retrieve);
        let all = ask(&hospital, &peer, &wanted).await.unwrap();
        assert_eq!(all, Fetched { found: 3, lacking: 3, came: 3 }, "{retrieve:?}");
        assert_eq!(held(&hospital), ["1.2.8.1.1.1", "1.2.8.1.1.2", "1.2.8.1.1.3"]);
        assert_eq!(pacs.next("find "), "STUDY 20260201-20260302 P-1");
        assert_eq!(pacs.next("retrieve "), "SERIES 1", "a series that is wholly lacking");
        let again = ask(&hospital, &peer, &wanted).await.unwrap();
        assert_eq!(again, Fetched { found: 3, lacking: 0, came: 0 });
        let study = uid("1.2.8.1");
        hospital.archive.delete(&study, &[uid("1.2.8.1.1.2")], "a test").unwrap();
        let one = ask(&hospital, &peer, &wanted).await.unwrap();
        assert_eq!(one, Fetched { found: 3, lacking: 1, came: 1 });
        assert_eq!(pacs.next("retrieve "), "IMAGE 1", "only what is lacking");
        let trail = hospital.archive.audit_trail(99).unwrap();
        assert!(trail.iter().any(|line| line.event == "query-made" && line.actor == "pacs"));
        assert!(trail.iter().all(|line| !format!("{line:?}").contains("P-1")));
        hospital.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_another_patient_ends_it_before_anything_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let Some((hospital, _pacs, peer)) = start("lying", &folder).await else { return };
    let refused = ask(&hospital, &peer, &wanted(Retrieve::Get)).await.unwrap_err();
    assert!(matches!(refused, FetchError::WrongPatient), "{refused}");
    assert!(held(&hospital).is_empty());
    hospital.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_another_patient_is_refused_as_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let Some((hospital, _pacs, peer)) = start("smuggling", &folder).await else { return };
    // The peer says of itself that all of its sub-operations failed, or that some did.
    match ask(&hospital, &peer, &wanted(Retrieve::Get)).await {
        Ok(fetched) => assert_eq!(fetched, Fetched { found: 3, lacking: 3, came: 0 }),
        Err(error) => assert!(matches!(error, FetchError::Refused { .. }), "{error}"),
    }
    assert!(held(&hospital).is_empty());
    let trail = hospital.archive.audit_trail(99).unwrap();
    let refused = trail.iter().find(|line| line.event == "instances-refused").unwrap();
    assert_eq!(refused.outcome, "status A900 given 3 times");
    hospital.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let Some((hospital, _pacs, peer)) = start("lossy", &folder).await else { return };
    let fetched = ask(&hospital, &peer, &wanted(Retrieve::Get)).await.unwrap();
    assert_eq!(fetched, Fetched { found: 3, lacking: 3, came: 2 });
    hospital.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_way_is_advised_only_where_it_would_help() {
    for (mode, advice) in [("unasked", None), ("moving", Some("`retrieve: move`"))] {
        let folder = tempfile::tempdir().unwrap();
        let Some((hospital, _pacs, peer)) = start(mode, &folder).await else { return };
        let error = ask(&hospital, &peer, &wanted(Retrieve::Get)).await.unwrap_err();
        assert!(matches!(error, FetchError::NotOffered(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains("there") && advice.is_none_or(|it| text.contains(it)), "{text}");
        assert_eq!(text.contains("`retrieve"), advice.is_some(), "{text}");
        hospital.stop().await;
    }
}

/// P-1's samples as files, and into a PACS.
async fn fill(to: &Peer, folder: &tempfile::TempDir) {
    let files: Vec<PathBuf> = samples()
        .iter()
        .map(|sample| {
            let path = folder.path().join(sample.uid());
            let (class, data) = (sample.class(), sample.data_set());
            std::fs::write(&path, crate::peer::part10(class, &sample.uid(), EXPLICIT, &data))
                .unwrap();
            path
        })
        .collect();
    for (instance, outcome) in send(to, &own(), &files).await.unwrap() {
        assert!(matches!(outcome, SendOutcome::Stored { .. }), "{instance}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orthanc_gives_what_is_lacking_by_get_and_by_move() {
    if !site::have("Orthanc")
        || !site::in_private_network("fetching::orthanc_gives_what_is_lacking_by_get_and_by_move")
    {
        return;
    }
    let port = site::free_port();
    let pacs = Orthanc::start_knowing(port);
    let orthanc = peer("pacs", "ORTHANC", "127.0.0.1", pacs.dicom_port);
    let files = tempfile::tempdir().unwrap();
    fill(&orthanc, &files).await;
    for retrieve in [Retrieve::Get, Retrieve::Move] {
        let folder = tempfile::tempdir().unwrap();
        let hospital = Hospital::start_at(&folder, vec![orthanc.clone()], port).await;
        let sample = &samples()[2];
        store(&*hospital.archive, sample.class(), &sample.uid(), &sample.data_set());
        // Two studies of P-1: three CT slices, of which one is here, and one.
        let fetched = ask(&hospital, &orthanc, &wanted(retrieve)).await.unwrap();
        assert_eq!(fetched, Fetched { found: 4, lacking: 3, came: 3 }, "{retrieve:?}");
        assert_eq!(held(&hospital).len(), 4);
        hospital.stop().await;
    }
}

const PLAN: &str = "\
patient: { id: P-1 }
protocol: single-time-point
radiopharmaceutical: 177Lu-DOTATATE
cycles:
  - { number: 1, administered: { activity_mbq: 7400, at: 2026-03-02T09:00:00Z } }
priors: { from: FROM, modalities: [NM, CT], days_before: 5 }
settings:
  kinetics: { effective_half_life_h: { default: 75 } }
";

#[test]
fn a_plan_s_priors_come_from_orthanc_and_what_cannot_be_had_waits() {
    let name = "fetching::a_plan_s_priors_come_from_orthanc_and_what_cannot_be_had_waits";
    if !site::have("Orthanc") || !site::in_private_network(name) {
        return;
    }
    let pacs = Orthanc::start();
    let orthanc = peer("pacs", "ORTHANC", "127.0.0.1", pacs.dicom_port);
    let files = tempfile::tempdir().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(fill(&orthanc, &files));
    let site = Site::start(&Site::peers(Some(pacs.dicom_port)));
    site.plan("nobody.yaml", &PLAN.replace("FROM", "nowhere"));
    let waiting = wait_for("the priors to be missing", || {
        let waiting = http_json(site.web, "/api/waiting")?;
        waiting.as_array()?.iter().find(|item| item["why"] == "priors-missing").cloned()
    });
    assert_eq!(waiting["description"], "priors from nowhere");
    assert!(waiting["reason"].as_str().unwrap().contains("no peer `nowhere`"), "{waiting}");
    assert!(waiting["supply"].as_str().unwrap().contains("tried again at"), "{waiting}");
    site.plan("nobody.yaml", &PLAN.replace("FROM", "pacs"));
    wait_for("the priors to come", || {
        let held = http_json(site.web, "/dicom-web/instances")?;
        (held.as_array()?.len() == 6).then_some(())
    });
    wait_for("nothing of priors to wait", || {
        let waiting = http_json(site.web, "/api/waiting")?;
        waiting.as_array()?.iter().all(|item| item["why"] != "priors-missing").then_some(())
    });
}
