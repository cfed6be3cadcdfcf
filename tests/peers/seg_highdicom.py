"""Segments of a SEG with the positions (LPS, mm) of their voxels, as highdicom reads them."""

import json
import sys

import highdicom
import numpy

segmentation = highdicom.seg.segread(sys.argv[1])
assert segmentation.SegmentationType == "BINARY"
segments = []
for number in segmentation.segment_numbers:
    description = segmentation.get_segment_description(number)
    volume = segmentation.get_volume(segment_numbers=[number], combine_segments=True)
    indices = numpy.argwhere(volume.array > 0)
    positions = volume.map_indices_to_reference(indices)
    modifiers = description.get("SegmentedPropertyTypeCodeSequence")[0].get(
        "SegmentedPropertyTypeModifierCodeSequence"
    )
    segments.append(
        {
            "label": description.segment_label,
            "type": description.segmented_property_type.meaning,
            "modifier": modifiers[0].CodeMeaning if modifiers else None,
            "tracking_uid": description.tracking_uid,
            "positions_lps_mm": positions.tolist(),
        }
    )
json.dump({"segments": segments}, sys.stdout)
