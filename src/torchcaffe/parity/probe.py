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

from torchcaffe.net import CaffeNet, Run
from torchcaffe.parity.compare import Sensitivity
from torchcaffe.parity.nudge import Nudge

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
    nudge = Nudge(seed, STEP)
    base = answers(net, inputs, measure, extra or {})
    total = {name: np.zeros(value.shape) for name, value in base.items()}
    for _ in range(PROBES):
        moved = answers(net, inputs, measure, extra or {}, nudge)
        for name, value in moved.items():
            # Infinity minus infinity moved nothing; to infinity is as far as it goes.
            with np.errstate(invalid="ignore", over="ignore"):
                total[name] += np.square(np.nan_to_num((value - base[name]) / STEP))
    return {name: Sensitivity(base[name], np.sqrt(total[name] / PROBES)) for name in base}


def answers(
    net: CaffeNet,
    inputs: Mapping[str, Array],
    measure: Measure,
    extra: Mapping[str, Array],
    nudge: Nudge | None = None,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Array]:
    """What ``measure`` reads off a run in ``dtype``, everything moved by ``nudge``."""
    twin = copy.deepcopy(net).to(dtype)
    with torch.no_grad():
        seen: set[int] = set()
        for tensor in (*twin.parameters(), *twin.buffers()):
            if nudge and tensor.data_ptr() not in seen:
                seen.add(tensor.data_ptr())
                tensor.mul_(nudge.signs(tensor))
    fixed = twin.index_inputs

    def moved(value: Array, by: Nudge | None) -> Tensor:
        tensor = torch.as_tensor(value).to(dtype)
        return by.move(tensor) if by else tensor.clone()

    given = {
        name: moved(value, None if name in fixed else nudge).requires_grad_()
        for name, value in inputs.items()
    }
    more = {name: moved(value, nudge) for name, value in extra.items()}
    with nudge or nullcontext():
        values = measure(twin, twin.run(given), more)
    return {name: value.detach().numpy() for name, value in values.items()}
