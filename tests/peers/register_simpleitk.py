"""Registers pairs with SimpleITK as its users do: Euler transform, correlation, three levels, a tenth of the voxels.

    register_simpleitk.py PAIRS.json

PAIRS.json: [{fixed, moving: raw float32 files, shape (k, j, i), origin, moving_shape, moving_origin, spacing}]. Answers seconds and the matrix that takes fixed
points to moving ones, of each.
"""

import json
import sys
import time

import numpy
import SimpleITK as sitk


def image(of, which):
    name = "" if which == "fixed" else "moving_"
    values = numpy.fromfile(of[which], "<f4").reshape(of[name + "shape"])
    result = sitk.GetImageFromArray(values)
    result.SetSpacing(of["spacing"])
    result.SetOrigin(of[name + "origin"])
    return result


answers = []
for pair in json.load(open(sys.argv[1])):
    fixed, moving = image(pair, "fixed"), image(pair, "moving")
    begin = time.perf_counter()
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-4, 200, gradientMagnitudeTolerance=1e-8)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([4, 2, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    method.SetInitialTransform(start, inPlace=False)
    found = method.Execute(fixed, moving)
    seconds = time.perf_counter() - begin
    at = [numpy.array(found.TransformPoint([float(x) for x in p])) for p in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]]
    matrix = numpy.eye(4)
    matrix[:3, :3] = numpy.stack([at[n + 1] - at[0] for n in range(3)], axis=1)
    matrix[:3, 3] = at[0]
    answers.append({"seconds": seconds, "matrix": matrix.tolist()})
print(json.dumps(answers))
