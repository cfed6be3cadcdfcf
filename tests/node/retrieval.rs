//! Query and retrieval from the real archive: DCMTK and pynetdicom ask, the answers are read by them.

use crate::peer::node::{RunningNode, patient, peer};
use crate::peer::tools::{python, run, said};
use crate::peer::{EXPLICIT, VERIFICATION};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use grayd::archive::{Archive, Arrival, LocalArchive, StorageSettings};
use grayd::dicom::Uid;
use grayd::node::LocalAe;
use grayd::node::settings::{Peer, Service};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

const NM: &str = "1.2.840.10008.5.1.4.1.1.20";
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
/// JPEG baseline: lossy, so never taken; what asks for it alone gets nothing.
const LOSSY: &str = "1.2.840.10008.1.2.4.50";

/// One instance: patient, name, study, series, number in the series.
pub struct Sample {
    patient: &'static str,
    name: &'static str,
    study: u32,
    series: u32,
    number: u32,
}

impl Sample {
    pub fn class(&self) -> &'static str {
        if self.series == 1 { NM } else { CT }
    }

    pub fn uid(&self) -> String {
        format!("1.2.9.{}.{}.{}", self.study, self.series, self.number)
    }

    pub fn data_set(&self) -> Vec<u8> {
        let study = format!("1.2.9.{}", self.study);
        let series = format!("{study}.{}", self.series);
        let modality = if self.series == 1 { "NM" } else { "CT" };
        let texts = [
            (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100".to_owned()),
            (tags::SOP_CLASS_UID, VR::UI, self.class().to_owned()),
            (tags::SOP_INSTANCE_UID, VR::UI, self.uid()),
            (tags::STUDY_DATE, VR::DA, format!("2026030{}", self.study)),
            (tags::STUDY_TIME, VR::TM, "101530".to_owned()),
            (tags::ACCESSION_NUMBER, VR::SH, format!("A{}", self.study)),
            (tags::MODALITY, VR::CS, modality.to_owned()),
            (tags::STUDY_DESCRIPTION, VR::LO, "Lu-177 therapy".to_owned()),
            (tags::PATIENT_NAME, VR::PN, self.name.to_owned()),
            (tags::PATIENT_ID, VR::LO, self.patient.to_owned()),
            (tags::STUDY_INSTANCE_UID, VR::UI, study),
            (tags::SERIES_INSTANCE_UID, VR::UI, series),
            (tags::STUDY_ID, VR::SH, format!("S{}", self.study)),
            (tags::SERIES_NUMBER, VR::IS, self.series.to_string()),
            (tags::INSTANCE_NUMBER, VR::IS, self.number.to_string()),
        ];
        let texts =
            texts.map(|(tag, vr, text)| DataElement::new(tag, vr, PrimitiveValue::from(text)));
        let mut object = InMemDicomObject::from_element_iter(texts);
        let numbers = [
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::ROWS, 16),
            (tags::COLUMNS, 16),
            (tags::BITS_ALLOCATED, 8),
            (tags::BITS_STORED, 8),
            (tags::HIGH_BIT, 7),
            (tags::PIXEL_REPRESENTATION, 0),
        ];
        for (tag, number) in numbers {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(number as u16)));
        }
        let grey = PrimitiveValue::from("MONOCHROME2");
        object.put(DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, grey));
        let pixels = PrimitiveValue::U8(vec![self.number as u8; 256].into());
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, pixels));
        let syntax = &dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
        let mut bytes = Vec::new();
        object.write_dataset_with_ts(&mut bytes, syntax).unwrap();
        bytes
    }
}

pub fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

/// Two studies of one patient (two NM and three CT; one CT), and one study of another.
pub fn samples() -> Vec<Sample> {
    let first = |study, series, number| Sample {
        patient: "P-1",
        name: "M\u{fc}ller^Anna",
        study,
        series,
        number,
    };
    let mut all: Vec<Sample> = (1..=2).map(|number| first(1, 1, number)).collect();
    all.extend((1..=3).map(|number| first(1, 2, number)));
    all.push(first(2, 2, 1));
    all.push(Sample { patient: "P-2", name: "Doe^John", study: 3, series: 2, number: 1 });
    all
}

