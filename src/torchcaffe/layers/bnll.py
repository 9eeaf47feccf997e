"""BNLL: y = log(1 + exp(x))."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer
from torchcaffe.layers.exp import expf


class BNLLFunction(torch.autograd.Function):
    """log(1 + exp(x)) and its gradient: exp rounded to float32, the rest in float64."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, in_place: bool) -> Tensor:
        """y as x, max(x, 0) + log(1 + exp(-|x|))."""
        y = (expf(-x.abs()).double() + 1).log_().add_(x.clamp(min=0)).to(x.dtype)
        ctx.save_for_backward(y if in_place else x)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """dx = (dy * e) / (e + 1), e = exp(min(x, 50)); in place, y is where x was."""
        (x,) = ctx.saved_tensors
        e = expf(x.clamp(max=50))
        return ((grad * e).double() / (e.double() + 1)).to(grad.dtype), None


def bnll(x: Tensor, in_place: bool = False) -> Tensor:
    """log(1 + exp(x)) with Caffe's roundings and gradient, in place or not."""
    y: Tensor = BNLLFunction.apply(x, in_place)
    return y


@caffe_layer(
    "BNLL",
    bottoms=1,
    tops=1,
    exactness=bitwise(),
    gradient=bitwise(),
    in_place="forward",
    reads_top=True,
)
def bnll_layer(layer: Setup) -> Plan:
    """y = log(1 + exp(x)).

    bottom  x  (...)  any shape
    top     y  as x
    torch   torch.nn.functional.softplus, up to rounding
    Caffe   src/caffe/layers/bnll_layer.cpp; in place, the gradient is that at y
    """
    options = {"in_place": True} if layer.param.bottom[0] == layer.param.top[0] else {}
    return Plan(Call("torchcaffe.layers.bnll.bnll", Bottom(0), **options))
