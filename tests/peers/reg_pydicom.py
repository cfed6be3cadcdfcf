"""The matrices of a Spatial Registration as pydicom reads them, source frame by source frame.

usage: reg_pydicom.py REG
"""

import json
import sys

import pydicom

registration = pydicom.dcmread(sys.argv[1])
assert registration.SOPClassUID == pydicom.uid.SpatialRegistrationStorage
items = []
for item in registration.RegistrationSequence:
    (matrices,) = item.MatrixRegistrationSequence
    (matrix,) = matrices.MatrixSequence
    assert matrix.FrameOfReferenceTransformationMatrixType == "RIGID"
    items.append(
        {
            "frame": str(item.FrameOfReferenceUID),
            "images": len(item.get("ReferencedImageSequence", [])),
            "matrix": [float(x) for x in matrix.FrameOfReferenceTransformationMatrix],
        }
    )
print(json.dumps({"registered": str(registration.FrameOfReferenceUID), "items": items}))
