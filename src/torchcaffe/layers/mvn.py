"""MVN: each plane, or each image, shifted to mean 0 and scaled to variance 1."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


class MVNFunction(torch.autograd.Function):
    """x / (deviation + eps) for x of mean 0, with a gradient that takes eps as 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, axes: tuple[int, ...], eps: float, in_place: bool) -> Tensor:
        """y as x; the deviation is taken over ``axes``."""
        deviation = (x * x).mean(axes, keepdim=True).sqrt_().add_(eps)
        y = x / deviation
        ctx.save_for_backward(y, deviation)
        ctx.axes, ctx.in_place = axes, in_place
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        """dx = (dy - mean(dy) - y * mean(dy * y)) / (deviation + eps)."""
        y, deviation = ctx.saved_tensors
        axes = ctx.axes
        pull = y * (grad * y).mean(axes, keepdim=True)
        if ctx.in_place:
            # dy lies under dx: by the time Caffe adds dy, -pull is there.
            return -2 * pull / deviation, None, None, None
        return (grad - grad.mean(axes, keepdim=True) - pull) / deviation, None, None, None


def mvn(
    x: Tensor,
    normalize_variance: bool = True,
    across_channels: bool = False,
    eps: float = 1e-9,
    in_place: bool = False,
) -> Tensor:
    """(N, C, H, W), or fewer axes, to (N, C, H, W) of mean 0 and variance 1."""
    x = x.reshape(*x.shape, *[1] * (4 - x.dim()))
    axes = (1, 2, 3) if across_channels else (2, 3)
    x = x - x.mean(axes, keepdim=True)
    if not normalize_variance:
        return x
    y: Tensor = MVNFunction.apply(x, axes, eps, in_place)
    return y


@caffe_layer("MVN", bottoms=1, tops=1, exactness=accumulated(), in_place="forward", max_axes=4)
def mvn_layer(layer: Setup) -> Plan:
    """y = (x - mean) / (deviation + eps) over each plane, or each image with across_channels.

    bottom  x  (N, C, H, W), or fewer axes
    top     y  (N, C, H, W), with sizes of 1 for axes that x lacks
    torch   functional.instance_norm and layer_norm have eps within the root
    Caffe   src/caffe/layers/mvn_layer.cpp; the gradient takes eps as 0. In place, dy is overwritten
            before it is read, and the gradient is -2 * y * mean(dy * y) / (deviation + eps)
    """
    p = layer.param.mvn_param
    shape = layer.bottoms[0]
    layer.require(prod(shape) > 0, f"its bottom is empty, its shape is {shape}")
    options: dict[str, object] = {}
    if not p.normalize_variance:
        options["normalize_variance"] = False
    if p.across_channels:
        options["across_channels"] = True
    if p.normalize_variance and p.eps != np.float32(1e-9):
        options["eps"] = p.eps
    if layer.param.bottom[0] == layer.param.top[0]:
        options["in_place"] = True
    call = Call("torchcaffe.layers.mvn.mvn", Bottom(0), **options)
    return Plan(call, tops=((*shape, *[1] * (4 - len(shape))),))
