"""Weight decay: the gradient of a penalty on the weights, added to their gradients.

Caffe: ``src/caffe/solvers/sgd_solver.cpp`` (Regularize). It is added whatever the update rule, so
that Adam is the Adam of before AdamW.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from torchcaffe.errors import SolverError

KINDS = ("L2", "L1")


def check_kind(kind: str) -> str:
    """``kind`` if it is one of KINDS; SolverError otherwise."""
    if kind not in KINDS:
        raise SolverError(f'regularization_type takes "L2" or "L1", got "{kind}"')
    return kind


def regularised(
    grads: Sequence[Tensor], weights: Sequence[Tensor], decay: float, kind: str
) -> Sequence[Tensor]:
    """g + decay * w (L2), or g + decay * sign(w) (L1) where sign(0) is 0.

    A decay of 0 gives the gradients themselves, which are never changed.
    """
    if not decay:
        return grads
    penalty = weights if check_kind(kind) == "L2" else torch._foreach_sign(list(weights))
    return torch._foreach_add(list(grads), list(penalty), alpha=decay)
