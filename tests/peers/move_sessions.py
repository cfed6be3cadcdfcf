"""Places each later session of the digital patient anew: its own frame of reference, other positions.

usage: move_sessions.py PATIENT_FOLDER
"""

import json
import pathlib
import sys

import pydicom
from pydicom.uid import generate_uid

root = pathlib.Path(sys.argv[1])
SHIFTS_MM = {2: (11.0, -7.5, 23.0), 3: (-6.2, 14.0, -31.0), 4: (3.3, 5.1, 47.0)}
for session, shift in SHIFTS_MM.items():
    frame = generate_uid(entropy_srcs=[str(root), str(session)])
    for kind in ("spect", "ct"):
        for path in sorted((root / f"{kind}-{session}").iterdir()):
            dataset = pydicom.dcmread(path)
            dataset.FrameOfReferenceUID = frame
            for holder in [dataset, *dataset.get("DetectorInformationSequence", [])]:
                if "ImagePositionPatient" in holder:
                    moved = [float(x) + s for x, s in zip(holder.ImagePositionPatient, shift)]
                    holder.ImagePositionPatient = moved
            dataset.save_as(path)
print(json.dumps({str(session): shift for session, shift in SHIFTS_MM.items()}))
