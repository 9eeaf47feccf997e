"""Element by element, without large temporaries."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def in_pieces(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """function(*inputs), which works element by element, on the CPU a piece after the other.

    So the float64 numbers made on the way stay in the cache: in whole tensors, they take several
    times as long. The inputs have one shape.
    """
    first = inputs[0]
    if torch.compiler.is_compiling() or not (first.is_cpu and first.is_contiguous()):
        return function(*inputs)
    piece = 32768 * torch.get_num_threads()
    y = torch.empty_like(first)
    for part, *given in zip(*[x.reshape(-1).split(piece) for x in (y, *inputs)], strict=True):
        part.copy_(function(*given))
    return y
