"""Clipping: all gradients made shorter by one factor if together they are too long.

Caffe: ``src/caffe/solvers/sgd_solver.cpp`` (ClipGradients). ``torch.nn.utils.clip_grad_norm_`` adds
1e-6 to the norm, and is mostly called on averages; Caffe clips the sum over ``iter_size`` batches,
before it is averaged and before weight decay is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Clipped:
    """What clipping did: the gradients' L2 norm, the threshold, the factor they were given."""

    norm: float
    threshold: float
    scale: float


def clip(grads: Sequence[Tensor], threshold: float) -> Clipped | None:
    """By what to multiply ``grads``; None if their norm is at most ``threshold``.

    The factor is threshold / norm, without an epsilon. A threshold of 0 makes all gradients 0, a
    negative one clips nothing.
    """
    if threshold < 0 or not grads:
        return None
    precision = torch.promote_types(grads[0].dtype, torch.float32)
    dots = [torch.dot(grad.flatten(), grad.flatten()).to(precision) for grad in grads]
    squares = torch.stack(dots).cpu().numpy()
    total = squares.dtype.type(0)
    for square in squares:
        total += square
    norm = np.sqrt(total)
    if not norm > threshold:
        return None
    return Clipped(float(norm), threshold, float(norm.dtype.type(threshold) / norm))
