"""Bias: add values that lie along some of the axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Blob, Plan, Setup, Shape, caffe_layer, filler, shape_text


class Bias(nn.Module):
    """Add a learned value to each place along the axes from ``axis`` on."""

    def __init__(self, shape: Sequence[int], axis: int = 1) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(shape))
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """(...) to the same shape."""
        return x + align(self.bias, x, self.axis)


def align(values: Tensor, x: Tensor, axis: int) -> Tensor:
    """A view of ``values`` that torch broadcasts over x with its first axis at ``axis``."""
    return values.reshape(*values.shape, *[1] * (x.dim() - axis - values.dim()))


def add_bias(x: Tensor, bias: Tensor, axis: int) -> Tensor:
    """x + bias, whose axes are those of x from ``axis`` on."""
    return x + align(bias, x, axis)


@caffe_layer("Bias", bottoms=(1, 2), tops=1, exactness=bitwise(), in_place="ok")
def bias_layer(layer: Setup) -> Plan:
    """y = x + b, b lying along the axes of x from ``axis`` on.

    bottoms  x  (...)  any shape;  b  x.shape[axis:axis + n], or () for one value
    top      y  as x
    blobs    b  x.shape[axis:axis + num_axes], if there is no second bottom
    torch    x + b.view(...): torch aligns at the last axis, Caffe at ``axis``
    Caffe    src/caffe/layers/bias_layer.cpp; with two bottoms, num_axes is not read
    """
    p = layer.param.bias_param
    axis, shape = aligned(layer, p)
    if len(layer.bottoms) == 2:
        if shape == layer.bottoms[0]:
            return Plan(Call("operator.add", Bottom(0), Bottom(1)))
        return Plan(Call("torchcaffe.layers.bias.add_bias", Bottom(0), Bottom(1), axis))
    call = Call("torchcaffe.layers.bias.Bias", shape, axis)
    return Plan(call, (Blob("bias", filler(p, "filler")),))


def aligned(layer: Setup, p: Any) -> tuple[int, Shape]:
    """Where along the first bottom the blob or the second bottom lies, and its shape."""
    whole = layer.bottoms[0]
    if len(layer.bottoms) == 1:
        axis = layer.axis(p.axis)
        layer.require(
            p.num_axes >= -1, f"num_axes must be -1 (to the end) or more, got {p.num_axes}"
        )
        end = len(whole) if p.num_axes == -1 else axis + p.num_axes
        layer.require(
            end <= len(whole),
            f"axis {axis} and num_axes {p.num_axes} reach beyond the {len(whole)} axes of its "
            f"bottom {shape_text(whole)}; num_axes: -1 goes to the last",
        )
        return axis, whole[axis:end]
    part = layer.bottoms[1]
    axis = layer.axis(p.axis) if part else 0
    layer.require(
        whole[axis : axis + len(part)] == part,
        f"bottom 1 must have the shape of bottom 0 from axis {axis} on; it is {shape_text(part)}, "
        f"and bottom 0 is {shape_text(whole)}",
    )
    return axis, part
