"""How strongly a training run depends on its roundings, iteration by iteration.

A rounding of the first iteration moves all that follow, and training makes it grow or fade as it
will. So how far two faithful runs may lie apart is measured and not guessed: the run is done in
float64, then again with every number on the way off by one part in a few million, up or down at
random, as ``torchcaffe.parity.probe`` does for a single pass. On the way are the inputs, all that
torch's operators compute forward, backward and in the update, and after each iteration the
weights, statistics and histories that it changed. What that moves, rounding can move.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._decomp import get_decompositions

from torchcaffe.parity.compare import Sensitivity
from torchcaffe.parity.nudge import Nudge
from torchcaffe.parity.probe import PROBES, STEP
from torchcaffe.solvers.batches import NetFeed
from torchcaffe.solvers.solver import Solver

Array = np.ndarray[Any, np.dtype[Any]]
APART = get_decompositions(
    [torch.ops.aten.native_batch_norm, torch.ops.aten.native_batch_norm_backward]
)
"""Operators that are run in pieces, so that the means inside them are moved as well.

A mean that is off by one rounding moves all of a channel the same way. A bias before BatchNorm has
a gradient that is 0 but for such errors, and rules that divide by its own size make steps of them.
"""

Measure = Callable[[Solver], Mapping[str, Tensor]]


def trajectory(
    make: Callable[[], Solver], iterations: int, measure: Measure, *, seed: int = 1701
) -> dict[str, Sensitivity]:
    """The sensitivity of everything that ``measure`` reads off a run.

    make
        a new solver in float64 that begins where the run began; it must write no snapshots.
    measure
        is called after each iteration and names what it gives after the iteration.
    """
    nudge = _Apart(seed, STEP)
    base = _run(make(), iterations, measure, None)
    total = {name: np.zeros(value.shape) for name, value in base.items()}
    for _ in range(PROBES):
        moved = _run(make(), iterations, measure, nudge)
        for name, value in moved.items():
            with np.errstate(invalid="ignore"):  # infinity minus infinity moved nothing
                total[name] += np.square(np.nan_to_num((value - base[name]) / STEP))
    return {name: Sensitivity(base[name], np.sqrt(total[name] / PROBES)) for name in base}


class _Apart(Nudge):  # type: ignore[no-untyped-call]
    """A nudge that also reaches what some operators compute inside."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        pieces = APART.get(func)
        if pieces is None:
            return super().__torch_dispatch__(func, types, args, kwargs)
        with self:
            return pieces(*args, **(kwargs or {}))


def _run(
    solver: Solver, iterations: int, measure: Measure, nudge: Nudge | None
) -> dict[str, Array]:
    found: dict[str, Array] = {}
    if nudge is not None:
        solver.feeds[0] = _NudgedFeed(solver.feeds[0], nudge)
    for _ in range(iterations):
        with nudge or nullcontext():
            solver.step(1)
        if nudge is not None:
            _move(solver, nudge)
        found |= {name: value.detach().numpy().copy() for name, value in measure(solver).items()}
    return found


def _move(solver: Solver, nudge: Nudge) -> None:
    """Move what the iteration changed: updates in place are out of the nudge's sight."""
    changed = [
        entry.value
        for entry in solver.learnable
        if entry.lr_mult or not isinstance(entry.value, torch.nn.Parameter)
    ]
    with torch.no_grad():
        for value in (*changed, *solver.history):
            value.mul_(nudge.signs(value))


class _NudgedFeed(NetFeed):
    """Another feed's batches, moved; labels and indices are left as they are."""

    def __init__(self, feed: NetFeed, nudge: Nudge) -> None:
        self.__dict__.update(feed.__dict__)
        self.nudge = nudge

    def next(self, like: Tensor) -> dict[str, Tensor]:
        """The next batch."""
        fixed = self.net.index_inputs
        batch = super().next(like)
        return {n: v if n in fixed else self.nudge.move(v) for n, v in batch.items()}
