"""Move numbers by one part in many, up or down at random, as rounding would."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

POOL = 2**20
"""Signs that are drawn once and then read from random places: drawing costs more than a layer."""

SAMPLE = 4096
"""Of a larger tensor, this many elements are looked at to see if it holds whole numbers."""

COPIES = ("copy_", "fill_", "zero_", "set_", "resize_", "index_put_", "scatter_", "masked_fill_")
"""Operators that change a tensor and round nothing."""


class Nudge(TorchDispatchMode):
    """Within it, everything that torch's operators compute is off by one part in ``1 / step``.

    Whole numbers stay: they are indices and labels, or exact. Of two with steps of opposite sign
    and the same seed, one moves up what the other moves down.
    """

    def __init__(self, seed: int, step: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.generator = np.random.default_rng(seed)
        bits = np.unpackbits(np.frombuffer(self.generator.bytes(POOL // 8), np.uint8))
        self.pool = torch.from_numpy(1 + step * (2.0 * bits - 1))
        self.pools = {self.pool.dtype: self.pool}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.is_view or func.overloadpacket.__name__ in COPIES:
            return result
        given = {id(value) for value in tree_leaves((args, kwargs))}
        return tree_map_only(
            Tensor,
            # What an operator writes into one of its arguments is moved there.
            lambda value: value.copy_(self._moved(value))
            if id(value) in given
            else self._moved(value),
            result,
        )

    def _moved(self, value: Tensor) -> Tensor:
        if not value.is_floating_point() or value.is_meta:
            return value
        sample = value.flatten()[:: value.numel() // SAMPLE + 1]
        if ((sample == sample.round()) & (sample != 0)).any():
            return torch.where(value == value.round(), value, self.move(value))
        return self.move(value)

    def move(self, value: Tensor) -> Tensor:
        """``value`` with each element off by the step."""
        return value * self.signs(value)

    def signs(self, like: Tensor) -> Tensor:
        """1 + step or 1 - step for each element of ``like``, in its type and on its device."""
        count = prod(like.shape)
        pool = self.pools.get(like.dtype)
        if pool is None or pool.device != like.device:
            pool = self.pools[like.dtype] = self.pool.to(like)
        start = int(self.generator.integers(POOL))
        if start + count > POOL:
            pool = torch.cat([pool[start:], pool.repeat(count // POOL + 1)])
            start = 0
        return pool[start : start + count].reshape(like.shape)