pub struct Pacs {
    pub address: SocketAddr,
    pub archive: Arc<LocalArchive>,
    /// Where instances can be moved to.
    destination: RunningNode,
    _shutdown: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl Pacs {
    pub async fn start() -> Self {
        Self::start_with_peer_at(104).await
    }

    /// As `start`, with PEER listening on a port.
    pub async fn start_with_peer_at(peer_port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = StorageSettings {
            directory: folder.path().join("store"),
            ..StorageSettings::default()
        };
        let archive = Arc::new(LocalArchive::open(&settings, jiff::tz::TimeZone::UTC).unwrap());
        for sample in samples() {
            store(&*archive, sample.class(), &sample.uid(), &sample.data_set());
        }
        let destination =
            RunningNode::start_with(patient(), vec![peer("pacs", "GRAYD", "127.0.0.1", 104)]).await;
        let port = destination.address.port();
        // The destination's own AE title is GRAYD too; it is known here under a title of its own.
        let peers: Vec<Peer> = vec![
            peer("peer", "PEER", "127.0.0.1", peer_port),
            peer("there", "GRAYD", "127.0.0.1", port),
            peer("nobody", "NOBODY", "127.0.0.1", 9),
            Peer {
                allow: Some(vec![Service::Store]),
                ..peer("scanner", "SCANNER", "127.0.0.1", 104)
            },
            Peer {
                allow: Some(vec![Service::Store]),
                commitment: true,
                ..peer("asked", "ASKED", "127.0.0.1", 104)
            },
        ];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, stop) = watch::channel(false);
        let local = Arc::new(LocalAe::plain("GRAYD", patient()).unwrap());
        let serving = grayd::node::serve(listener, local, peers.into(), archive.clone(), stop);
        tokio::spawn(serving);
        Self { address, archive, destination, _shutdown: shutdown, _folder: folder }
    }

    /// Runs a DCMTK program with usual titles against the node; `None` where it is missing.
    async fn dcmtk(
        &self,
        program: &str,
        options: &[&str],
        keys: &[&str],
    ) -> Option<std::process::Output> {
        let port = self.address.port().to_string();
        let mut arguments = vec!["-v", "-aet", "PEER", "-aec", "GRAYD"];
        arguments.extend(options);
        for key in keys {
            arguments.extend(["-k", key]);
        }
        arguments.extend(["127.0.0.1", &port]);
        run(program, &arguments).await
    }

    /// Runs a script of pynetdicom's with `port` in its first argument.
    pub async fn pynetdicom(&self, script: &str) {
        let Some(python) = python() else { return };
        let head = r#"
import sys
from pydicom.dataset import Dataset
from pynetdicom import AE, evt, build_role
from pynetdicom.sop_class import *
ae = AE(sys.argv[2] if len(sys.argv) > 2 else "PEER")
def associate(*classes, **more):
    for c in classes: ae.add_requested_context(c)
    a = ae.associate("127.0.0.1", int(sys.argv[1]), ae_title="GRAYD", **more)
    assert a.is_established
    return a
def identifier(level, **keys):
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for k, v in keys.items(): setattr(ds, k, v)
    return ds
FIND = StudyRootQueryRetrieveInformationModelFind
MOVE = StudyRootQueryRetrieveInformationModelMove
GET = StudyRootQueryRetrieveInformationModelGet
"#;
        let port = self.address.port().to_string();
        let done = run(&python, &["-c", &format!("{head}{script}"), &port]).await.unwrap();
        assert!(done.status.success(), "{}", said(&done));
    }
}

