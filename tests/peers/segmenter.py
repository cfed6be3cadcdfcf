"""A segmentation AE: takes a CT by C-STORE and, once it is whole, returns the regions drawn on it.

usage: segmenter.py PORT NODE_PORT SLICES ANSWER_FOLDER

Prints `ready`, then one line of JSON when it has answered: what it got and how the node took the answer.
"""

import json
import pathlib
import sys
import threading

import pydicom
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage

port, node_port, slices, answer = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
received = {}
whole = threading.Event()


def handle_store(event):
    dataset = event.dataset
    received[str(dataset.SOPInstanceUID)] = dataset
    if len(received) == slices:
        whole.set()
    return 0x0000


ae = AE(ae_title="SEGMENTER")
ae.add_supported_context(CTImageStorage, pydicom.uid.AllTransferSyntaxes)
server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, handle_store)])
print("ready", flush=True)
if not whole.wait(timeout=90):
    sys.exit(f"{len(received)} of {slices} slices came")
[frame] = {str(dataset.FrameOfReferenceUID) for dataset in received.values()}
statuses = []
for path in sorted(pathlib.Path(answer).iterdir()):
    regions = pydicom.dcmread(path)
    client = AE(ae_title="SEGMENTER")
    client.add_requested_context(regions.SOPClassUID, regions.file_meta.TransferSyntaxUID)
    association = client.associate("127.0.0.1", node_port, ae_title="GRAYD")
    statuses.append(association.send_c_store(regions).Status)
    association.release()
print(json.dumps({"slices": len(received), "frame": frame, "statuses": statuses}), flush=True)
server.shutdown()
