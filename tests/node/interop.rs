//! Programs of others as senders.

use crate::peer::node::{RunningNode, patient};
use crate::peer::tools::{python, run, said};
use crate::peer::*;
use std::path::PathBuf;

fn files(folder: &tempfile::TempDir, count: usize) -> Vec<PathBuf> {
    (0..count)
        .map(|n| {
            let uid = format!("1.2.3.4.{n}");
            let path = folder.path().join(format!("{n}.dcm"));
            let data = ct_data_set(&uid, &vec![n as u8; 40_000]);
            std::fs::write(&path, part10(CT, &uid, EXPLICIT, &data)).unwrap();
            path
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmtk_echoes_and_stores() {
    let node = RunningNode::start(patient()).await;
    let port = node.address.port().to_string();
    let titles = ["-aet", "PEER", "-aec", "GRAYD"];
    let to = ["127.0.0.1", port.as_str()];
    let Some(echo) = run("echoscu", &[&titles[..], &to].concat()).await else { return };
    assert!(echo.status.success(), "{}", said(&echo));
    let stranger = run("echoscu", &["-aet", "STRANGER", "-aec", "GRAYD", to[0], to[1]]).await;
    assert!(!stranger.expect("echoscu is there").status.success());

    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder, 12);
    let paths: Vec<&str> = files.iter().map(|path| path.to_str().unwrap()).collect();
    for (program, range) in [("storescu", 0..6), ("dcmsend", 6..12)] {
        let arguments = [&titles[..], &to, &paths[range]].concat();
        let Some(sent) = run(program, &arguments).await else { return };
        assert!(sent.status.success(), "{program}: {}", said(&sent));
    }
    for (n, path) in files.iter().enumerate() {
        let uid = format!("1.2.3.4.{n}");
        let sent = std::fs::read(path).unwrap();
        let stored = node.archive.object(&uid).expect("stored");
        // dcmsend proposes explicit little endian first, storescu too: nothing is rewritten.
        assert!(sent.ends_with(&stored) && stored.len() > 40_000, "{uid}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pynetdicom_echoes_and_stores_and_is_told_of_conflicts() {
    let Some(python) = python() else { return };
    let node = RunningNode::start(patient()).await;
    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder, 3);
    let script = r#"
import sys
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import Verification, CTImageStorage, NuclearMedicineImageStorage
port, *paths = sys.argv[1:]
ae = AE("PEER")
ae.add_requested_context(Verification)
ae.add_requested_context(CTImageStorage)
ae.add_requested_context(NuclearMedicineImageStorage, "1.2.840.10008.1.2.4.50")
a = ae.associate("127.0.0.1", int(port), ae_title="GRAYD")
assert a.is_established
assert len(a.accepted_contexts) == 2 and len(a.rejected_contexts) == 1
assert a.send_c_echo().Status == 0
for path in paths:
    ds = dcmread(path, force=True)
    assert a.send_c_store(ds).Status == 0
assert a.send_c_store(ds).Status == 0
ds.PatientID = "P-2"
answer = a.send_c_store(ds)
assert answer.Status == 0x0111, answer
assert "kept" in answer.ErrorComment
a.release()
assert a.is_released
"#;
    let port = node.address.port().to_string();
    let mut arguments = vec!["-c", script, &port];
    arguments.extend(files.iter().map(|path| path.to_str().unwrap()));
    let done = run(&python, &arguments).await.expect("python is there");
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(node.archive.count(), 3);
}
