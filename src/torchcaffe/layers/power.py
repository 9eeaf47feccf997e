"""Power: y = (shift + scale * x) ** power."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise, ulp
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


class PowerFunction(torch.autograd.Function):
    """(shift + scale * x) ** power, and Caffe's gradient, which divides y by its base."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, power: float, scale: float, shift: float, in_place: bool
    ) -> Tensor:
        """y as x; a power or scale of 0 gives the same number everywhere, whatever x holds."""
        base = torch.full_like(x, shift) if power * scale == 0 else affine(x, scale, shift)
        y = base if power == 1 else base * base if power == 2 else pow_once(base, power)
        ctx.save_for_backward(y if in_place else x, y)
        ctx.options = power, scale, shift, in_place
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        """dx = power * scale * y / (shift + scale * x) * dy: not a number where the base is 0."""
        x, y = ctx.saved_tensors
        power, scale, shift, in_place = ctx.options
        if power * scale == 0 or power == 1:
            slope = torch.full_like(x, power * scale)
        elif power == 2:
            slope = affine(x, 2 * scale * scale, 2 * scale * shift)
        elif shift == 0:
            slope = y / x * power
        else:
            slope = y / affine(x, scale, shift) * (power * scale)
        # In place, Caffe writes the slope over dy before it multiplies the two.
        return slope * (slope if in_place else grad), None, None, None, None


def pow_once(x: Tensor, power: float) -> Tensor:
    """x ** power rounded once; a tensor as the exponent keeps C's answers for infinities."""
    exponent = torch.full((), power, dtype=torch.float64, device=x.device)
    return torch.pow(x.double(), exponent).to(x.dtype)


def affine(x: Tensor, scale: float, shift: float) -> Tensor:
    """scale * x + shift, without the steps that change nothing."""
    x = x if scale == 1 else x * scale
    return x if shift == 0 else x + shift


def power(x: Tensor, power: float, scale: float, shift: float, in_place: bool = False) -> Tensor:
    """(shift + scale * x) ** power with Caffe's gradient, in place or not."""
    y: Tensor = PowerFunction.apply(x, power, scale, shift, in_place)
    return y


# pow in float64 is rounded right, C's powf to within a unit.
@caffe_layer(
    "Power",
    bottoms=1,
    tops=1,
    exactness=ulp(1),
    gradient=ulp(8),
    in_place="forward",
    reads_top=True,
)
def power_layer(layer: Setup) -> Plan:
    """y = (shift + scale * x) ** power.

    bottom  x  (...)  any shape
    top     y  as x
    torch   torch.pow(x * scale + shift, power); its gradient is 0 or infinite where the base is 0,
            Caffe's is not a number, unless power is 0, 1 or 2
    Caffe   src/caffe/layers/power_layer.cpp; with a power or scale of 0, x is not read, and in
            place the gradient is the square of the slope, whatever came from above
    """
    p = layer.param.power_param
    in_place = layer.param.bottom[0] == layer.param.top[0]
    line: Call | Bottom = Bottom(0)
    if p.scale != 1:
        line = Call("operator.mul", line, p.scale)
    if p.shift != 0:
        line = Call("operator.add", line, p.shift)
    varies = p.power * p.scale != 0
    if p.power == 1 and varies and not in_place:
        return Plan(line, exactness=bitwise())
    options = {"in_place": True} if in_place else {}
    call = Call("torchcaffe.layers.power.power", Bottom(0), p.power, p.scale, p.shift, **options)
    if not varies:
        return Plan(call)
    if p.power == 1:
        return Plan(call, plain=line, exactness=bitwise())
    return Plan(call, plain=Call("torch.square", line) if p.power == 2 else None)
