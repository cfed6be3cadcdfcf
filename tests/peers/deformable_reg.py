"""Where a Deformable Spatial Registration takes the middle of the left kidney, as pydicom and SimpleITK read it.

usage: deformable_reg.py REG PATIENT_FOLDER

x_source = post (pre x + vector at x), PS3.3 C.20.3.1.1. The patient was made by deform_sessions.py and move_sessions.py.
"""

import json
import pathlib
import sys

import numpy
import pydicom
import SimpleITK

from deform_sessions import KIDNEYS, SHIFT_MM

SESSIONS_MM = {2: (11.0, -7.5, 23.0), 3: (-6.2, 14.0, -31.0), 4: (3.3, 5.1, 47.0)}
object_, root = pydicom.dcmread(sys.argv[1]), pathlib.Path(sys.argv[2])
assert object_.SOPClassUID == pydicom.uid.DeformableSpatialRegistrationStorage
assert object_["DeformableRegistrationSequence"].value[0].DeformableRegistrationGridSequence[0]["VectorGridData"].VR == "OF"


def first(session):
    slices = [pydicom.dcmread(p, stop_before_pixels=True) for p in (root / f"ct-{session}").iterdir()]
    return sorted(slices, key=lambda s: float(s.ImagePositionPatient[2]))


def matrix(item, name):
    if name not in item:
        return numpy.eye(4)
    (one,) = item[name].value
    assert one.FrameOfReferenceTransformationMatrixType == "RIGID"
    return numpy.array([float(x) for x in one.FrameOfReferenceTransformationMatrix]).reshape(4, 4)


slices = first(1)
ends = [numpy.array([float(x) for x in s.ImagePositionPatient]) for s in (slices[0], slices[-1])]
edges = [float(x) for x in slices[0].PixelSpacing]
middle = (ends[0] + ends[1]) / 2
middle[0] += (slices[0].Columns - 1) / 2 * edges[1]
middle[1] += (slices[0].Rows - 1) / 2 * edges[0]
point = middle + KIDNEYS["left"][0]
assert object_.FrameOfReferenceUID == slices[0].FrameOfReferenceUID
frames = {first(session)[0].FrameOfReferenceUID: session for session in SESSIONS_MM}
points = []
for item in object_.DeformableRegistrationSequence:
    session = frames[item.SourceFrameOfReferenceUID]
    assert len(item.ReferencedImageSequence) > 0
    (grid,) = item.DeformableRegistrationGridSequence
    columns, rows, count = grid.GridDimensions
    vectors = numpy.frombuffer(grid.VectorGridData, "<f4").reshape(count, rows, columns, 3)
    origin = numpy.array([float(x) for x in grid.ImagePositionPatient])
    axes = numpy.array([float(x) for x in grid.ImageOrientationPatient])
    assert numpy.allclose(axes, [1, 0, 0, 0, 1, 0])
    at = (point - origin) / numpy.array(grid.GridResolution)
    low = numpy.floor(at).astype(int)
    vector = numpy.zeros(3)
    for corner in range(8):
        upper = numpy.array([corner & 1, corner >> 1 & 1, corner >> 2 & 1])
        weight = numpy.where(upper == 1, at - low, 1 - (at - low)).prod()
        i, j, k = low + upper
        vector += weight * vectors[k, j, i]
    pre = matrix(item, "PreDeformationMatrixRegistrationSequence")
    post = matrix(item, "PostDeformationMatrixRegistrationSequence")
    source = (post @ [*((pre @ [*point, 1])[:3] + vector), 1])[:3]
    # SimpleITK as a second opinion on the vectors.
    field = SimpleITK.GetImageFromArray(vectors.astype("f8"), isVector=True)
    field.SetOrigin(origin.tolist())
    field.SetSpacing([float(x) for x in grid.GridResolution])
    theirs = numpy.array(SimpleITK.DisplacementFieldTransform(field).TransformPoint(point.tolist())) - point
    wanted = point + SHIFT_MM + numpy.array(SESSIONS_MM[session])
    points.append(
        {
            "session": session,
            "error_mm": float(numpy.linalg.norm(source - wanted)),
            "simpleitk_mm": float(numpy.linalg.norm(theirs - vector)),
        }
    )
print(json.dumps({"points": points}))
