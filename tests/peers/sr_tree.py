"""The content tree of any structured report: pydicom reads it, highdicom takes every item for what it says it is."""

import json
import sys

import highdicom
import pydicom

report = pydicom.dcmread(sys.argv[1])
# Raises where a value type lacks what it needs.
highdicom.sr.ContentSequence.from_sequence(report.ContentSequence, is_root=False, is_sr=True)


def code(item):
    return {"value": item.CodeValue, "scheme": item.CodingSchemeDesignator, "meaning": item.CodeMeaning}


def value(item):
    kind = item.ValueType
    if kind == "CODE":
        return code(item.ConceptCodeSequence[0])
    if kind == "NUM":
        measured = item.MeasuredValueSequence[0]
        unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
        return {"number": float(measured.NumericValue), "unit": unit}
    if kind in ("IMAGE", "COMPOSITE"):
        reference = item.ReferencedSOPSequence[0]
        return {"class": reference.ReferencedSOPClassUID, "instance": reference.ReferencedSOPInstanceUID}
    names = {"TEXT": "TextValue", "UIDREF": "UID", "PNAME": "PersonName", "DATETIME": "DateTime"}
    return str(getattr(item, names[kind])) if kind in names else None


def tree(item):
    name = code(item.ConceptNameCodeSequence[0])
    return {
        "type": item.ValueType,
        "relationship": item.get("RelationshipType"),
        "concept": name["value"],
        "scheme": name["scheme"],
        "name": name["meaning"],
        "value": value(item),
        "observed": item.get("ObservationDateTime"),
        "template": item.ContentTemplateSequence[0].TemplateIdentifier if "ContentTemplateSequence" in item else None,
        "items": [tree(child) for child in item.get("ContentSequence", [])],
    }


evidence = [
    instance.ReferencedSOPInstanceUID
    for sequence in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
    for study in report.get(sequence, [])
    for series in study.ReferencedSeriesSequence
    for instance in series.ReferencedSOPSequence
]
json.dump(
    {
        "class": report.SOPClassUID,
        "instance": report.SOPInstanceUID,
        "completion": report.CompletionFlag,
        "evidence": evidence,
        "root": tree(report),
    },
    sys.stdout,
)
