"""Volume, mass and activity of every region of the digital patient, from its DICOM files alone.

SPECT geometry, RTSTRUCT areas (even-odd by signed polygons), CT density and SEG are read
independently of grayd: pydicom and numpy, highdicom for the SEG.
"""

import json
import pathlib
import sys

import highdicom
import numpy
import pydicom

root = pathlib.Path(sys.argv[1])
KNOTS_HU = [-1000, -98, 14, 23, 100, 101, 1600]
KNOTS_DENSITY = [0.00121, 0.93, 1.03, 1.031, 1.1199, 1.0762, 1.9642]


def nm_volume(dataset):
    """Bq/ml and the LPS position of voxel (0, 0, 0) of a volume that ascends to the head."""
    mapping = dataset.RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "Bq/ml"
    stored = dataset.pixel_array.astype(float)
    values = stored * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    detector = dataset.DetectorInformationSequence[0]
    spacing = float(dataset.SpacingBetweenSlices)
    slices = numpy.array(dataset.SliceVector) - 1
    z = float(detector.ImagePositionPatient[2]) + slices * spacing
    order = numpy.argsort(z)
    x, y = detector.ImagePositionPatient[:2]
    rows, columns = dataset.PixelSpacing
    return values[order], [float(x), float(y), z[order][0]], [float(columns), float(rows), abs(spacing)]


def slice_volume(paths):
    """Rescaled values of single-frame instances."""
    datasets = sorted((pydicom.dcmread(p) for p in paths), key=lambda d: d.ImagePositionPatient[2])
    values = numpy.stack(
        [d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in datasets]
    )
    positions = [float(d.ImagePositionPatient[2]) for d in datasets]
    rows, columns = datasets[0].PixelSpacing
    origin = [float(v) for v in datasets[0].ImagePositionPatient]
    return values, origin, [float(columns), float(rows), positions[1] - positions[0]]


def area(points):
    x, y = points[:, 0], points[:, 1]
    return 0.5 * float(numpy.dot(x, numpy.roll(y, -1)) - numpy.dot(y, numpy.roll(x, -1)))


regions = {}
masks = {}
for path in sorted((root / "regions").iterdir()):
    dataset = pydicom.dcmread(path)
    if dataset.Modality == "RTSTRUCT":
        names = {roi.ROINumber: roi.ROIName for roi in dataset.StructureSetROISequence}
        planes = len(
            dataset.ReferencedFrameOfReferenceSequence[0]
            .RTReferencedStudySequence[0]
            .RTReferencedSeriesSequence[0]
            .ContourImageSequence
        )
        ct = slice_volume(sorted((root / "ct-1").iterdir()))
        assert planes == ct[0].shape[0]
        for roi in dataset.ROIContourSequence:
            total = 0.0
            for contour in roi.ContourSequence:
                points = numpy.array(contour.ContourData, float).reshape(-1, 3)
                assert len(points) == contour.NumberOfContourPoints >= 4
                assert numpy.ptp(points[:, 2]) == 0
                # Outlines and holes turn opposite ways.
                total += area(points)
            volume = abs(total) * ct[2][2] / 1000
            regions.setdefault(names[roi.ReferencedROINumber], {})["contour_ml"] = volume
    else:
        segmentation = highdicom.seg.segread(path)
        for number in segmentation.segment_numbers:
            name = segmentation.get_segment_description(number).segment_label
            volume = segmentation.get_volume(segment_numbers=[number], combine_segments=True)
            indices = numpy.argwhere(volume.array > 0)
            masks[name] = volume.map_indices_to_reference(indices)
            size = float(numpy.prod(volume.spacing)) / 1000
            regions.setdefault(name, {})["segment_ml"] = len(indices) * size

ct_values, ct_origin, ct_spacing = slice_volume(sorted((root / "ct-1").iterdir()))
density = numpy.interp(ct_values, KNOTS_HU, KNOTS_DENSITY)
sessions = sorted(root.glob("spect-*"))
for session in sessions:
    paths = sorted(session.iterdir())
    dataset = pydicom.dcmread(paths[0])
    volume = nm_volume(dataset) if dataset.Modality == "NM" else slice_volume(paths)
    values, origin, spacing = volume
    for name, positions in masks.items():
        index = (positions - origin) / spacing
        assert numpy.abs(index - index.round()).max() < 1e-6
        i, j, k = index.round().astype(int).T
        activity = values[k, j, i].sum() * numpy.prod(spacing) / 1000 / 1e6
        regions[name].setdefault("activity_mbq", []).append(float(activity))
        if session == sessions[0]:
            # CT voxels divide SPECT voxels: the mean density of the CT voxels inside.
            parts = round(spacing[0] / ct_spacing[0])
            mass = 0.0
            for c in numpy.ndindex(parts, parts, parts):
                fine = [n * parts + o for n, o in zip((i, j, k), c)]
                mass += density[fine[2], fine[1], fine[0]].sum() * numpy.prod(ct_spacing) / 1000
            corner = numpy.array(origin) - numpy.array(spacing) / 2 + numpy.array(ct_spacing) / 2
            assert numpy.abs(corner - ct_origin).max() < 1e-3
            regions[name]["mass_g"] = float(mass)
json.dump({"regions": regions}, sys.stdout)
