"""ReLU: y = max(x, 0) + negative_slope * min(x, 0)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._geometry import refuse_cudnn
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


class NegativeSlopeInPlace(torch.autograd.Function):
    """A leaky ReLU of negative slope, and the gradient that is left when y lies over x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:
        """y as x."""
        y = functional.leaky_relu(x, slope)
        ctx.save_for_backward(y)
        ctx.slope = slope
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """dy where y is positive, as it is for every x but 0."""
        (y,) = ctx.saved_tensors
        return torch.where(y > 0, grad, grad * ctx.slope), None


def negative_slope_in_place(x: Tensor, slope: float) -> Tensor:
    """A leaky ReLU of negative slope with the gradient of Caffe's layer in place."""
    y: Tensor = NegativeSlopeInPlace.apply(x, slope)
    return y


@caffe_layer(
    "ReLU",
    bottoms=1,
    tops=1,
    exactness=bitwise(),
    gradient=bitwise(),
    in_place="ok",
    reads_top=True,
)
def relu(layer: Setup) -> Plan:
    """y = max(x, 0) + negative_slope * min(x, 0).

    bottom  x  (...)  any shape
    top     y  as x
    torch   nn.ReLU gives 0 at -inf, where Caffe's 0 * -inf is NaN; leaky_relu does as Caffe
    Caffe   src/caffe/layers/relu_layer.cpp; in place with a negative slope, the gradient is wrong
    """
    refuse_cudnn(layer, layer.param.relu_param)
    slope = layer.param.relu_param.negative_slope
    if slope:
        plain = Call("torch.nn.LeakyReLU", negative_slope=slope)
    else:
        plain = Call("torch.nn.ReLU")
    if slope < 0 and layer.param.bottom[0] == layer.param.top[0]:
        target = "torchcaffe.layers.relu.negative_slope_in_place"
        return Plan(Call(target, Bottom(0), slope), plain=plain)
    # A slope of -0.0 gives +0.0 for negative numbers, as Caffe's sum does, and NaN at -inf.
    return Plan(Call("torch.nn.functional.leaky_relu", Bottom(0), slope or -0.0), plain=plain)
