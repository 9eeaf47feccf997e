"""AdaDelta: steps in the proportion of recent steps to recent gradients."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from torchcaffe.solvers._base import CaffeOptimizer, Params, Tensors
from torchcaffe.solvers._roots import roots
from torchcaffe.solvers._single import single


class AdaDelta(CaffeOptimizer):
    """Caffe's AdaDelta, whose decay is called momentum::

        h = momentum * h
        h = h + (1 - momentum) * (g * g)
        u = g * sqrt((delta + h2) / (delta + h))
        h2 = momentum * h2
        h2 = h2 + (1 - momentum) * (u * u)
        w = w - rate * u

    Caffe  src/caffe/solvers/adadelta_solver.cpp; g, rate and the settings are CaffeOptimizer's.
    torch  ``torch.optim.Adadelta`` with rho=momentum and eps=delta is the same up to rounding: it
           takes two roots and divides them. Its own settings are rho 0.9, eps 1e-6 and lr 1; here
           momentum is 0 unless it is given, as in Caffe.
    """

    histories: ClassVar[tuple[str, ...]] = ("squared_gradients", "squared_updates")

    def __init__(
        self,
        params: Params,
        lr: float,
        *,
        momentum: float = 0.0,
        delta: float = 1e-8,
        **settings: Any,
    ) -> None:
        super().__init__(params, lr, momentum=momentum, delta=delta, **settings)

    def update(
        self, grads: Tensors, histories: list[Tensors], rate: float, group: dict[str, Any]
    ) -> Tensors:
        """The gradients, each times the root of past updates over past gradients."""
        gradients, updates = histories
        decay, rest = group["momentum"], single(1 - group["momentum"])
        torch._foreach_mul_(gradients, decay)
        torch._foreach_add_(gradients, torch._foreach_mul(grads, grads), alpha=rest)
        value = list(torch._foreach_add(updates, group["delta"]))
        torch._foreach_div_(value, torch._foreach_add(gradients, group["delta"]))
        value = roots(value)
        torch._foreach_mul_(value, grads)
        torch._foreach_mul_(updates, decay)
        torch._foreach_add_(updates, torch._foreach_mul(value, value), alpha=rest)
        torch._foreach_mul_(value, rate)
        return value
