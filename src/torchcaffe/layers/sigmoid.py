"""Sigmoid: y = 1 / (1 + exp(-x))."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._geometry import refuse_cudnn
from torchcaffe.layers._pieces import in_pieces
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


class SigmoidFunction(torch.autograd.Function):
    """The logistic function and its gradient as Caffe rounds them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """y as x."""
        y = logistic(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """dx = (dy * y) * (1 - y), the second product in float64."""
        (y,) = ctx.saved_tensors
        return in_pieces(logistic_slope, y, grad)


def logistic(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)) in float64, rounded once.

    Caffe writes it tanh(x / 2) / 2 + 1 / 2, which far below 1/2 leaves multiples of 2**-54.
    """
    return in_pieces(
        lambda x: x.to(torch.float64, copy=True).sigmoid_().sub_(0.5).add_(0.5).to(x.dtype), x
    )


def logistic_slope(y: Tensor, grad: Tensor) -> Tensor:
    """(grad * y) * (1 - y), the second product in float64."""
    slope: Tensor = (1 - y.double()).mul_(grad * y)
    return slope.to(grad.dtype)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)) with Caffe's roundings, forward and backward."""
    y: Tensor = SigmoidFunction.apply(x)
    return y


@caffe_layer(
    "Sigmoid",
    bottoms=1,
    tops=1,
    exactness=bitwise(),
    gradient=bitwise(),
    in_place="ok",
    reads_top=True,
)
def sigmoid_layer(layer: Setup) -> Plan:
    """y = 1 / (1 + exp(-x)).

    bottom  x  (...)  any shape
    top     y  as x
    torch   torch.sigmoid in float32, which differs by a unit in the last place for every third x
            and by more for x below -16; Caffe computes in float64
    Caffe   src/caffe/layers/sigmoid_layer.cpp
    """
    refuse_cudnn(layer, layer.param.sigmoid_param)
    return Plan(Call("torchcaffe.layers.sigmoid.sigmoid", Bottom(0)))
