"""SoftmaxWithLoss: softmax and multinomial logistic loss in one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._geometry import refuse_cudnn
from torchcaffe.layers._loss import (
    check_batch,
    check_labels,
    class_labels,
    loss_divisor,
    loss_options,
    normalization,
)
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


class SoftmaxLossFunction(torch.autograd.Function):
    """The loss and the probabilities; the gradient is that of the loss without its clamp."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, label: Tensor, axis: int, ignore: int | None, mode: str
    ) -> tuple[Tensor, Tensor]:
        """-sum(log(max(p[label], smallest normal float32))) / divisor, and p."""
        prob = torch.softmax(x, axis)
        place = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        index, counts = class_labels(label.reshape(place), x.shape[axis], ignore)
        batch = x.shape[:axis].numel()
        ctx.axis = axis
        ctx.divisor = loss_divisor(mode, counts, index.numel(), batch)
        picked = prob.gather(axis, index)
        ctx.save_for_backward(prob, index, counts, picked)
        terms = picked.clamp(min=2.0**-126).log()
        if counts is not None:
            terms = torch.where(counts, terms, 0)
        return terms.sum() / -ctx.divisor, prob

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """(p - 1 at the label) * grad / divisor, 0 where ignored; nothing of the gradient of p."""
        prob, index, counts, picked = ctx.saved_tensors
        scale = grad / ctx.divisor
        slope = (prob * scale).scatter_(ctx.axis, index, (picked - 1) * scale)
        if counts is not None:
            slope = slope.masked_fill_(~counts, 0)
        return slope, None, None, None, None


def softmax_loss(
    x: Tensor, label: Tensor, axis: int = 1, ignore: int | None = None, mode: str = "FULL"
) -> tuple[Tensor, Tensor]:
    """The loss and the probabilities; see SoftmaxLossFunction."""
    result: tuple[Tensor, Tensor] = SoftmaxLossFunction.apply(x, label, axis, ignore, mode)
    return result


@caffe_layer(
    "SoftmaxWithLoss",
    bottoms=2,
    tops=(1, 2),
    exactness=accumulated(),
    loss=True,
    indices=(1,),
    params=("softmax_param", "loss_param"),
)
def softmax_with_loss(layer: Setup) -> Plan:
    """y = -sum(log(max(p[label], 2^-126))) / Z with p = softmax(x) along ``axis``.

    bottoms  x      (N..., C, ...)  scores
             label  (N..., ...)     0 to C-1 or ignore_label, one for each position; no gradient
    tops     y      ()              Z: VALID the positions that count, FULL all, BATCH_SIZE the
                                    axes before ``axis``, NONE 1; at least 1
             p      as x            optional, without gradient
    torch    cross_entropy goes on rising where Caffe stays at 87.3365, and gives NaN where all
             labels are ignored
    Caffe    src/caffe/layers/softmax_loss_layer.cpp; its last version refuses a second top, others
             take it
    """
    p = layer.param.softmax_param
    refuse_cudnn(layer, p)
    axis = layer.axis(p.axis)
    check_batch(layer)
    check_labels(layer, axis)
    ignore, mode = normalization(layer)
    options = loss_options(axis, ignore, mode, "FULL")
    call = Call("torchcaffe.layers.softmax_loss.softmax_loss", Bottom(0), Bottom(1), **options)
    shapes = ((), layer.bottoms[0])[: layer.tops]
    return Plan(call if layer.tops == 2 else Call("operator.getitem", call, 0), tops=shapes)
