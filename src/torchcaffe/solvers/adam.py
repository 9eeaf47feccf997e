"""Adam: momentum, and steps divided by the length of recent gradients."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch

from torchcaffe.solvers._base import CaffeOptimizer, Params, Tensors
from torchcaffe.solvers._roots import roots
from torchcaffe.solvers._single import single


class Adam(CaffeOptimizer):
    """Caffe's Adam, with t = 1 at the first step::

        m = momentum * m
        m = m + (1 - momentum) * g
        v = momentum2 * v
        v = v + (1 - momentum2) * (g * g)
        c = sqrt(1 - momentum2**t) / (1 - momentum**t)
        w = w - (rate * c) * (m / (sqrt(v) + delta))

    c is computed in double; c and rate * c are then rounded to float32. t counts the solver's
    steps, not the parameter's.

    Caffe  src/caffe/solvers/adam_solver.cpp; g, rate and the settings are CaffeOptimizer's.
    torch  ``torch.optim.Adam`` corrects v before it adds eps, so that delta = eps * sqrt(1 -
           momentum2**t), which changes from step to step. Its betas are 0.9 and 0.999; here
           momentum is 0 unless it is given, as in Caffe. Weight decay goes through m and v, as in
           torch's Adam and not as in AdamW.
    """

    histories: ClassVar[tuple[str, ...]] = ("first_moment", "second_moment")

    def __init__(
        self,
        params: Params,
        lr: float,
        *,
        momentum: float = 0.0,
        momentum2: float = 0.999,
        delta: float = 1e-8,
        **settings: Any,
    ) -> None:
        super().__init__(
            params, lr, momentum=momentum, momentum2=momentum2, delta=delta, **settings
        )

    def update(
        self, grads: Tensors, histories: list[Tensors], rate: float, group: dict[str, Any]
    ) -> Tensors:
        """The first moments, each over the root of the second."""
        first, second = histories
        beta1, beta2 = group["momentum"], group["momentum2"]
        torch._foreach_mul_(first, beta1)
        torch._foreach_add_(first, grads, alpha=single(1 - beta1))
        torch._foreach_mul_(second, beta2)
        torch._foreach_add_(second, torch._foreach_mul(grads, grads), alpha=single(1 - beta2))
        root = roots(second)
        torch._foreach_add_(root, group["delta"])
        value = torch._foreach_div(first, root)
        torch._foreach_mul_(value, single(rate * correction(beta1, beta2, group["iter"] + 1)))
        return list(value)


def correction(beta1: float, beta2: float, t: int) -> float:
    """sqrt(1 - beta2**t) / (1 - beta1**t), in double and then rounded to float32."""
    with np.errstate(all="ignore"):
        return single(np.sqrt(1 - np.power(beta2, t)) / (1 - np.power(beta1, t)))
