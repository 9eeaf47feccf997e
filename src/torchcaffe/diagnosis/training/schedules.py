"""The rates of a whole run: the port's scheduler stepped from end to end, and Caffe's policy."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchcaffe.diagnosis.findings import Gap
from torchcaffe.diagnosis.training.preserve import preserved
from torchcaffe.diagnosis.training.protocol import TrainingPort
from torchcaffe.diagnosis.training.recipe import decimal
from torchcaffe.proto.schema import SolverParameter

Rates = NDArray[np.floating[Any]]
Some = Sequence[float] | Rates

CLASS = 2.0**-16
"""Rates this near to each other are the same: schedulers that multiply the last rate by a factor
add up a rounding each time."""

FLOOR = 1e-9
"""Rates below this part of the first are as good as 0."""

LONGEST = 1_000_000
"""Iterations that are looked at; solvers that run for longer are compared up to here."""


@dataclass(frozen=True)
class Schedule:
    """A policy of Caffe's, counting iterations or something else.

    ``unit``  how many iterations make a count; ``stairs``: the rate is that of the iteration at
    which the unit began, and otherwise the count of units stands in the iteration's place.
    """

    policy: str
    gamma: float
    power: float
    stepsize: int
    stepvalue: tuple[int, ...]
    max_iter: int
    unit: int = 1
    stairs: bool = False

    def change(self, **values: Any) -> Schedule:
        """Another schedule."""
        return replace(self, **values)

    def rates(self, count: int) -> Rates:
        """(count,): each iteration's rate as a part of base_lr."""
        n = np.arange(count) // self.unit
        if self.stairs:
            n *= self.unit
        with np.errstate(all="ignore"):
            return POLICIES[self.policy](self, n.astype(np.float64))


POLICIES: dict[str, Callable[[Schedule, Rates], Rates]] = {
    "fixed": lambda s, n: np.ones_like(n),
    "step": lambda s, n: s.gamma ** (n // s.stepsize),
    "exp": lambda s, n: s.gamma**n,
    "inv": lambda s, n: (1 + s.gamma * n) ** -s.power,
    "multistep": lambda s, n: s.gamma ** np.searchsorted(s.stepvalue, n, side="right"),
    "poly": lambda s, n: np.maximum(1 - n / s.max_iter, 0) ** s.power,
    "sigmoid": lambda s, n: 1 / (1 + np.exp(-s.gamma * (n - s.stepsize))),
}
"""Caffe's policies without their float32 roundings; see ``torchcaffe.solvers.lr_policy``."""


def caffe_schedule(solver: SolverParameter) -> Schedule:
    """The solver's own."""
    return Schedule(
        solver.lr_policy,
        decimal(solver.gamma),
        decimal(solver.power),
        solver.stepsize,
        tuple(solver.stepvalue),
        solver.max_iter,
    )


@dataclass(frozen=True)
class Curve:
    """The port's rate at each iteration, as a part of the first."""

    rates: Rates
    first: float
    """The base rate at the first iteration, multipliers apart."""

    @property
    def breaks(self) -> list[int]:
        """The iterations at which the rate is another than before."""
        changed = np.abs(np.diff(self.rates)) > CLASS * np.maximum(self.rates[:-1], FLOOR)
        return [int(place) + 1 for place in np.flatnonzero(changed)]


def observe_schedule(port: TrainingPort, count: int, first: float) -> Curve:
    """Step the port's scheduler over ``count`` iterations; it is left as it was.

    first  the base rate that the port's updates showed
    """
    every = 1 if port.scheduler_interval == "iteration" else port.iterations_per_epoch or count
    groups = port.optimizer.param_groups if port.optimizer is not None else []
    rates = np.ones(count)
    if port.scheduler is None or not groups:
        return Curve(rates, first)
    with preserved(port), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        place = next((i for i, group in enumerate(groups) if group["lr"]), 0)
        start_rate = float(groups[place]["lr"])
        for start in range(0, count, every):
            rates[start : start + every] = float(groups[place]["lr"]) / (start_rate or 1.0)
            port.scheduler.step()
    return Curve(rates, first)


@dataclass(frozen=True)
class CurveResidual:
    """How far a schedule's rates are from the port's, and where they part first."""

    worst: float
    score: float
    at: int
    port: float
    caffe: float

    @property
    def exact(self) -> bool:
        """Whether all rates are the same."""
        return self.worst <= CLASS

    @property
    def gap(self) -> Gap:
        """The first iteration at which they part."""
        return Gap((self.at,), self.port, self.caffe, self.worst, self.worst / CLASS)


def residual(curve: Curve, schedule: Schedule) -> CurveResidual:
    """Hold a schedule's rates against the port's."""
    theirs = schedule.rates(len(curve.rates))
    theirs = theirs / theirs[0] if theirs[0] else theirs
    size = np.maximum(np.maximum(np.abs(curve.rates), np.abs(theirs)), FLOOR)
    part = np.abs(curve.rates - theirs) / size
    wrong = np.flatnonzero(part > CLASS)
    at = int(wrong[0]) if wrong.size else 0
    return CurveResidual(
        float(part.max()),
        float(wrong.size) + float(part.sum()),
        at,
        float(curve.rates[at]) * curve.first,
        float(theirs[at]) * curve.first,
    )


@dataclass(frozen=True)
class ScheduleCase:
    """The port's rates beside Caffe's schedule."""

    curve: Curve
    caffe: Schedule
    base_lr: float
    epoch: int | None
    """Iterations in an epoch, if that is known."""
    interval: str
    scheduler: str

    def table(self) -> list[tuple[int, float, float]]:
        """Iterations worth showing, with the port's rate and Caffe's there."""
        count = len(self.curve.rates)
        theirs = self.caffe.rates(count)
        caffe_breaks = np.flatnonzero(np.abs(np.diff(theirs)) > CLASS * theirs[:-1]) + 1
        if self.epoch and self.epoch < count:
            wanted = [0, *range(self.epoch, count, self.epoch)][:5]
        else:
            wanted = [0, *self.curve.breaks[:4]]
        if len(caffe_breaks) < count // 2:
            wanted += [int(place) for place in caffe_breaks[:2]]
        else:
            wanted += [count // 4, count // 2, count - 1]
        scale = self.base_lr / float(theirs[0]) if theirs[0] else 0.0
        return [
            (i, float(self.curve.rates[i]) * self.curve.first, float(theirs[i]) * scale)
            for i in sorted(set(wanted))
            if i < count
        ]

    def words(self) -> str:
        """The table in words."""
        rows = [f"iteration {i:,}: {a:.3g} / {b:.3g}" for i, a, b in self.table()]
        return "Rates, yours / Caffe's: " + "; ".join(rows) + "."
