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

from torchcaffe.parity.compare import Sensitivity
from torchcaffe.parity.nudge import Nudge
from torchcaffe.parity.probe import PROBES, STEP
from torchcaffe.solvers.batches import NetFeed
from torchcaffe.solvers.solver import Solver

Array = np.ndarray[Any, np.dtype[Any]]
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
    nudge = Nudge(seed, STEP)
    base = _run(make(), iterations, measure, None)
    total = {name: np.zeros(value.shape) for name, value in base.items()}
    for _ in range(PROBES):
        moved = _run(make(), iterations, measure, nudge)
        for name, value in moved.items():
            with np.errstate(invalid="ignore"):  # infinity minus infinity moved nothing
                total[name] += np.square(np.nan_to_num((value - base[name]) / STEP))
    return {name: Sensitivity(base[name], np.sqrt(total[name] / PROBES)) for name in base}


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
