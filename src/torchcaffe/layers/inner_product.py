"""InnerProduct: a fully connected layer over everything from one axis on."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from torchcaffe.layers._call import Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._registry import Blob, Plan, Setup, caffe_layer, filler, shape_text


class InnerProduct(nn.Module):
    """A linear map of the axes from ``axis`` on, taken as one; nn.Linear maps the last axis only.

    With ``transpose`` the weight is stored (features, num_output).
    """

    def __init__(
        self,
        features: int,
        num_output: int,
        axis: int = 1,
        bias: bool = True,
        transpose: bool = False,
    ) -> None:
        super().__init__()
        shape = (features, num_output) if transpose else (num_output, features)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(num_output)) if bias else None
        self.axis, self.transpose = axis, transpose

    def forward(self, x: Tensor) -> Tensor:
        """(N..., features...) to (N..., num_output)."""
        weight = self.weight.t() if self.transpose else self.weight
        return functional.linear(x.flatten(self.axis), weight, self.bias)


@caffe_layer("InnerProduct", bottoms=1, tops=1, exactness=accumulated(), bilinear=True)
def inner_product(layer: Setup) -> Plan:
    """y = w x + b over all axes from ``axis`` on.

    bottom  x  (N..., K...)  the axes before ``axis`` are batch, the others are flattened
    top     y  (N..., num_output)
    blobs   w  (num_output, K), or (K, num_output) with ``transpose``;  b  (num_output)
    torch   nn.Linear, which maps the last axis only: the bottom is flattened first
    Caffe   src/caffe/layers/inner_product_layer.cpp
    """
    p = layer.param.inner_product_param
    layer.require(p.num_output > 0, f"num_output must be positive, got {p.num_output}")
    shape = layer.bottoms[0]
    axis = layer.axis(p.axis)
    features = prod(shape[axis:])
    layer.require(features > 0, f"its bottom has no features, it is {shape_text(shape)}")
    blobs = [Blob("weight", filler(p, "weight_filler"))]
    if p.bias_term:
        blobs.append(Blob("bias", filler(p, "bias_filler")))
    options: dict[str, object] = {} if p.bias_term else {"bias": False}
    plain = Call("torch.nn.Linear", features, p.num_output, **options)
    more: dict[str, Any] = {
        "multiply_adds": prod(shape) * p.num_output,
        "tops": ((*shape[:axis], p.num_output),),
    }
    if axis == len(shape) - 1 and not p.transpose:
        return Plan(plain, tuple(blobs), **more)
    target = "torchcaffe.layers.inner_product.InnerProduct"
    if p.transpose:
        call = Call(target, features, p.num_output, axis, **options, transpose=True)
        return Plan(call, tuple(blobs), **more)
    call = Call(target, features, p.num_output, axis, **options)
    plain = Call("torch.nn.Sequential", Call("torch.nn.Flatten", axis), plain)
    return Plan(call, tuple(blobs), plain, behind_flatten, **more)


def behind_flatten(blobs: Sequence[Tensor]) -> dict[str, Tensor]:
    """The state of nn.Sequential(nn.Flatten(...), nn.Linear(...))."""
    return dict(zip(("1.weight", "1.bias"), blobs, strict=False))
