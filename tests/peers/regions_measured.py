"""Volume and mean of every region of an RTSTRUCT or SEG in an image series, by SimpleITK and pydicom alone,
and those of contours by plastimatch too, which takes whole voxels.

    regions_measured.py IMAGE_FOLDER REGIONS.dcm

Contours are filled on a grid of an eighth of the pixel (even-odd); each stands for its plane's slab. Segments are taken
voxel by voxel. The image is read by SimpleITK's GDCM, with the rescale of every slice.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy
import pydicom
import SimpleITK

FINE = 8


def image(folder):
    paths = [p for p in sorted(pathlib.Path(folder).iterdir())]
    headers = [pydicom.dcmread(p, stop_before_pixels=True) for p in paths]
    order = numpy.argsort([h.ImagePositionPatient[2] for h in headers])
    # One by one: the slope of a PET differs from slice to slice.
    slices = [SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(paths[n])))[0] for n in order]
    first, last = headers[order[0]], headers[order[-1]]
    step = (last.ImagePositionPatient[2] - first.ImagePositionPatient[2]) / (len(slices) - 1)
    heights = [float(headers[n].ImagePositionPatient[2]) for n in order]
    spacing = [float(first.PixelSpacing[1]), float(first.PixelSpacing[0]), float(step)]
    return numpy.stack(slices).astype(float), [float(v) for v in first.ImagePositionPatient], spacing, heights


def coverage(polygons, shape, origin, spacing):
    """Covered part of each pixel by even-odd filling of a grid FINE times as fine."""
    rows, columns = shape
    out = numpy.zeros((rows * FINE, columns * FINE), bool)
    for polygon in polygons:
        x = ((polygon[:, 0] - origin[0]) / spacing[0] + 0.5) * FINE - 0.5
        y = ((polygon[:, 1] - origin[1]) / spacing[1] + 0.5) * FINE - 0.5
        for row in range(max(0, int(y.min())), min(rows * FINE, int(y.max()) + 2)):
            x2, y2 = numpy.roll(x, -1), numpy.roll(y, -1)
            meets = (y <= row) != (y2 <= row)
            cuts = numpy.sort(x[meets] + (row - y[meets]) / (y2[meets] - y[meets]) * (x2[meets] - x[meets]))
            for a, b in zip(cuts[::2], cuts[1::2]):
                out[row, max(0, int(numpy.ceil(a))):max(0, int(numpy.floor(b)) + 1)] ^= True
    return out.reshape(rows, FINE, columns, FINE).mean(axis=(1, 3))


def of_contours(dataset, values, origin, spacing, heights):
    names = {roi.ROINumber: roi.ROIName for roi in dataset.StructureSetROISequence}
    for roi in dataset.ROIContourSequence:
        planes = {}
        for contour in roi.ContourSequence:
            points = numpy.array(contour.ContourData, float).reshape(-1, 3)
            plane = int(numpy.argmin(numpy.abs(numpy.array(heights) - points[0, 2])))
            assert numpy.abs(points[:, 2] - heights[plane]).max() < 0.01, "a contour beside the image's planes"
            planes.setdefault(plane, []).append(points)
        weight, total = 0.0, 0.0
        for plane, polygons in planes.items():
            part = coverage(polygons, values.shape[1:], origin, spacing)
            weight += part.sum()
            total += (part * values[plane]).sum()
        yield names[roi.ReferencedROINumber], weight * numpy.prod(spacing) / 1000, total / weight


def of_segments(dataset, values, origin, spacing, heights):
    frames = dataset.pixel_array
    found = {}
    groups = dataset.PerFrameFunctionalGroupsSequence
    for frame, group in zip(frames if frames.ndim == 3 else frames[None], groups):
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        z = float(group.PlanePositionSequence[0].ImagePositionPatient[2])
        plane = int(numpy.argmin(numpy.abs(numpy.array(heights) - z)))
        assert abs(heights[plane] - z) < 0.01, "a segment's plane is none of the image's"
        sums = found.setdefault(number, [0.0, 0.0])
        sums[0] += float(frame.sum())
        sums[1] += float((frame * values[plane]).sum())
    # Planes need not be evenly spaced: each stands for the mean distance.
    for segment in dataset.SegmentSequence:
        count, total = found[segment.SegmentNumber]
        yield segment.SegmentLabel, count * numpy.prod(spacing) / 1000, total / count


def by_plastimatch(path, values, origin, spacing):
    with tempfile.TemporaryDirectory() as folder:
        image = SimpleITK.GetImageFromArray(values.astype(numpy.float32))
        image.SetOrigin(origin)
        image.SetSpacing(spacing)
        fixed, out = f"{folder}/fixed.mha", f"{folder}/out"
        SimpleITK.WriteImage(image, fixed)
        command = ["plastimatch", "convert", "--input", path, "--fixed", fixed, "--output-prefix", out]
        subprocess.run([*command, "--prefix-format", "mha"], check=True, capture_output=True)
        for mask in sorted(pathlib.Path(out).iterdir()):
            inside = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(mask))) > 0
            yield mask.stem, inside.sum() * numpy.prod(spacing) / 1000, values[inside].mean()


def listed(found):
    return [{"name": str(name), "ml": float(ml), "mean": float(mean)} for name, ml, mean in found]


dataset = pydicom.dcmread(sys.argv[2])
contours = dataset.Modality == "RTSTRUCT"
values, origin, spacing, heights = image(sys.argv[1])
measured = (of_contours if contours else of_segments)(dataset, values, origin, spacing, heights)
result = {"simpleitk": listed(measured)}
if contours and shutil.which("plastimatch"):
    result["plastimatch"] = listed(by_plastimatch(sys.argv[2], values, origin, spacing))
print(json.dumps(result))
