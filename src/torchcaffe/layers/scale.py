"""Scale: multiply by values that lie along some of the axes, and add others if asked to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Blob, Plan, Setup, caffe_layer, filler
from torchcaffe.layers.bias import align, aligned


class Scale(nn.Module):
    """Multiply by a learned value for each place along the axes from ``axis`` on; add another."""

    def __init__(self, shape: int | Sequence[int], axis: int = 1, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(shape)) if bias else None
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """(...) to the same shape."""
        y = x * align(self.weight, x, self.axis)
        return y if self.bias is None else y + align(self.bias, x, self.axis)


class ScaleBias(nn.Module):
    """Multiply by the second input and add a learned bias, both along the axes from ``axis`` on."""

    def __init__(self, shape: Sequence[int], axis: int = 1) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(shape))
        self.axis = axis

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """(...) to the same shape."""
        return x * align(scale, x, self.axis) + align(self.bias, x, self.axis)


def scale(x: Tensor, factor: Tensor, axis: int) -> Tensor:
    """x * factor, whose axes are those of x from ``axis`` on."""
    return x * align(factor, x, axis)


@caffe_layer("Scale", bottoms=(1, 2), tops=1, exactness=bitwise(), in_place="ok")
def scale_layer(layer: Setup) -> Plan:
    """y = x * s (+ b), s and b lying along the axes of x from ``axis`` on.

    bottoms  x  (...)  any shape;  s  x.shape[axis:axis + n], or () for one value
    top      y  as x
    blobs    s  x.shape[axis:axis + num_axes], if there is no second bottom;  b  as s, if bias_term
    torch    x * s.view(...) + b.view(...): torch aligns at the last axis, Caffe at ``axis``.
             After a BatchNorm, both are nn.BatchNorm2d(C) up to rounding
    Caffe    src/caffe/layers/scale_layer.cpp; with two bottoms, num_axes is not read, and gating
             (N, C, H, W) by (N, C) needs axis: 0
    """
    p = layer.param.scale_param
    axis, shape = aligned(layer, p)
    bias = (Blob("bias", filler(p, "bias_filler")),) if p.bias_term else ()
    if len(layer.bottoms) == 1:
        options = {"bias": True} if bias else {}
        size = shape[0] if len(shape) == 1 else shape
        call = Call("torchcaffe.layers.scale.Scale", size, axis, **options)
        return Plan(call, (Blob("weight", filler(p, "filler", 1)), *bias))
    if bias:
        layer.axis(p.axis)  # Caffe's bias wants it in range even where s is one value
        return Plan(Call("torchcaffe.layers.scale.ScaleBias", shape, axis), bias)
    if shape == layer.bottoms[0]:
        return Plan(Call("operator.mul", Bottom(0), Bottom(1)))
    return Plan(Call("torchcaffe.layers.scale.scale", Bottom(0), Bottom(1), axis))
