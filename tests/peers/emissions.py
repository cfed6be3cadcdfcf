"""Emission images and CTs of several patients, as raw float32 on axial LPS grids, to see what gates let pass.

    emissions.py SHARED_DATA PATIENT OUT

PATIENT is a digital patient (`grayd phantom`). Emissions are blurred to 14 mm FWHM and thrown at 5 million counts, on a first and
on a last day, whose uptakes differ. Of the real SPECT there is one day only: its two days differ by chance alone.
"""

import json
import pathlib
import sys

import numpy
import pydicom
import SimpleITK

data, patient, out = map(pathlib.Path, sys.argv[1:4])
COUNTS, FWHM_MM = 5e6, 14.0
random = numpy.random.default_rng(7)
described = []


def put(who, what, values, spacing, origin):
    name = f"{who}-{what}"
    values.astype("<f4").tofile(out / f"{name}.raw")
    described.append(
        {"who": who, "what": what, "file": f"{name}.raw", "shape": values.shape, "spacing": [float(x) for x in spacing], "origin": [float(x) for x in origin]}
    )


def emission(who, what, activity, spacing, origin):
    image = SimpleITK.GetImageFromArray(activity.astype("f4"))
    image.SetSpacing([float(x) for x in spacing])
    blurred = SimpleITK.GetArrayFromImage(SimpleITK.SmoothingRecursiveGaussian(image, FWHM_MM / 2.3548))
    put(who, what, random.poisson(numpy.maximum(blurred, 0) * COUNTS / blurred.sum()), spacing, origin)


# The digital patient.
for session, what in ((1, "first"), (4, "last")):
    (path,) = (patient / f"spect-{session}").iterdir()
    spect = pydicom.dcmread(path)
    spacing = (*spect.PixelSpacing[::-1], abs(float(spect.SpacingBetweenSlices)))
    origin = spect.DetectorInformationSequence[0].ImagePositionPatient
    emission("digital", what, spect.pixel_array.astype("f8"), spacing, origin)
slices = sorted((pydicom.dcmread(p) for p in (patient / "ct-1").iterdir()), key=lambda s: float(s.ImagePositionPatient[2]))
hu = numpy.stack([s.pixel_array for s in slices]) * float(slices[0].RescaleSlope) + float(slices[0].RescaleIntercept)
thick = float(slices[1].ImagePositionPatient[2]) - float(slices[0].ImagePositionPatient[2])
put("digital", "CT", hu + random.normal(0, 20, hu.shape), (*slices[0].PixelSpacing[::-1], thick), slices[0].ImagePositionPatient)

# A voxel phantom that was drawn from a patient.
folder = data / "phantoms/lu_dotatate_voxel_phantom"
attenuation, source = [
    numpy.fromfile(folder / f"patient15_LuDOTATATE_{kind}.i33", "<u2").reshape(90, 70, 108).astype("f8") for kind in ("attn", "src")
]
spacing = (3.9063, 3.9063, 4.4196)
drawn = source >= 15000
body = (attenuation > 800) & ~drawn
for what, (rest, uptakes) in {
    "first": (1.0, {15000: 4, 16000: 12, 17000: 15, 18000: 15, 19000: 20, 20000: 20, 21000: 20}),
    "last": (0.3, {15000: 2, 16000: 6, 17000: 5, 18000: 5, 19000: 16, 20000: 14, 21000: 18}),
}.items():
    activity = numpy.where(body, rest, 0.0)
    for label, uptake in uptakes.items():
        activity[source == label] = uptake
    emission("drawn", what, activity, spacing, (0, 0, 0))
# Drawn organs have the largest value in place of their own: soft tissue.
hu = numpy.where(drawn | (attenuation >= 3000), 40.0, attenuation - 1000)
put("drawn", "CT", hu + random.normal(0, 20, hu.shape), spacing, (0, 0, 0))

# A real SPECT, its counts thrown twice.
slices = sorted(
    (pydicom.dcmread(p) for p in (data / "images/lu177_spect_michigan/SCAN_001/image").iterdir()),
    key=lambda s: float(s.ImagePositionPatient[2]),
)
values = numpy.stack([s.pixel_array * float(s.RescaleSlope) + float(s.get("RescaleIntercept", 0)) for s in slices])
thick = float(slices[1].ImagePositionPatient[2]) - float(slices[0].ImagePositionPatient[2])
for what in ("first", "last"):
    counts = random.poisson(numpy.maximum(values, 0) * COUNTS / values.sum())
    put("michigan", what, counts, (*slices[0].PixelSpacing[::-1], thick), slices[0].ImagePositionPatient)
print(json.dumps(described))
