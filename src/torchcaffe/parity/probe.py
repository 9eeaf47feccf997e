"""How strongly each blob and gradient of a net depends on its inputs and weights.

The net is run in float64, then again with every input, weight and top gradient off by one part in
a few million, up or down at random, and so every number that torch's operators make on the way,
forward and backward. What that moves, rounding can move.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from torchcaffe.net import CaffeNet, Run
from torchcaffe.parity.compare import Sensitivity

Array = np.ndarray[Any, np.dtype[Any]]
Values = dict[str, Tensor]
Measure = Callable[[CaffeNet, Run, Values], Values]

STEP = 2.0**-22
PROBES = 6


def sensitivities(
    net: CaffeNet,
    inputs: Mapping[str, Array],
    measure: Measure,
    *,
    extra: Mapping[str, Array] | None = None,
    seed: int = 1701,
) -> dict[str, Sensitivity]:
    """The sensitivity of everything that ``measure`` reads off a run.

    ``extra`` are further arrays that ``measure`` multiplies with (gradients put on the tops); they
    are perturbed as well and handed to it.
    """
    generator = np.random.default_rng(seed)
    base = _run(net, inputs, measure, extra or {}, None)
    total = {name: np.zeros(value.shape) for name, value in base.items()}
    for _ in range(PROBES):
        moved = _run(net, inputs, measure, extra or {}, generator)
        for name, value in moved.items():
            with np.errstate(invalid="ignore"):  # infinity minus infinity moved nothing
                total[name] += np.square(np.nan_to_num((value - base[name]) / STEP))
    return {name: Sensitivity(base[name], np.sqrt(total[name] / PROBES)) for name in base}


def _run(
    net: CaffeNet,
    inputs: Mapping[str, Array],
    measure: Measure,
    extra: Mapping[str, Array],
    generator: np.random.Generator | None,
) -> dict[str, Array]:
    twin = copy.deepcopy(net).double()
    with torch.no_grad():
        seen: set[int] = set()
        for tensor in (*twin.parameters(), *twin.buffers()):
            if tensor.data_ptr() not in seen:
                seen.add(tensor.data_ptr())
                tensor.mul_(torch.as_tensor(_signs(tuple(tensor.shape), generator)))
    fixed = twin.index_inputs
    given = {
        name: torch.as_tensor(
            value.astype(np.float64) * (1.0 if name in fixed else _signs(value.shape, generator))
        ).requires_grad_(name not in fixed)
        for name, value in inputs.items()
    }
    more = {
        name: torch.as_tensor(value.astype(np.float64) * _signs(value.shape, generator))
        for name, value in extra.items()
    }
    with nullcontext() if generator is None else _Roundings(generator):
        values = measure(twin, twin.run(given), more)
    return {name: value.detach().numpy() for name, value in values.items()}


class _Roundings(TorchDispatchMode):
    """Moves what torch's operators compute, but for whole numbers: exact ones, and indices."""

    def __init__(self, generator: np.random.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.is_view or func._schema.is_mutable:
            return result
        return tree_map_only(Tensor, self._moved, result)

    def _moved(self, value: Tensor) -> Tensor:
        if not value.is_floating_point() or value.is_meta:
            return value
        signs = torch.as_tensor(_signs(tuple(value.shape), self.generator))
        return torch.where(value == value.round(), value, value * signs)


def _signs(shape: tuple[int, ...], generator: np.random.Generator | None) -> Array:
    if generator is None:
        return np.ones(shape)
    return 1.0 + STEP * generator.choice([-1.0, 1.0], size=shape)
