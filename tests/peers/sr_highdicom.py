"""Measurement groups of a TID 1500 report, as highdicom parses them."""

import json
import sys

import highdicom

report = highdicom.sr.srread(sys.argv[1])
assert isinstance(report, highdicom.sr.Comprehensive3DSR)
assert isinstance(report.content, highdicom.sr.MeasurementReport)
groups = []
for group in report.content.get_volumetric_roi_measurement_groups():
    values = {}
    for measurement in group.get_measurements():
        derivation = measurement.derivation
        name = measurement.name.meaning
        if derivation is not None:
            name += "/" + derivation.meaning
        measured = measurement[0].MeasuredValueSequence[0]
        number = float(measured.FloatingPointValue)
        assert abs(number - float(measured.NumericValue)) <= 1e-9 * abs(number)
        values[f"{name} [{measurement.unit.value}]"] = number
    segment = group.referenced_segment
    groups.append(
        {
            "tracking_identifier": group.tracking_identifier,
            "finding": group.finding_type.meaning,
            "values": values,
            "referenced_segment": {
                "instance": segment.referenced_sop_instance_uid,
                "segment": int(segment.referenced_segment_numbers[0]),
            },
        }
    )
course = []
for group in report.content.get_image_measurement_groups():
    values = {}
    for measurement in group.get_measurements():
        values[f"{measurement.name.meaning} [{measurement.unit.value}]"] = float(
            measurement[0].MeasuredValueSequence[0].FloatingPointValue
        )
    course.append({"tracking_identifier": group.tracking_identifier, "values": values})
json.dump({"groups": groups, "course": course, "patient_name": str(report.PatientName)}, sys.stdout)
