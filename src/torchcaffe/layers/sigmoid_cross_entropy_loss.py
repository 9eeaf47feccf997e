"""SigmoidCrossEntropyLoss: cross-entropy of independent probabilities, given as logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import accumulated, bitwise
from torchcaffe.layers._loss import check_batch, loss_divisor, loss_options, normalization
from torchcaffe.layers._registry import Plan, Setup, caffe_layer, shape_text
from torchcaffe.layers.sigmoid import logistic


class SigmoidLossFunction(torch.autograd.Function):
    """The loss, with Caffe's rounding of the sigmoid in the gradient: in double, then once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, target: Tensor, ignore: int | None, mode: str) -> Tensor:
        """sum(log(1 + exp(-|x|)) - x * (t - [x >= 0])) / divisor."""
        target = target.reshape(x.shape)
        counts = None if ignore is None else target.long() != ignore
        ctx.divisor = loss_divisor(mode, counts, x.numel(), x.shape[0])
        ctx.save_for_backward(x, target, counts)
        positive = torch.ge(x, 0, out=torch.empty_like(x))
        terms = torch.addcmul(x, x, positive, value=-2).exp_().add_(1).log_()
        terms = terms.sub_((target - positive).mul_(x))
        if counts is not None:
            terms = torch.where(counts, terms, 0)
        loss: Tensor = terms.sum() / ctx.divisor
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """(sigmoid(x) - t) * grad / divisor, 0 where the target is ignored."""
        x, target, counts = ctx.saved_tensors
        slope = logistic(x).sub_(target).mul_(grad / ctx.divisor)
        if counts is not None:
            slope = slope.masked_fill_(~counts, 0)
        return slope, None, None, None


def sigmoid_loss(
    x: Tensor, target: Tensor, ignore: int | None = None, mode: str = "BATCH_SIZE"
) -> Tensor:
    """The loss; see SigmoidLossFunction."""
    result: Tensor = SigmoidLossFunction.apply(x, target, ignore, mode)
    return result


@caffe_layer(
    "SigmoidCrossEntropyLoss",
    bottoms=2,
    tops=1,
    exactness=accumulated(),
    gradient=bitwise(),
    loss=True,
    indices=(1,),
    params=("loss_param",),
)
def sigmoid_cross_entropy_loss(layer: Setup) -> Plan:
    """y = -sum(t log(p) + (1 - t) log(1 - p)) / Z with p = sigmoid(x).

    bottoms  x  (N, ...)  logits
             t  (N, ...)  as many targets, any numbers; ignored where ignore_label is t without its
                          fraction; no gradient
    top      y  ()        Z: BATCH_SIZE (the default here) N, VALID the numbers that count, FULL
                          all, NONE 1; at least 1
    torch    binary_cross_entropy_with_logits divides by the count of all numbers
    Caffe    src/caffe/layers/sigmoid_cross_entropy_loss_layer.cpp
    """
    check_batch(layer)
    x, target = layer.bottoms
    layer.require(
        torch.Size(x).numel() == torch.Size(target).numel(),
        f"wants one target for each number, got {shape_text(x)} and {shape_text(target)}",
    )
    ignore, mode = normalization(layer, "BATCH_SIZE")
    path = "torchcaffe.layers.sigmoid_cross_entropy_loss.sigmoid_loss"
    options = loss_options(None, ignore, mode, "BATCH_SIZE")
    return Plan(Call(path, Bottom(0), Bottom(1), **options), tops=((),))
