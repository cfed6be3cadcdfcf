"""CT volumes to register: a real trunk and the ICRP reference male's, as raw float32 in HU on axial LPS grids.

    volumes.py SHARED_DATA OUT
"""

import json
import pathlib
import sys

import numpy
import SimpleITK

data, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
# Density (g/ml) to HU by the line of Schneider et al. 2000.
DENSITY = [0.00121, 0.93, 1.03, 1.031, 1.0762, 1.9642]
HU = [-1000, -98, 14, 23, 101, 1600]

ct = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(data / "images/totalseg_ct/example_ct.nii.gz")), "LPS")
assert ct.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
table = json.loads((data / "phantoms/icrp110_AM/AM.json").read_text())
labels = SimpleITK.ReadImage(str(data / "images/totalseg_ct/example_seg_fast_force_split.nii.gz"))
labels = SimpleITK.GetArrayFromImage(SimpleITK.DICOMOrient(labels, "LPS"))
labels.astype("u1").tofile(out / "trunk.labels")
# From the groin to the shoulders.
ids = numpy.load(data / "phantoms/icrp110_AM/AM.npz")["vol"][110:180]
density = numpy.full(256, 0.00121)
for number, (_, _, value) in table["organs"].items():
    density[int(number)] = value
dz, dy, dx = table["spacing_mm"]
# Slices of 8 mm would say more of interpolation than of registration.
male = SimpleITK.GetImageFromArray(numpy.interp(density[ids], DENSITY, HU).astype("float32"))
male.SetSpacing((dx, dy, dz))
size = [int((n - 1) * step / 3) for n, step in zip(male.GetSize(), male.GetSpacing())]
male = SimpleITK.Resample(
    male, size, SimpleITK.Transform(), SimpleITK.sitkLinear, male.GetOrigin(), (3, 3, 3), male.GetDirection(), -1000.0
)
volumes = [
    ("trunk", SimpleITK.GetArrayFromImage(ct), ct.GetSpacing(), ct.GetOrigin()),
    ("male", SimpleITK.GetArrayFromImage(male), male.GetSpacing(), male.GetOrigin()),
]
described = []
for name, values, spacing, origin in volumes:
    values.astype("<f4").tofile(out / f"{name}.raw")
    described.append({"name": name, "shape": values.shape, "spacing": spacing, "origin": origin})
print(json.dumps(described))
