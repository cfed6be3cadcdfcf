"""Position (LPS, mm) and dose (Gy) of every voxel of a dose image, as SimpleITK reads it.

SimpleITK does not apply Dose Grid Scaling to an RT Dose, so it is taken from the header.
"""

import json
import sys

import SimpleITK

image = SimpleITK.ReadImage(sys.argv[1])
scaling = 1.0
if sys.argv[1].endswith(".dcm"):
    scaling = float(image.GetMetaData("3004|000e"))
values = SimpleITK.GetArrayFromImage(image)
columns, rows, slices = image.GetSize()
voxels = []
for k in range(slices):
    for j in range(rows):
        for i in range(columns):
            position = image.TransformIndexToPhysicalPoint((i, j, k))
            voxels.append([*position, float(values[k, j, i]) * scaling])
json.dump({"reader": "SimpleITK " + sys.argv[1][-8:], "voxels": voxels}, sys.stdout)
