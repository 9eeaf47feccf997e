"""Clip: y = x, no less than min and no more than max."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


class ClipFunction(torch.autograd.Function):
    """max(low, min(x, high)); what is not a number becomes low."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float, in_place: bool) -> Tensor:
        """y as x."""
        if low > high:
            y = torch.full_like(x, low)
        else:
            y = torch.nan_to_num(x.clamp(low, high), nan=low, posinf=high, neginf=low)
        ctx.save_for_backward(y if in_place else x)
        ctx.range = low, high
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        """dy from low to high, both included; in place, y is where x was."""
        (x,) = ctx.saved_tensors
        low, high = ctx.range
        return grad * ((x >= low) & (x <= high)), None, None, None


def clip(x: Tensor, low: float, high: float, in_place: bool = False) -> Tensor:
    """max(low, min(x, high)) with Caffe's gradient, in place or not."""
    y: Tensor = ClipFunction.apply(x, low, high, in_place)
    return y


@caffe_layer(
    "Clip",
    bottoms=1,
    tops=1,
    exactness=bitwise(),
    gradient=bitwise(),
    in_place="forward",
    reads_top=True,
)
def clip_layer(layer: Setup) -> Plan:
    """y = max(min, min(x, max)).

    bottom  x  (...)  any shape
    top     y  as x
    torch   torch.clamp, which keeps NaN and prefers max where min is larger
    Caffe   src/caffe/layers/clip_layer.cpp; NaN becomes min. In place, the gradient passes
            everywhere
    """
    p = layer.param.clip_param
    options = {"in_place": True} if layer.param.bottom[0] == layer.param.top[0] else {}
    plain = Call("torch.clamp", Bottom(0), p.min, p.max) if p.min <= p.max else None
    call = Call("torchcaffe.layers.clip.clip", Bottom(0), p.min, p.max, **options)
    return Plan(call, plain=plain)
