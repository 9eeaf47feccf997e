"""Move numbers by one part in many, up or down at random, as rounding would."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

WHOLE = 2.0**22
"""Whole numbers from here on may be sums that lost their fractions; below, they are exact."""


class Nudge(TorchDispatchMode):
    """Within it, everything that torch's operators compute is off by one part in ``1 / step``.

    Whole numbers stay: they are exact ones, and indices.
    """

    def __init__(self, seed: int, step: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.generator = np.random.default_rng(seed)
        self.step = step

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.is_view or func._schema.is_mutable:
            return result
        return tree_map_only(Tensor, self._moved, result)

    def _moved(self, value: Tensor) -> Tensor:
        if not value.is_floating_point() or value.is_meta:
            return value
        whole = (value == value.round()) & (value.abs() < WHOLE)
        return torch.where(whole, value, self.move(value))

    def move(self, value: Tensor) -> Tensor:
        """``value`` with each element off by the step."""
        return value * self.signs(value)

    def signs(self, like: Tensor) -> Tensor:
        """1 + step or 1 - step for each element of ``like``, in its type and on its device."""
        count = prod(like.shape)
        bits = np.frombuffer(self.generator.bytes(count // 8 + 1), np.uint8)
        up = torch.from_numpy(np.unpackbits(bits, count=count)).reshape(like.shape)
        return up.to(like).mul_(2 * self.step).add_(1 - self.step)
