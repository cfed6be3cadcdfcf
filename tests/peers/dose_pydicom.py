"""Position (LPS, mm) and dose (Gy) of every voxel of an RT Dose, as pydicom reads it."""

import json
import sys

import numpy
import pydicom

dataset = pydicom.dcmread(sys.argv[1])
assert dataset.DoseUnits == "GY"
assert dataset.FrameIncrementPointer == 0x3004000C
dose = dataset.pixel_array.astype(numpy.float64) * float(dataset.DoseGridScaling)
origin = numpy.array(dataset.ImagePositionPatient, float)
row = numpy.array(dataset.ImageOrientationPatient[:3], float)
column = numpy.array(dataset.ImageOrientationPatient[3:], float)
normal = numpy.cross(row, column)
between_rows, between_columns = map(float, dataset.PixelSpacing)
offsets = [float(offset) for offset in dataset.GridFrameOffsetVector]
assert offsets[0] == 0.0
voxels = []
for (k, j, i), value in numpy.ndenumerate(dose):
    position = origin + row * between_columns * i + column * between_rows * j + normal * offsets[k]
    voxels.append([*position.tolist(), float(value)])
histograms = []
for item in dataset.get("DVHSequence", []):
    assert (item.DVHType, item.DoseUnits, item.DVHVolumeUnits) == ("CUMULATIVE", "GY", "CM3")
    data = numpy.array(item.DVHData, float).reshape(-1, 2)
    assert len(data) == item.DVHNumberOfBins
    upper_edges = numpy.cumsum(data[:, 0]) * float(item.DVHDoseScaling)
    lower_edges = numpy.concatenate([[0.0], upper_edges[:-1]])
    histograms.append(
        {
            "roi": int(item.DVHReferencedROISequence[0].ReferencedROINumber),
            "curve": numpy.stack([lower_edges, data[:, 1]], axis=1).tolist(),
            "mean": float(item.DVHMeanDose),
        }
    )
json.dump(
    {
        "reader": "pydicom",
        "type": dataset.DoseType,
        "pixel_representation": int(dataset.PixelRepresentation),
        "series": dataset.SeriesInstanceUID,
        "voxels": voxels,
        "dvh": histograms,
    },
    sys.stdout,
)
