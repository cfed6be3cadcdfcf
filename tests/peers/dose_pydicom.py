"""Position (LPS, mm) and dose (Gy) of every voxel of an RT Dose, as pydicom reads it."""

import json
import sys

import numpy
import pydicom

dataset = pydicom.dcmread(sys.argv[1])
assert dataset.DoseUnits == "GY" and dataset.DoseType == "PHYSICAL"
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
json.dump({"reader": "pydicom", "voxels": voxels}, sys.stdout)