pub fn store(archive: &dyn Archive, class: &str, instance: &str, data: &[u8]) {
    let arrival = Arrival {
        sop_class: uid(class),
        sop_instance: uid(instance),
        transfer_syntax: uid(EXPLICIT),
        calling_ae: "CAM".into(),
    };
    let mut incoming = archive.receive(arrival).unwrap();
    incoming.write(data).unwrap();
    incoming.commit().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn findscu_finds_studies_by_name_whatever_its_case_and_counts_what_they_hold() {
    let pacs = Pacs::start().await;
    let keys = [
        "QueryRetrieveLevel=STUDY",
        "PatientName=m*",
        "StudyInstanceUID",
        "ModalitiesInStudy",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        "StudyDate=20260301-20260301",
        "StudyID",
        "StudyTime",
    ];
    for model in ["-S", "-P"] {
        let Some(found) = pacs.dcmtk("findscu", &[model], &keys).await else { return };
        let text = said(&found);
        assert!(found.status.success(), "{text}");
        for part in [
            "M\u{fc}ller^Anna",
            "[1.2.9.1\0]",
            "[CT\\NM ]",
            "[2 ]",
            "[5 ]",
            "[S1]",
            "[101530]",
            "[ISO_IR 192]",
            "[GRAYD ]",
            "[ONLINE]",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("[1.2.9.2]") && !text.contains("Doe"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn movescu_moves_a_series_to_a_peer_and_to_no_stranger() {
    let pacs = Pacs::start().await;
    let keys =
        ["QueryRetrieveLevel=SERIES", "StudyInstanceUID=1.2.9.1", "SeriesInstanceUID=1.2.9.1.2"];
    let Some(moved) = pacs.dcmtk("movescu", &["-S", "-aem", "GRAYD"], &keys).await else { return };
    assert!(moved.status.success(), "{}", said(&moved));
    assert_eq!(pacs.destination.archive.count(), 3);
    for sample in samples().iter().filter(|s| s.study == 1 && s.series == 2) {
        let object = pacs.destination.archive.object(&sample.uid());
        assert_eq!(object, Some(sample.data_set()), "byte for byte");
    }
    let stranger = pacs.dcmtk("movescu", &["-S", "-aem", "STRANGER"], &keys).await.unwrap();
    let answered = said(&stranger).to_lowercase();
    assert!(answered.contains("a801") || answered.contains("destinationunknown"), "{answered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn getscu_gets_a_study_over_its_own_association() {
    let pacs = Pacs::start().await;
    let folder = tempfile::tempdir().unwrap();
    let options = ["-S", "-od", folder.path().to_str().unwrap()];
    let keys = ["QueryRetrieveLevel=STUDY", "StudyInstanceUID=1.2.9.1"];
    let Some(got) = pacs.dcmtk("getscu", &options, &keys).await else { return };
    assert!(got.status.success(), "{}", said(&got));
    let mut instances: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| {
            let object = dicom_object::open_file(entry.unwrap().path()).unwrap();
            let text = object.element(tags::SOP_INSTANCE_UID).unwrap().to_str().unwrap();
            text.trim_end_matches('\0').to_owned()
        })
        .collect();
    instances.sort();
    let sent: Vec<String> = samples().iter().filter(|s| s.study == 1).map(Sample::uid).collect();
    assert_eq!(instances, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn pynetdicom_finds_at_every_level_with_every_kind_of_matching() {
    let pacs = Pacs::start().await;
    pacs.pynetdicom(r#"
PATIENT = PatientRootQueryRetrieveInformationModelFind
a = associate(FIND, PATIENT)
def find(level, model=FIND, **keys):
    answers = list(a.send_c_find(identifier(level, **keys), model))
    assert answers[-1][0].Status == 0, answers[-1][0]
    assert all(s.Status in (0xFF00, 0xFF01) for s, _ in answers[:-1])
    return [ds for _, ds in answers[:-1]]
patients = find("PATIENT", PATIENT, PatientID="", PatientName="", NumberOfPatientRelatedStudies="")
assert [(p.PatientID, str(p.PatientName), p.NumberOfPatientRelatedStudies) for p in patients] == [
    ("P-1", "M\u00fcller^Anna", 2), ("P-2", "Doe^John", 1)], patients
uids = lambda found: [ds.StudyInstanceUID for ds in found]
S = dict(StudyInstanceUID="")
assert uids(find("STUDY", **S)) == ["1.2.9.1", "1.2.9.2", "1.2.9.3"]
assert uids(find("STUDY", StudyInstanceUID=["1.2.9.1", "1.2.9.3"])) == ["1.2.9.1", "1.2.9.3"]
assert uids(find("STUDY", PatientID="P-1", **S)) == ["1.2.9.1", "1.2.9.2"]
assert uids(find("STUDY", PatientID="?-2", **S)) == ["1.2.9.3"]
assert uids(find("STUDY", PatientName="DOE^j*", **S)) == ["1.2.9.3"]
assert uids(find("STUDY", StudyDate="20260302-", **S)) == ["1.2.9.2", "1.2.9.3"]
assert uids(find("STUDY", StudyDate="-20260301", StudyTime="1000-1015", **S)) == ["1.2.9.1"]
assert uids(find("STUDY", StudyTime="1016-", **S)) == []
assert uids(find("STUDY", ModalitiesInStudy="NM", **S)) == ["1.2.9.1"]
assert uids(find("STUDY", AccessionNumber="A2", **S)) == ["1.2.9.2"]
series = find("SERIES", StudyInstanceUID="1.2.9.1", SeriesInstanceUID="", Modality="CT",
              NumberOfSeriesRelatedInstances="", SeriesNumber="")
assert [(s.SeriesInstanceUID, s.SeriesNumber, s.NumberOfSeriesRelatedInstances) for s in series] == [
    ("1.2.9.1.2", 2, 3)]
images = find("IMAGE", StudyInstanceUID="1.2.9.1", SeriesInstanceUID="1.2.9.1.2", SOPInstanceUID="",
              InstanceNumber="", SOPClassUID="", Rows=None)
assert [i.InstanceNumber for i in images] == [1, 2, 3]
assert images[0].Rows == 16 and images[0].SOPClassUID == CTImageStorage
ds = identifier("STUDY", StudyInstanceUID="1.2.9.3", PatientComments="")
answers = list(a.send_c_find(ds, FIND))
assert answers[0][0].Status == 0xFF01 and answers[0][1].PatientComments == ""
def refused(level, model=FIND, **keys):
    (status, ds), = a.send_c_find(identifier(level, **keys), model)
    return status.Status
assert refused("PATIENT", PatientID="P-1") == 0xA900
assert refused("STUDY", StudyDate="yesterday") == 0xA900
assert refused("NOWHERE") == 0xA900
a.release()
"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pynetdicom_gets_what_it_takes_the_role_for_and_is_told_what_it_does_not_get() {
    let pacs = Pacs::start().await;
    pacs.pynetdicom(
        r#"
got = []
def store(event):
    got.append(event.request.AffectedSOPInstanceUID)
    assert event.dataset.PatientID == "P-1"
    return 0
ae.add_requested_context(CTImageStorage, "1.2.840.10008.1.2")
a = associate(GET, ext_neg=[build_role(CTImageStorage, scp_role=True)],
              evt_handlers=[(evt.EVT_C_STORE, store)])
answers = list(a.send_c_get(identifier("STUDY", StudyInstanceUID="1.2.9.1"), GET))
pending, (last, failed) = answers[:-1], answers[-1]
assert all(s.Status == 0xFF00 for s, _ in pending)
assert last.Status == 0xB000, last
assert last.NumberOfCompletedSuboperations == 3 and last.NumberOfFailedSuboperations == 2
assert sorted(failed.FailedSOPInstanceUIDList) == ["1.2.9.1.1.1", "1.2.9.1.1.2"], failed
assert sorted(got) == ["1.2.9.1.2.1", "1.2.9.1.2.2", "1.2.9.1.2.3"], got
(none, _), = a.send_c_get(identifier("STUDY", StudyInstanceUID="1.2.77"), GET)
assert none.Status == 0 and none.NumberOfCompletedSuboperations == 0
(wild, _), = a.send_c_get(identifier("STUDY", StudyInstanceUID=""), GET)
assert wild.Status == 0xA900
a.release()
"#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pynetdicom_moves_with_counters_and_learns_of_a_destination_that_is_down() {
    let pacs = Pacs::start().await;
    pacs.pynetdicom(r#"
a = associate(MOVE)
answers = list(a.send_c_move(identifier("STUDY", StudyInstanceUID="1.2.9.1"), "GRAYD", MOVE))
assert [s.NumberOfRemainingSuboperations for s, _ in answers[:-1]] == [4, 3, 2, 1]
last = answers[-1][0]
assert (last.Status, last.NumberOfCompletedSuboperations) == (0, 5), last
(down, failed) = list(a.send_c_move(identifier("STUDY", StudyInstanceUID="1.2.9.1"), "NOBODY", MOVE))[-1]
assert down.Status == 0xA702 and down.NumberOfFailedSuboperations == 5, down
assert len(failed.FailedSOPInstanceUIDList) == 5
(unknown, _), = a.send_c_move(identifier("STUDY", StudyInstanceUID="1.2.9.1"), "STRANGER", MOVE)
assert unknown.Status == 0xA801
a.release()
"#).await;
    assert_eq!(pacs.destination.archive.count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_and_a_retrieval_that_are_cancelled_end_as_cancelled() {
    let pacs = Pacs::start().await;
    // Enough that neither is through before the cancel can come.
    for number in 10..400 {
        let sample = Sample { patient: "P-3", name: "Many^Slices", study: 4, series: 2, number };
        store(&*pacs.archive, sample.class(), &sample.uid(), &sample.data_set());
    }
    pacs.pynetdicom(r#"
from pynetdicom import _config
import threading
seen = []
def store(event):
    seen.append(event.request.AffectedSOPInstanceUID)
    if len(seen) == 3: event.assoc.send_c_cancel(9, None, GET)
    return 0
ae.add_requested_context(CTImageStorage)
a = associate(GET, FIND, ext_neg=[build_role(CTImageStorage, scp_role=True)],
              evt_handlers=[(evt.EVT_C_STORE, store)])
answers = list(a.send_c_get(identifier("STUDY", StudyInstanceUID="1.2.9.4"), GET, msg_id=9))
last = answers[-1][0]
assert last.Status == 0xFE00, last
assert 3 <= last.NumberOfCompletedSuboperations < 390
assert last.NumberOfRemainingSuboperations == 390 - last.NumberOfCompletedSuboperations
a.send_c_cancel(5, None, FIND)
ds = identifier("STUDY", StudyInstanceUID="1.2.9.1")
assert [s.Status for s, _ in a.send_c_find(ds, FIND, msg_id=5)] == [0xFF00, 0], "a late cancel is passed over"
a.release()
"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_may_only_store_neither_finds_nor_gets() {
    let pacs = Pacs::start().await;
    let Some(python) = python() else { return };
    let script = r#"
import sys
from pynetdicom import AE
from pynetdicom.sop_class import *
ae = AE("SCANNER")
for c in (Verification, CTImageStorage, StudyRootQueryRetrieveInformationModelFind,
          StudyRootQueryRetrieveInformationModelGet, PatientRootQueryRetrieveInformationModelMove):
    ae.add_requested_context(c)
a = ae.associate("127.0.0.1", int(sys.argv[1]), ae_title="GRAYD")
assert [c.abstract_syntax for c in a.accepted_contexts] == [Verification, CTImageStorage]
a.release()
"#;
    let done = run(&python, &["-c", script, &pacs.address.port().to_string()]).await.unwrap();
    assert!(done.status.success(), "{}", said(&done));
}

mod scripted {
    use super::*;
    use crate::peer::*;

    const FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
    const GET: &str = "1.2.840.10008.5.1.4.1.2.2.3";

    async fn associated(pacs: &Pacs) -> RawPeer {
        let mut contexts = context(1, VERIFICATION, &[IMPLICIT]);
        contexts.extend(context(3, FIND, &[IMPLICIT]));
        contexts.extend(context(5, GET, &[IMPLICIT]));
        contexts.extend(context(7, super::CT, &[LOSSY]));
        let mut peer = RawPeer::connect(pacs.address).await;
        peer.send(&associate_rq(b"GRAYD", b"PEER", &contexts, &max_length(16384))).await;
        assert!(matches!(peer.answer().await, Answer::Pdu(0x02, _)));
        peer
    }

    fn request(class: &str, field: u16, with_data: bool) -> Vec<u8> {
        command_set(&[
            (0x0002, ui(class)),
            (0x0100, us(field)),
            (0x0110, us(7)),
            (0x0700, us(0)),
            (0x0800, us(if with_data { 1 } else { 0x0101 })),
        ])
    }

    fn element(group: u16, number: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = group.to_le_bytes().to_vec();
        bytes.extend(number.to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
        bytes.extend_from_slice(value);
        bytes
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_identifier_that_is_missing_malformed_or_too_long_gets_a_status_and_no_abort() {
        let pacs = Pacs::start().await;
        let mut peer = associated(&pacs).await;
        for (id, class, field) in [(3, FIND, 0x20), (5, GET, 0x10)] {
            peer.send(&p_data(&[pdv(id, COMMAND | LAST, &request(class, field, false))])).await;
            assert_eq!(peer.status().await.0, 0xA900);
            peer.send(&p_data(&[pdv(id, COMMAND | LAST, &request(class, field, true))])).await;
            peer.send(&p_data(&[pdv(id, LAST, b"no data set at all")])).await;
            assert_eq!(peer.status().await.0, 0xC000);
            peer.send(&p_data(&[pdv(id, COMMAND | LAST, &request(class, field, true))])).await;
            for _ in 0..80 {
                peer.send(&p_data(&[pdv(id, 0, &[0; 16_000])])).await;
            }
            peer.send(&p_data(&[pdv(id, LAST, &[0; 2])])).await;
            assert_eq!(peer.status().await.0, 0xA700);
        }
        assert_eq!(peer.echo().await, 0, "the association serves on");
        peer.release().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_list_of_ten_thousand_uids_and_a_bomb_of_stars_are_answered() {
        let pacs = Pacs::start().await;
        let mut peer = associated(&pacs).await;
        let uids: Vec<String> = (0..10_000).map(|n| format!("1.2.77.{n}")).collect();
        let mut list = uids.join("\\").into_bytes();
        list.resize(list.len().next_multiple_of(2), 0);
        let level = element(0x0008, 0x0052, b"STUDY ");
        let many = [level.clone(), element(0x0020, 0x000D, &list)].concat();
        let stars = b"*?".repeat(30_000);
        let bomb = [level, element(0x0010, 0x0020, &stars)].concat();
        for identifier in [many, bomb] {
            peer.send(&p_data(&[pdv(3, COMMAND | LAST, &request(FIND, 0x20, true))])).await;
            for piece in identifier.chunks(16_000) {
                peer.send(&p_data(&[pdv(3, 0, piece)])).await;
            }
            peer.send(&p_data(&[pdv(3, LAST, &[])])).await;
            assert_eq!(peer.status().await.0, 0, "no match");
        }
        peer.release().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cancel_of_nothing_is_passed_over() {
        let pacs = Pacs::start().await;
        let mut peer = associated(&pacs).await;
        let cancel = command_set(&[(0x0100, us(0x0FFF)), (0x0120, us(7)), (0x0800, us(0x0101))]);
        peer.send(&p_data(&[pdv(3, COMMAND | LAST, &cancel)])).await;
        assert_eq!(peer.echo().await, 0);
        peer.release().await;
    }
}
