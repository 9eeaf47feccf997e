"""What a run measures, gathered from its events: one row a display and a test pass."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from torchcaffe.solvers import events
from torchcaffe.solvers.events import Event, Output


@dataclass(frozen=True)
class Row:
    """The numbers of one display (``test`` is None) or of one pass of a test net.

    ``outputs`` are by name; of a name that comes several times, ``name[0]``, ``name[1]`` and so on.
    ``losses`` names those that have a loss weight. ``seconds`` count from the start of the run.
    What a log does not say is None.
    """

    iteration: int
    test: int | None = None
    loss: float | None = None
    lr: float | None = None
    seconds: float | None = None
    outputs: dict[str, float] = field(default_factory=dict)
    losses: frozenset[str] = frozenset()


class Measures:
    """A listener that hands each row to ``take`` when it is complete."""

    def __init__(self, *take: Callable[[Row], None]) -> None:
        self.take = take
        self.start = time.perf_counter()
        self.shown: events.Displayed | None = None

    def __call__(self, event: Event) -> None:
        """Gather from an event."""
        match event:
            case events.Solving():
                self.start = time.perf_counter()
            case events.Displayed():
                self.shown = event
            case events.Rated(iteration, lr) if self.shown is not None:
                self._give(iteration, None, self.shown.loss, lr, self.shown.outputs)
                self.shown = None
            case events.FinalLoss(iteration, loss):
                self._give(iteration, None, loss, None, ())
            case events.Tested(iteration, test, loss, outputs):
                self._give(iteration, test, loss, None, outputs)

    def _give(
        self,
        iteration: int,
        test: int | None,
        loss: float | None,
        lr: float | None,
        outputs: Sequence[Output],
    ) -> None:
        names = unique([output.blob for output in outputs])
        pairs = list(zip(names, outputs, strict=True))
        row = Row(
            iteration,
            test,
            loss,
            lr,
            time.perf_counter() - self.start,
            {name: output.value for name, output in pairs},
            frozenset(name for name, output in pairs if output.weight),
        )
        for take in self.take:
            take(row)


def unique(names: Sequence[str]) -> list[str]:
    """Names of outputs, those that come several times with a number behind them."""
    counts, seen = Counter(names), Counter[str]()
    result = []
    for name in names:
        result.append(f"{name}[{seen[name]}]" if counts[name] > 1 else name)
        seen[name] += 1
    return result


def plain(value: float) -> float | str:
    """A number for JSON: of a float32 the fewest digits; "nan", "inf" and "-inf" are strings."""
    if not math.isfinite(value):
        return str(value)
    short = float(str(np.float32(value)))
    return short if np.float32(value) == value else value
