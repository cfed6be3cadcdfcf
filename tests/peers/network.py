"""Questions and retrievals of pynetdicom's, timed: network.py ROUNDS PORT AE [PORT AE ...] < KIND lines

Prints one JSON object: for each server and kind of question the seconds of every round. Servers take turns.
"""
import json
import sys
import time

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage, StudyRootQueryRetrieveInformationModelFind as FIND, StudyRootQueryRetrieveInformationModelGet as GET)

rounds = int(sys.argv[1])
servers = list(zip(map(int, sys.argv[2::2]), sys.argv[3::2]))
questions = json.load(sys.stdin)


def identifier(keys):
    ds = Dataset()
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


def associate(port, title):
    ae = AE("TESTSCU")
    ae.add_requested_context(FIND)
    ae.add_requested_context(GET)
    ae.add_requested_context(CTImageStorage)
    stored = lambda event: 0x0000  # noqa: E731  what comes is not decoded: its transfer is timed
    association = ae.associate("127.0.0.1", port, ae_title=title, ext_neg=[build_role(CTImageStorage, scp_role=True)],
                               evt_handlers=[(evt.EVT_C_STORE, stored)])
    assert association.is_established, title
    return association


times = {title: {name: [] for name in questions} for _, title in servers}
counts = {title: {} for _, title in servers}
open_ones = {title: associate(port, title) for port, title in servers}
for turn in range(rounds + 1):
    order = servers if turn % 2 == 0 else servers[::-1]
    for name, variants in questions.items():
        keys = dict(variants[turn % len(variants)])
        kind = keys.pop("kind")
        for _, title in order:
            association = open_ones[title]
            began = time.perf_counter()
            if kind == "find":
                answers = list(association.send_c_find(identifier(keys), FIND))
                count = len(answers) - 1
            else:
                answers = list(association.send_c_get(identifier(keys), GET))
                count = answers[-1][0].NumberOfCompletedSuboperations
            taken = time.perf_counter() - began
            assert answers[-1][0].Status == 0, (title, name, answers[-1][0])
            counts[title][name] = count
            if turn > 0:  # the first warms up
                times[title][name].append(taken)
for association in open_ones.values():
    association.release()
print(json.dumps({"times": times, "counts": counts}))
