"""AdaGrad: steps divided by the length of all gradients so far."""

from __future__ import annotations

from typing import Any

import torch

from torchcaffe.solvers._base import CaffeOptimizer, Params, Tensors
from torchcaffe.solvers._roots import roots


class AdaGrad(CaffeOptimizer):
    """Caffe's AdaGrad::

        h = g * g + h
        w = w - rate * (g / (sqrt(h) + delta))

    Caffe  src/caffe/solvers/adagrad_solver.cpp; g, rate and the settings are CaffeOptimizer's.
    torch  ``torch.optim.Adagrad`` with eps=delta is the same up to rounding: it multiplies g by the
           rate first. Its own eps is 1e-10.
    """

    def __init__(self, params: Params, lr: float, *, delta: float = 1e-8, **settings: Any) -> None:
        super().__init__(params, lr, delta=delta, **settings)

    def update(
        self, grads: Tensors, histories: list[Tensors], rate: float, group: dict[str, Any]
    ) -> Tensors:
        """The gradients, each over the root of its history."""
        (history,) = histories
        torch._foreach_add_(history, torch._foreach_mul(grads, grads))
        root = roots(history)
        torch._foreach_add_(root, group["delta"])
        value = torch._foreach_div(grads, root)
        torch._foreach_mul_(value, rate)
        return list(value)
