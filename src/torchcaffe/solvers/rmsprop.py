"""RMSProp: steps divided by the length of recent gradients."""

from __future__ import annotations

from typing import Any

import torch

from torchcaffe.errors import SolverError
from torchcaffe.solvers._base import CaffeOptimizer, Params, Tensors
from torchcaffe.solvers._roots import roots
from torchcaffe.solvers._single import single


class RMSProp(CaffeOptimizer):
    """Caffe's RMSProp::

        h = rms_decay * h
        h = h + (1 - rms_decay) * (g * g)
        w = w - rate * (g / (sqrt(h) + delta))

    Caffe  src/caffe/solvers/rmsprop_solver.cpp; g, rate and the settings are CaffeOptimizer's.
    torch  ``torch.optim.RMSprop`` with alpha=rms_decay and eps=delta is the same up to rounding; it
           can also centre, and keep momentum, which Caffe cannot.
    """

    def __init__(
        self,
        params: Params,
        lr: float,
        *,
        rms_decay: float = 0.99,
        delta: float = 1e-8,
        **settings: Any,
    ) -> None:
        if not 0 <= rms_decay < 1:
            raise SolverError(f"rms_decay lies from 0 to below 1, got {rms_decay:g}")
        super().__init__(params, lr, rms_decay=rms_decay, delta=delta, **settings)

    def update(
        self, grads: Tensors, histories: list[Tensors], rate: float, group: dict[str, Any]
    ) -> Tensors:
        """The gradients, each over the root of its history."""
        (history,) = histories
        decay = group["rms_decay"]
        torch._foreach_mul_(history, decay)
        torch._foreach_add_(history, torch._foreach_mul(grads, grads), alpha=single(1 - decay))
        root = roots(history)
        torch._foreach_add_(root, group["delta"])
        value = torch._foreach_div(grads, root)
        torch._foreach_mul_(value, rate)
        return list(value)
