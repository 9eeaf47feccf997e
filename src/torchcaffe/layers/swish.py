"""Swish: y = x / (1 + exp(-beta * x))."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer
from torchcaffe.layers.sigmoid import logistic


class SwishFunction(torch.autograd.Function):
    """x * logistic(beta * x) and its gradient as Caffe rounds them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, beta: float) -> Tensor:
        """y as x."""
        gate = logistic(x * beta)
        y = x * gate
        ctx.save_for_backward(y, gate)
        ctx.beta = beta
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """dx = dy * (beta * y + s * (1 - beta * y)), s = logistic(beta * x), in float64."""
        y, gate = ctx.saved_tensors
        y = (y * ctx.beta).double()
        return (1 - y).mul_(gate).add_(y).mul_(grad).to(grad.dtype), None


def swish(x: Tensor, beta: float = 1.0) -> Tensor:
    """x * logistic(beta * x) with Caffe's roundings, forward and backward."""
    y: Tensor = SwishFunction.apply(x, beta)
    return y


@caffe_layer(
    "Swish",
    bottoms=1,
    tops=1,
    exactness=bitwise(),
    gradient=bitwise(),
    in_place="ok",
    reads_top=True,
)
def swish_layer(layer: Setup) -> Plan:
    """y = x / (1 + exp(-beta * x)).

    bottom  x  (...)  any shape
    top     y  as x
    torch   nn.SiLU for beta 1, up to rounding: Caffe's logistic function is that of Sigmoid
    Caffe   src/caffe/layers/swish_layer.cpp
    """
    beta = layer.param.swish_param.beta
    options = {"beta": beta} if beta != 1 else {}
    return Plan(Call("torchcaffe.layers.swish.swish", Bottom(0), **options))
