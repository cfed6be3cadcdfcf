"""Writes a SEG on planar views with highdicom.

seg_on_views.py VIEWS OUTPUT KIND SEGMENTS: VIEWS is an NM image, KIND is BINARY, FRACTIONAL or LABELMAP, and
SEGMENTS is {label: [[frame, row, column], ...]} in JSON, counted from 0.
"""

import json
import sys

import highdicom
import numpy
import pydicom
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

views, output, kind, segments = sys.argv[1:5]
segments = json.loads(segments)
image = pydicom.dcmread(views)
for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
    if keyword not in image:
        setattr(image, keyword, "")
# highdicom takes images of several frames as enhanced ones alone, whose frames have a place each where there
# is a frame of reference: any will do.
measures = Dataset()
measures.PixelSpacing = image.PixelSpacing
measures.SliceThickness = 1
shared = Dataset()
shared.PixelMeasuresSequence = [measures]
image.SharedFunctionalGroupsSequence = [shared]
if "FrameOfReferenceUID" in image:
    orientation = Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    shared.PlaneOrientationSequence = [orientation]
    image.PerFrameFunctionalGroupsSequence = []
    for frame in range(image.NumberOfFrames):
        position = Dataset()
        position.ImagePositionPatient = [0, frame, 0]
        own = Dataset()
        own.PlanePositionSequence = [position]
        image.PerFrameFunctionalGroupsSequence.append(own)
masks = numpy.zeros((image.NumberOfFrames, image.Rows, image.Columns, len(segments)), numpy.uint8)
for number, places in enumerate(segments.values()):
    for frame, row, column in places:
        masks[frame, row, column, number] = 1
descriptions = [
    highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.SCT.Organ,
        segmented_property_type=codes.SCT.Kidney,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    for number, label in enumerate(segments, 1)
]
segmentation = highdicom.seg.Segmentation(
    source_images=[image],
    pixel_array=masks if kind != "FRACTIONAL" else masks.astype(float),
    segmentation_type=kind,
    segment_descriptions=descriptions,
    series_instance_uid=highdicom.UID(),
    series_number=1,
    sop_instance_uid=highdicom.UID(),
    instance_number=1,
    manufacturer="Test",
    manufacturer_model_name="Test",
    software_versions="1",
    device_serial_number="1",
)
segmentation.save_as(output)
json.dump({}, sys.stdout)
