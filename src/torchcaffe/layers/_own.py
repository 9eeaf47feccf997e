"""Modules of a person's own: what shapes they give."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from torchcaffe.layers._registry import Setup, Shape


def shapes_of(module: nn.Module, layer: Setup) -> tuple[Shape, ...]:
    """The top shapes, by running a copy of the module on zeros."""
    bottoms = [torch.zeros(shape) for shape in layer.bottoms]
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        result: Any = copy.deepcopy(module)(*bottoms)
    tops = (result,) if isinstance(result, Tensor) else result
    what = type(module).__name__
    if not isinstance(tops, (tuple, list)) or not all(isinstance(top, Tensor) for top in tops):
        raise layer.refuse(f"{what} must give a tensor or a tuple of tensors, got {result!r:.80}")
    layer.require(
        len(tops) == layer.tops, f"{what} gives {len(tops)} tensors for {layer.tops} tops"
    )
    return tuple(tuple(top.shape) for top in tops)
