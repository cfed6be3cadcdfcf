"""Quantity, unit and values of a Parametric Map, as highdicom reads it."""

import json
import sys

import highdicom
import numpy

image = highdicom.imread(sys.argv[1])
assert image.SOPClassUID == "1.2.840.10008.5.1.4.1.1.30"
shared = image.SharedFunctionalGroupsSequence[0]
mapping = shared.RealWorldValueMappingSequence[0]
volume = image.get_volume(apply_real_world_transform=True, dtype=numpy.float64)
# highdicom orders slices by position; probes carry their place with them.
indices = numpy.argwhere(volume.array >= 0)[:: max(1, volume.array.size // 200)]
places = volume.map_indices_to_reference(indices)
json.dump(
    {
        "quantity": mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeMeaning,
        "unit": mapping.MeasurementUnitsCodeSequence[0].CodeValue,
        "shape": list(volume.array.shape),
        "sum": float(volume.array.sum()),
        "probes": [
            {"lps_mm": place.tolist(), "value": float(volume.array[tuple(index)])}
            for index, place in zip(indices, places)
        ],
    },
    sys.stdout,
)
