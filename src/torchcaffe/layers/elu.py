"""ELU: y = x above 0, alpha * (exp(x) - 1) below."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer
from torchcaffe.layers.exp import expf


class ELUFunction(torch.autograd.Function):
    """max(x, 0) + alpha * (exp(min(x, 0)) - 1) and its gradient as Caffe rounds them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: float, in_place: bool) -> Tensor:
        """y as x."""
        y = expf(x.clamp(max=0)).sub_(1).mul_(alpha).add_(x.clamp(min=0))
        ctx.save_for_backward(y if in_place else x, y)
        ctx.alpha = alpha
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """dx = dy above 0, dy * (alpha + y) below and at it; in place, y is where x was."""
        x, y = ctx.saved_tensors
        if ctx.alpha < 0:
            return (y + ctx.alpha).mul_(x <= 0).add_(x > 0).mul_(grad), None, None
        # The same faster, but for an infinite y, where Caffe's gradient is not a number.
        dx = torch.ops.aten.elu_backward(grad, ctx.alpha, 1, 1, True, y)
        return dx.add_(y * 0), None, None


def elu(x: Tensor, alpha: float = 1.0, in_place: bool = False) -> Tensor:
    """max(x, 0) + alpha * (exp(min(x, 0)) - 1) with Caffe's roundings, in place or not."""
    y: Tensor = ELUFunction.apply(x, alpha, in_place)
    return y


@caffe_layer(
    "ELU", bottoms=1, tops=1, exactness=bitwise(), gradient=bitwise(), in_place="ok", reads_top=True
)
def elu_layer(layer: Setup) -> Plan:
    """y = max(x, 0) + alpha * (exp(min(x, 0)) - 1).

    bottom  x  (...)  any shape
    top     y  as x
    torch   nn.ELU, which keeps small y exact by expm1; Caffe's are multiples of alpha / 2**24
    Caffe   src/caffe/layers/elu_layer.cpp; in place with a negative alpha, the gradient is wrong
    """
    options: dict[str, object] = {}
    if layer.param.elu_param.alpha != 1:
        options["alpha"] = layer.param.elu_param.alpha
    if layer.param.bottom[0] == layer.param.top[0]:
        options["in_place"] = True
    return Plan(Call("torchcaffe.layers.elu.elu", Bottom(0), **options))
