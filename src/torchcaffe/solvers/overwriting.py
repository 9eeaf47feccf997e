"""Parameters whose gradient a backward pass replaces, where others add to it.

With ``iter_size``, only the last batch counts for them. That is a slip of Caffe's, but it is what a
training run of Caffe's did.

Caffe: ``src/caffe/layers/scale_layer.cpp``, ``include/caffe/layers/parameter_layer.hpp``.
"""

from __future__ import annotations

from math import prod

from torch import Tensor

from torchcaffe.build import Step
from torchcaffe.net import CaffeNet


def overwritten(net: CaffeNet) -> list[Tensor]:
    """The parameters of ``net`` that are meant; BatchNorm's and other statistics are not."""
    params = net.params
    return [params[step.name][0] for step in net.steps if step.plan.blobs and _replaces(step)]


def _replaces(step: Step) -> bool:
    if step.kind.name == "Parameter":
        return True
    if step.kind.name != "Scale" or len(step.bottoms) != 1:
        return False
    whole, axis = step.bottom_shapes[0], step.setup.axis(step.param.scale_param.axis)
    axes = step.param.scale_param.num_axes
    end = len(whole) if axes == -1 else axis + axes
    outer, factors, inner = prod(whole[:axis]), prod(whole[axis:end]), prod(whole[end:])
    # As many factors as elements, or one image with several: the product goes straight to the diff.
    return (outer == 1 and inner == 1) or (outer == 1 and factors > 1)
