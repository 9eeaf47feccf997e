"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from typing import Any

import torch

from torchcaffe.solvers._base import CaffeOptimizer, Params, Tensors


class SGD(CaffeOptimizer):
    """Caffe's SGD::

        h = momentum * h
        h = h + rate * g
        w = w - h

    Caffe  src/caffe/solvers/sgd_solver.cpp; g, rate and the settings are CaffeOptimizer's.
    torch  ``torch.optim.SGD`` keeps the rate out of the momentum: buf = momentum * buf + g and
           w = w - lr * buf. The two agree while the rate stays as it is. When it falls, Caffe's
           history still moves by the old rate until it has faded.

    Without momentum, no history is kept, unless there is one already.
    """

    def __init__(
        self, params: Params, lr: float, *, momentum: float = 0.0, **settings: Any
    ) -> None:
        super().__init__(params, lr, momentum=momentum, **settings)

    def update(
        self, grads: Tensors, histories: list[Tensors], rate: float, group: dict[str, Any]
    ) -> Tensors:
        """The new history itself."""
        if not histories:
            return list(torch._foreach_mul(grads, rate))
        (history,) = histories
        torch._foreach_mul_(history, group["momentum"])
        torch._foreach_add_(history, grads, alpha=rate)
        return history

    def remembers(self, group: dict[str, Any], params: Tensors) -> bool:
        """With momentum, or where a solver wants to save the history."""
        return bool(group["momentum"]) or all(param in self.state for param in params)
