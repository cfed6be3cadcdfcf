"""Reads grayd's results with other people's code and prints what it found as JSON.

usage: read_back.py RTDOSE SEG SR X Y Z   (a patient position, mm, to read the dose at)
"""

import json
import sys

import highdicom as hd
import numpy as np
import pydicom


def main():
    dose_path, seg_path, sr_path, *position = sys.argv[1:]
    position = np.array(list(map(float, position)))
    dose = pydicom.dcmread(dose_path)
    origin = np.array(dose.ImagePositionPatient, float)
    rows = np.array(dose.ImageOrientationPatient[:3], float)
    columns = np.array(dose.ImageOrientationPatient[3:], float)
    normal = np.cross(rows, columns)
    d_row, d_column = map(float, dose.PixelSpacing)
    offsets = np.array(dose.GridFrameOffsetVector, float)
    gray = dose.pixel_array.reshape(int(dose.NumberOfFrames), dose.Rows, dose.Columns)
    gray = gray.astype(float) * float(dose.DoseGridScaling)
    relative = position - origin
    i, j = relative @ rows / d_column, relative @ columns / d_row
    k = np.interp(relative @ normal, offsets, np.arange(len(offsets)))
    at = gray[round(k), round(j), round(i)]

    seg = hd.seg.segread(seg_path)
    sr = hd.sr.srread(sr_path)
    groups = sr.content.get_volumetric_roi_measurement_groups()
    text = pydicom.dcmread(sr_path)

    def texts(item):
        yield str(getattr(item, "TextValue", ""))
        for child in getattr(item, "ContentSequence", []):
            yield from texts(child)

    print(json.dumps({
        "units": dose.DoseUnits, "type": dose.DoseType, "summation": dose.DoseSummationType,
        "shape": list(gray.shape), "max": float(gray.max()), "at": float(at),
        "index": [float(i), float(j), float(k)],
        "study": str(dose.StudyInstanceUID), "frame_of_reference": str(dose.FrameOfReferenceUID),
        "segments": [str(segment.SegmentLabel) for segment in seg.SegmentSequence],
        "sr_root": str(sr.ConceptNameCodeSequence[0].CodeMeaning),
        "sr_text": " | ".join(t for t in texts(text) if t), "groups": len(groups),
    }))


main()
