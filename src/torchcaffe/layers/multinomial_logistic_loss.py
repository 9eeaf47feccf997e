"""MultinomialLogisticLoss: the loss of probabilities that are given."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import accumulated, bitwise
from torchcaffe.layers._loss import check_batch, class_labels
from torchcaffe.layers._registry import Plan, Setup, caffe_layer, shape_text


class LogLossFunction(torch.autograd.Function):
    """The loss, with a gradient that does not vanish where the probability is raised to 1e-20."""

    @staticmethod
    def forward(ctx: Any, prob: Tensor, label: Tensor) -> Tensor:
        """-sum(log(max(p[label], 1e-20))) / N."""
        rows = prob.reshape(prob.shape[0], -1)
        index = class_labels(label.flatten(), rows.shape[1])[0][:, None]
        picked = rows.gather(1, index).clamp(min=1e-20)
        ctx.shape = prob.shape
        ctx.save_for_backward(index, picked)
        return picked.log().sum().neg() / prob.shape[0]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """-grad / N / p at the label, 0 elsewhere."""
        index, picked = ctx.saved_tensors
        slope = picked.new_zeros(ctx.shape).reshape(ctx.shape[0], -1)
        slope = slope.scatter(1, index, -grad / ctx.shape[0] / picked)
        return slope.reshape(ctx.shape), None


def log_loss(prob: Tensor, label: Tensor) -> Tensor:
    """The loss; see LogLossFunction."""
    result: Tensor = LogLossFunction.apply(prob, label)
    return result


@caffe_layer(
    "MultinomialLogisticLoss",
    bottoms=2,
    tops=1,
    exactness=accumulated(),
    gradient=bitwise(),
    loss=True,
    indices=(1,),
    max_axes=4,
)
def multinomial_logistic_loss(layer: Setup) -> Plan:
    """y = -sum(log(max(p[label], 1e-20))) / N.

    bottoms  p      (N, ...)        probabilities
             label  (N[, 1, 1, 1])  0 to the probabilities of an item - 1; no gradient
    top      y      ()
    torch    nll_loss of the logarithm; its gradient is 0 or infinite where p is below 1e-20
    Caffe    src/caffe/layers/multinomial_logistic_loss_layer.cpp
    """
    check_batch(layer)
    labels = layer.bottoms[1]
    layer.require(
        all(size == 1 for size in labels[1:]),
        f"wants one label for each item, (N) or (N, 1, 1, 1), got {shape_text(labels)}",
    )
    path = "torchcaffe.layers.multinomial_logistic_loss.log_loss"
    return Plan(Call(path, Bottom(0), Bottom(1)), tops=((),))
