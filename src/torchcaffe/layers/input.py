"""Input: blobs that the caller gives."""

import torch
from torch import Tensor

from torchcaffe.layers._call import Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


def zeros(*shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
    """What the blobs hold before anything is put in."""
    return tuple(torch.zeros(shape) for shape in shapes)


@caffe_layer("Input", bottoms=0, tops=(1, None), exactness=bitwise(), gradient=bitwise())
def input_layer(layer: Setup) -> Plan:
    """y = what the caller gives.

    tops    one or more, of the shapes in input_param; other shapes may be given when it runs
    Caffe   src/caffe/layers/input_layer.cpp
    """
    shapes = [tuple(shape.dim) for shape in layer.param.input_param.shape]
    if len(shapes) == 1:
        shapes *= layer.tops
    layer.require(
        len(shapes) == layer.tops,
        f"has {len(shapes)} shapes for {layer.tops} tops; give one for all, one for each, or the "
        f"shapes of the inputs when the net is loaded",
    )
    for shape in shapes:
        layer.require(all(size >= 0 for size in shape), f"has a negative dim in shape {shape}")
    return Plan(Call("torchcaffe.layers.input.zeros", *shapes), tops=tuple(shapes))
