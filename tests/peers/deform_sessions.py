"""Moves the left kidney of the digital patient in the later sessions, with what lies around it, in closed form.

usage: deform_sessions.py PATIENT_FOLDER

Every CT gets fat around the kidneys and noise, so that there is something to see. In sessions 2 to 4 the kidney lies
elsewhere by whole SPECT voxels and keeps its shape; the shift fades away within the tissue around it.
"""

import json
import pathlib
import sys

import numpy
import pydicom

root = pathlib.Path(sys.argv[1])
SHIFT_MM = numpy.array([-4.8, -4.8, 9.6])
KIDNEYS = {  # centre from the middle of the image, half axes, as config/phantom.yaml has them
    "left": (numpy.array([50.0, 45.0, -55.0]), numpy.array([27.0, 25.0, 52.0])),
    "right": (numpy.array([-50.0, 45.0, -60.0]), numpy.array([27.0, 25.0, 50.0])),
}
STIFF, FREE = 1.25, 2.8  # in half axes: as one within, at rest beyond


def places(shape, spacing):
    """Of every voxel from the middle of the image: x, y, z."""
    k, j, i = numpy.meshgrid(*[numpy.arange(n) - (n - 1) / 2 for n in shape], indexing="ij")
    return numpy.stack([i * spacing[0], j * spacing[1], k * spacing[2]], axis=-1)


def part(y):
    """How far the shift reaches at a point of a later session."""
    centre, half = KIDNEYS["left"]
    r = numpy.sqrt((((y - centre - SHIFT_MM) / half) ** 2).sum(axis=-1))
    fading = 0.5 * (1 + numpy.cos(numpy.pi * (r - STIFF) / (FREE - STIFF)))
    return numpy.where(r < STIFF, 1.0, numpy.where(r > FREE, 0.0, fading))


def deformed(values, spacing):
    """What the first session has at y minus the shift that reaches y; trilinear."""
    y = places(values.shape, spacing)
    x = y - part(y)[..., None] * SHIFT_MM
    last = numpy.array(values.shape[::-1]) - 1
    at = numpy.clip(x / spacing + last / 2, 0, last)
    low = numpy.minimum(numpy.floor(at + 1e-9).astype(int), last - 1)
    frac = numpy.clip(at - low, 0, 1)
    out = numpy.zeros(values.shape)
    for corner in range(8):
        upper = numpy.array([corner & 1, corner >> 1 & 1, corner >> 2 & 1])
        weight = numpy.where(upper == 1, frac, 1 - frac).prod(axis=-1)
        i, j, k = numpy.moveaxis(low + upper, -1, 0)
        out += weight * values[k, j, i]
    return out


def main():
    random = numpy.random.default_rng(1)
    for session in range(1, 5):
        slices = [(path, pydicom.dcmread(path)) for path in sorted((root / f"ct-{session}").iterdir())]
        slices.sort(key=lambda s: float(s[1].ImagePositionPatient[2]))
        first = slices[0][1]
        thick = float(slices[1][1].ImagePositionPatient[2]) - float(first.ImagePositionPatient[2])
        spacing = numpy.array([*map(float, first.PixelSpacing[::-1]), thick])
        slope, intercept = float(first.RescaleSlope), float(first.RescaleIntercept)
        hu = numpy.stack([s.pixel_array for _, s in slices]).astype(float) * slope + intercept
        x = places(hu.shape, spacing)
        for centre, half in KIDNEYS.values():
            r = numpy.sqrt((((x - centre) / half) ** 2).sum(axis=-1))
            hu[(r > 1.02) & (r < 1.35) & (hu == 14)] = -98
        if session > 1:
            hu = deformed(hu, spacing)
        hu += random.normal(0, 10, hu.shape)
        stored = numpy.round((numpy.maximum(hu, -1000) - intercept) / slope)
        for (path, dataset), values in zip(slices, stored):
            dataset.PixelData = values.astype(dataset.pixel_array.dtype).tobytes()
            dataset.save_as(path)
        if session == 1:
            continue
        (path,) = (root / f"spect-{session}").iterdir()
        dataset = pydicom.dcmread(path)
        values = dataset.pixel_array
        spacing = numpy.array([*map(float, dataset.PixelSpacing[::-1]), abs(float(dataset.SpacingBetweenSlices))])
        there = numpy.round(deformed(values.astype(float), spacing)).astype(values.dtype)
        dataset.PixelData = there.tobytes()
        dataset.save_as(path)
    print(json.dumps({"shift_mm": SHIFT_MM.tolist()}))


if __name__ == "__main__":
    main()
