"""Log: y = log(shift + scale * x) to a base."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import ulp
from torchcaffe.layers._registry import Plan, Setup, caffe_layer
from torchcaffe.layers.exp import base_logarithm
from torchcaffe.layers.power import affine


class LogInPlaceFunction(torch.autograd.Function):
    """log(scale * x + shift) * unit, and the gradient that is left when y lies over x."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: float, shift: float, unit: float, slope: float
    ) -> Tensor:
        """y as x."""
        y = torch.log(affine(x, scale, shift)) * unit
        ctx.save_for_backward(y)
        ctx.options = scale, shift, slope
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        """The square of the slope at y: Caffe writes it over dy before it multiplies the two."""
        (y,) = ctx.saved_tensors
        scale, shift, slope = ctx.options
        dx = slope / affine(y, scale, shift)
        return dx * dx, None, None, None, None


def log_in_place(x: Tensor, scale: float, shift: float, unit: float, slope: float) -> Tensor:
    """log(scale * x + shift) * unit with the gradient of Caffe's layer in place."""
    y: Tensor = LogInPlaceFunction.apply(x, scale, shift, unit, slope)
    return y


# torch's log is a unit from C's at most, and multiplying by 1 / log(base) can make 2 of it. (1 in
# 700 bases of up to 3 digits has a logarithm that C rounds to the float beside it.)
@caffe_layer("Log", bottoms=1, tops=1, exactness=ulp(2), in_place="forward", reads_top=True)
def log_layer(layer: Setup) -> Plan:
    """y = log(shift + scale * x) / log(base).

    bottom  x  (...)  any shape
    top     y  as x
    torch   torch.log(x * scale + shift) / log(base)
    Caffe   src/caffe/layers/log_layer.cpp; a base of -1 stands for e. In place the gradient is the
            square of the slope, whatever came from above
    """
    p = layer.param.log_param
    log_base = base_logarithm(layer, p.base)
    layer.require(
        log_base != 0 and math.isfinite(np.float32(1) / np.float32(log_base)),
        f"base must not be 1, whose logarithm is 0; got {p.base:g}",
    )
    unit = float(np.float32(1) / np.float32(log_base))
    slope = float(np.float32(p.scale) / np.float32(log_base))
    exactness = ulp(1) if unit == 1 else None
    if layer.param.bottom[0] == layer.param.top[0]:
        target = "torchcaffe.layers.log.log_in_place"
        return Plan(Call(target, Bottom(0), p.scale, p.shift, unit, slope), exactness=exactness)
    line: Call | Bottom = Bottom(0)
    if p.scale != 1:
        line = Call("operator.mul", line, p.scale)
    if p.shift != 0:
        line = Call("operator.add", line, p.shift)
    line = Call("torch.log", line)
    if unit != 1:
        line = Call("operator.mul", line, unit)
    return Plan(line, exactness=exactness)
