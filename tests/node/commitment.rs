//! Storage commitment, asked for by pynetdicom: on the same association, and on one of the node's.

use crate::peer::tools::{python, run, said};
use crate::retrieval::{Pacs, uid};
use grayd::archive::Archive;

const HEAD: &str = r#"
import sys, threading
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel as CLASS
from pynetdicom.sop_class import StorageCommitmentPushModelInstance as INSTANCE
NM, CT = "1.2.840.10008.5.1.4.1.1.20", "1.2.840.10008.5.1.4.1.1.2"
came = threading.Event()
reports = []
def report(event):
    reports.append((event.request.EventTypeID, event.event_information))
    came.set()
    return 0, None
handlers = [(evt.EVT_N_EVENT_REPORT, report)]
ae = AE("PEER")
ae.add_requested_context(CLASS)
def associate():
    a = ae.associate("127.0.0.1", int(sys.argv[1]), ae_title="GRAYD", evt_handlers=handlers)
    assert a.is_established
    return a
def ask(a, transaction, *references, action=1):
    ds = Dataset()
    if transaction: ds.TransactionUID = transaction
    ds.ReferencedSOPSequence = []
    for c, i in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = c, i
        ds.ReferencedSOPSequence.append(item)
    return a.send_n_action(ds, action, CLASS, INSTANCE)[0].Status
def pairs(items): return [(i.ReferencedSOPClassUID, i.ReferencedSOPInstanceUID) for i in items]
"#;

async fn ask(pacs: &Pacs, script: &str, more: &[&str]) -> bool {
    let Some(python) = python() else { return false };
    let (port, script) = (pacs.address.port().to_string(), format!("{HEAD}{script}"));
    let arguments = [&["-c", script.as_str(), port.as_str()], more].concat();
    let done = run(&python, &arguments).await.unwrap();
    assert!(done.status.success(), "{}", said(&done));
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_here_is_committed_on_the_association_that_asked_and_what_is_not_says_why() {
    let pacs = Pacs::start().await;
    let rotten = uid("1.2.9.1.2.3");
    let path = pacs.archive.path(&rotten).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let script = r#"
a = associate()
assert ask(a, "1.2.3.1", (NM, "1.2.9.1.1.1"), (CT, "1.2.9.1.2.1")) == 0
assert came.wait(60) and a.is_established
(kind, ds), = reports
assert kind == 1 and ds.TransactionUID == "1.2.3.1" and "FailedSOPSequence" not in ds
assert pairs(ds.ReferencedSOPSequence) == [(NM, "1.2.9.1.1.1"), (CT, "1.2.9.1.2.1")]
came.clear()
assert ask(a, "1.2.3.2", (CT, "1.2.9.1.2.1"), (CT, "1.2.77"), (NM, "1.2.9.1.2.2"), (CT, "1.2.9.1.2.3")) == 0
assert came.wait(60)
kind, ds = reports[1]
assert kind == 2 and pairs(ds.ReferencedSOPSequence) == [(CT, "1.2.9.1.2.1")]
failed = [(i.ReferencedSOPInstanceUID, i.FailureReason) for i in ds.FailedSOPSequence]
assert failed == [("1.2.77", 0x0112), ("1.2.9.1.2.2", 0x0119), ("1.2.9.1.2.3", 0x0112)], failed
assert ask(a, None, (CT, "1.2.9.1.2.1")) == 0x0115
assert ask(a, "1.2.3.3") == 0x0115
assert ask(a, "1.2.3.4", (CT, "1.2.9.1.2.1"), action=2) == 0x0123
a.release()
"#;
    ask(&pacs, script, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_has_gone_is_called_back() {
    // A port that is free now; the script listens on it before it asks.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let pacs = Pacs::start_with_peer_at(port).await;
    let script = r#"
server = AE("PEER")
server.add_supported_context(CLASS, scu_role=False, scp_role=True)
server.start_server(("127.0.0.1", int(sys.argv[2])), block=False, evt_handlers=handlers)
a = associate()
assert ask(a, "1.2.3.1", *[(CT, "1.2.9.1.2.%d" % n) for n in (1, 2, 3)]) == 0
a.release()
assert came.wait(60)
kind, ds = reports[-1]
assert kind == 1 and ds.TransactionUID == "1.2.3.1" and len(ds.ReferencedSOPSequence) == 3
server.shutdown()
"#;
    ask(&pacs, script, &[&port.to_string()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_may_only_report_is_not_answered_for_and_its_nonsense_has_a_status() {
    let pacs = Pacs::start().await;
    let script = r#"
from pynetdicom import build_role
ae = AE("ASKED")
ae.add_requested_context(CLASS)
a = associate()
assert ask(a, "1.2.3.1", (NM, "1.2.9.1.1.1")) == 0x0124
a.release()
a = ae.associate("127.0.0.1", int(sys.argv[1]), ae_title="GRAYD",
                 ext_neg=[build_role(CLASS, scp_role=True)])
assert a.is_established
def tell(transaction, kind=1, instance=INSTANCE):
    ds = Dataset()
    ds.ReferencedSOPSequence = []
    if transaction: ds.TransactionUID = transaction
    return a.send_n_event_report(ds, kind, CLASS, instance)[0].Status
assert tell("1.2.3.4") == 0x0115
assert tell(None) == 0x0115
assert tell("1.2.3.4", kind=3) == 0x0113
assert tell("1.2.3.4", instance="1.2.3") == 0x0112
a.release()
"#;
    if !ask(&pacs, script, &[]).await {
        return;
    }
    let trail = pacs.archive.audit_trail(99).unwrap();
    assert_eq!(trail.iter().filter(|line| line.event == "commitment-refused").count(), 4);
}
