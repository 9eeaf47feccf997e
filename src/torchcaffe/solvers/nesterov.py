"""Nesterov's accelerated gradient."""

from __future__ import annotations

from typing import Any

import torch

from torchcaffe.solvers._base import CaffeOptimizer, Params, Tensors
from torchcaffe.solvers._single import single


class Nesterov(CaffeOptimizer):
    """Caffe's Nesterov, which steps back from the old history and over the new one::

        u = -momentum * h
        h = momentum * h
        h = h + rate * g
        u = u + (1 + momentum) * h
        w = w - u

    Caffe  src/caffe/solvers/nesterov_solver.cpp; g, rate and the settings are CaffeOptimizer's.
    torch  ``torch.optim.SGD(nesterov=True)`` steps by lr * (g + momentum * buf), the same while the
           rate stays as it is; see SGD. It refuses a momentum of 0, which here is plain SGD.
    """

    def __init__(
        self, params: Params, lr: float, *, momentum: float = 0.0, **settings: Any
    ) -> None:
        super().__init__(params, lr, momentum=momentum, **settings)

    def update(
        self, grads: Tensors, histories: list[Tensors], rate: float, group: dict[str, Any]
    ) -> Tensors:
        """Back over the old history, forward over the new."""
        (history,) = histories
        momentum = group["momentum"]
        value = torch._foreach_mul(history, -momentum)
        torch._foreach_mul_(history, momentum)
        torch._foreach_add_(history, grads, alpha=rate)
        torch._foreach_add_(value, history, alpha=single(1 + momentum))
        return list(value)
