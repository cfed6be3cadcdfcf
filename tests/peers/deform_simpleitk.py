"""Deforms pairs with SimpleITK: diffeomorphic demons on three levels, forty, thirty and twenty iterations, field smoothed by 1.5 voxels.

    deform_simpleitk.py PAIRS.json

PAIRS.json: [{fixed, moving: raw float32 files, shape (k, j, i), origin, spacing, field: file to write}]. The fields are float32, mm, of the
fixed image's voxels. Answers the seconds of each.
"""

import json
import sys
import time

import numpy
import SimpleITK as sitk


def image(of, which):
    result = sitk.GetImageFromArray(numpy.fromfile(of[which], "<f4").reshape(of["shape"]))
    result.SetSpacing(of["spacing"])
    result.SetOrigin(of["origin"])
    return result


answers = []
for pair in json.load(open(sys.argv[1])):
    fixed, moving = image(pair, "fixed"), image(pair, "moving")
    begin = time.perf_counter()
    field = None
    for shrink, iterations in ((4, 40), (2, 30), (1, 20)):
        levels = [
            sitk.Shrink(sitk.SmoothingRecursiveGaussian(one, 0.5 * shrink * pair["spacing"][0]), [shrink] * 3) if shrink > 1 else one
            for one in (fixed, moving)
        ]
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetNumberOfIterations(iterations)
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations(1.5)
        if field is None:
            field = demons.Execute(*levels)
        else:
            start = sitk.Resample(field, levels[0], sitk.Transform(), sitk.sitkLinear, 0.0, field.GetPixelID())
            field = demons.Execute(*levels, start)
    seconds = time.perf_counter() - begin
    numpy.ascontiguousarray(sitk.GetArrayFromImage(field)).astype("<f4").tofile(pair["field"])
    answers.append({"seconds": seconds})
print(json.dumps(answers))
