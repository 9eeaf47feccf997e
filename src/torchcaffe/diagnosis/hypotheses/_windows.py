"""Where a smaller image was cut out of a larger one."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

MOST = 20_000


def window(large: Tensor, small: Tensor) -> tuple[int, ...] | None:
    """The offsets at which ``small`` lies in ``large``, if it does."""
    if large.dim() != small.dim():
        return None
    room = [a - b + 1 for a, b in zip(large.shape, small.shape, strict=True)]
    if min(room) < 1:
        return None
    count = 1
    for size in room:
        count *= size
    if count > MOST:
        return None
    last = small.dim() - 1
    row = small[(0,) * last]
    scale = float(small.abs().max()) or 1.0
    for offsets in product(*(range(size) for size in room)):
        line = large[offsets[:last]][offsets[last] : offsets[last] + small.shape[last]]
        if bool((line - row).abs().max() <= 1e-4 * scale):
            found = cut(large, offsets, small)
            if torch.allclose(found, small, rtol=1e-3, atol=1e-4 * scale):
                return offsets
    return None


def cut(large: Tensor, offsets: tuple[int, ...], like: Tensor) -> Tensor:
    """The window of the size of ``like`` from ``offsets`` on."""
    for axis, offset in enumerate(offsets):
        large = large.narrow(axis, offset, like.shape[axis])
    return large
