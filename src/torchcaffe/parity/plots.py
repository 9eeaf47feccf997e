"""The report's drawings as plain numbers: where each mark stands on its sheet, in SVG units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torchcaffe.parity.compare import Difference
from torchcaffe.parity.verification import Row

FLOAT32 = 2.0**-24
"""The largest relative error of one rounding to float32."""


@dataclass(frozen=True)
class Mark:
    """One point: of the local or the chained view, passed or not."""

    x: float
    y: float
    view: str
    passed: bool
    label: str


@dataclass(frozen=True)
class Tick:
    """A line of the grid and what stands beside it; ``exponent`` is raised where there is one."""

    at: float
    label: str
    exponent: str = ""


@dataclass(frozen=True)
class Plot:
    """Errors against depth. ``left``, ``right``, ``top``, ``bottom`` bound the sheet, and ``zero``
    is the line of what is equal to the last bit."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    zero: int
    marks: tuple[Mark, ...]
    size: float
    chain: str
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    resolution: float | None
    first: Mark | None


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram: elements that need up to ``2**power`` of what is counted."""

    x: float
    y: float
    width: float
    height: float
    over: bool
    label: str


@dataclass(frozen=True)
class Histogram:
    """How the errors of one blob are spread; ``limit`` is where the declared class ends."""

    width: int
    height: int
    base: int
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    limit: float


def depth_plot(rows: Sequence[Row], layers: int) -> Plot:
    """The largest error of each blob as a part of the blob's largest value, by depth, logarithmic.

    Local and chained views are marks of their own, the chained ones joined by a line. ``layers`` is
    the number of layers in the net.
    """
    width, height, left, right, top, zero, bottom = 1000, 380, 64, 984, 16, 318, 346
    errors = [view.error for row in rows for view in row.views if 0 < view.error < math.inf]
    low = math.floor(math.log10(min([*errors, FLOAT32]))) if errors else -8
    high = max(math.ceil(math.log10(max([*errors, FLOAT32]))), low + 2) if errors else -6
    low = max(low, high - 16)

    def y(error: float) -> float:
        if error == 0:
            return zero
        place = (min(math.log10(error), high) - low) / (high - low) if error < math.inf else 1
        return round(zero - 24 - max(place, 0) * (zero - 24 - top), 1)

    def x(depth: int) -> float:
        return round(left + 14 + depth / max(layers - 1, 1) * (right - left - 28), 1)

    marks = []
    for row in rows:
        for name, view in (("chained", row.chained), ("local", row.local)):
            if view is not None:
                text = f"{row.name} ({row.type}), {name}: {_error_text(view)}"
                marks.append(Mark(x(row.depth), y(view.error), name, view.passed, text))
    step = max(1, math.ceil((high - low) / 8))
    lines = [Tick(y(10.0**e), "10", str(e)) for e in range(low, high + 1, step)]
    depths = range(0, layers, max(1, _nice(layers / 10)))
    columns = [Tick(x(depth), str(depth)) for depth in depths]
    first = next((mark for mark in marks if not mark.passed), None)
    chained = sorted((mark.x, mark.y) for mark in marks if mark.view == "chained")
    chain = " ".join(f"{across},{up}" for across, up in chained)
    inside = low <= math.log10(FLOAT32) <= high
    return Plot(
        width, height, left, right, top, bottom, zero, tuple(marks), 2.8 if len(rows) > 80 else 4.2,
        chain, tuple(lines), tuple(columns), y(FLOAT32) if inside else None, first,
    )  # fmt: skip


def _error_text(view: Difference) -> str:
    if view.met is None:
        return view.reason
    return f"{view.error:.2g} of the largest value" if view.error else "equal to the last bit"


def _nice(step: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50, ..."""
    power = 10 ** math.floor(math.log10(max(step, 1)))
    return int(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step))


def histogram(view: Difference) -> Histogram:
    """How much each element needs of what the view is held to: twice as much from bar to bar."""
    width, height, base = 320, 158, 118
    limit = math.log2(view.allowed.size) if view.allowed.size else -0.5
    powers = dict(view.spread)
    low = min([*powers, math.floor(limit)]) - 1
    high = max([*powers, math.ceil(limit) + 1])
    low = max(low, high - 28)
    column = (width - 40) / (high - low)
    most = math.log10(max(powers.values()) + 1)

    def x(power: float) -> float:
        return round(20 + (power - low) * column, 1)

    bars = []
    for power, count in sorted(powers.items()):
        if power <= low:
            continue
        tall = max(round(math.log10(count + 1) / most * (base - 22), 1), 2.0)
        label = f"{count:,} elements need {2.0 ** (power - 1):g} to {2.0**power:g}"
        over = power - 1 >= limit
        bars.append(
            Bar(x(power - 1) + 0.75, base - tall, round(column - 1.5, 1), tall, over, label)
        )
    every = max(1, math.ceil((high - low) / 7))
    ticks = [_power_tick(x(power), power) for power in range(high, low, -every)]
    return Histogram(width, height, base, tuple(bars), tuple(ticks), x(limit))


def _power_tick(at: float, power: int) -> Tick:
    return Tick(at, f"{2**power}") if 0 <= power <= 9 else Tick(at, "2", str(power))
