"""ContrastiveLoss: pairs that are alike drawn together, others pushed apart up to a margin."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._loss import check_batch
from torchcaffe.layers._registry import Plan, Setup, Shape, caffe_layer, shape_text


class ContrastiveFunction(torch.autograd.Function):
    """The loss, with a gradient that divides by the distance plus 1e-4."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, b: Tensor, alike: Tensor, margin: float, legacy: bool
    ) -> Tensor:
        """sum(alike: d^2; else: max(margin - d, 0)^2, legacy: max(margin - d^2, 0)) / 2N."""
        diff = (a - b.reshape(a.shape)).reshape(a.shape[0], -1)
        square = diff.square().sum(1)
        same = alike.flatten()[: a.shape[0]].long() != 0
        ctx.margin, ctx.legacy, ctx.shapes = margin, legacy, (a.shape, b.shape)
        ctx.save_for_backward(diff, square, same)
        if legacy:
            apart = (margin - square).clamp(min=0)
        else:
            apart = (margin - square.sqrt()).clamp(min=0).square()
        return torch.where(same, square, apart).sum() / a.shape[0] / 2

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """grad / N * (a - b) for pairs that are alike; against it for others within the margin."""
        diff, square, same = ctx.saved_tensors
        alpha = grad / len(diff)
        if ctx.legacy:
            room, beta = ctx.margin - square, -alpha
        else:
            distance = square.sqrt()
            room = ctx.margin - distance
            beta = -alpha * room / (distance + 1e-4)
        factor = torch.where(same, alpha, torch.where(room > 0, beta, 0))
        slope = torch.where(factor[:, None] == 0, 0, factor[:, None] * diff)
        first, second = ctx.shapes
        return slope.reshape(first), -slope.reshape(second), None, None, None


def contrastive_loss(
    a: Tensor, b: Tensor, alike: Tensor, margin: float = 1.0, legacy: bool = False
) -> Tensor:
    """The loss; see ContrastiveFunction."""
    result: Tensor = ContrastiveFunction.apply(a, b, alike, margin, legacy)
    return result


@caffe_layer(
    "ContrastiveLoss",
    bottoms=3,
    tops=1,
    exactness=accumulated(),
    loss=True,
    indices=(2,),
    max_axes=4,
)
def contrastive_loss_layer(layer: Setup) -> Plan:
    """y = sum(s d^2 + (1 - s) max(margin - d, 0)^2) / 2N with d = |a - b|; see legacy_version.

    bottoms  a, b  (N, C[, 1, 1])  features
             s     (N[, 1, 1, 1])  0 for pairs that differ, else 1 or more; no gradient
    top      y     ()
    torch    none; autograd's gradient is NaN for equal features
    Caffe    src/caffe/layers/contrastive_loss_layer.cpp; the gradient of pairs that differ has
             d + 1e-4 below the line. legacy_version takes max(margin - d^2, 0)
    """
    check_batch(layer)
    a, b, alike = (_legacy_shape(shape) for shape in layer.bottoms)
    layer.require(
        a[2:] == b[2:] == (1, 1) and a[1] == b[1],
        f"wants two blobs of features (N, C) or (N, C, 1, 1), got {shape_text(layer.bottoms[0])} "
        f"and {shape_text(layer.bottoms[1])}",
    )
    layer.require(
        alike[1:] == (1, 1, 1) and alike[0] >= a[0],
        f"wants one number for each of {a[0]} pairs, got {shape_text(layer.bottoms[2])}",
    )
    p = layer.param.contrastive_loss_param
    path = "torchcaffe.layers.contrastive_loss.contrastive_loss"
    options = {"legacy": True} if p.legacy_version else {}
    call = Call(path, Bottom(0), Bottom(1), Bottom(2), margin=p.margin, **options)
    return Plan(call, tops=((),))


def _legacy_shape(shape: Shape) -> Shape:
    """num, channels, height and width, 1 where the blob has no such axis."""
    return (*shape, *(1,) * (4 - len(shape)))
