"""What the report draws: where points, bars and ticks stand, as numbers, never as HTML.

Every figure stretches to the width it is given: x and y are parts of a plot that is ``WIDTH`` wide
and ``HEIGHT`` high, with y downwards as in SVG.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, inf, isfinite, log2, log10, prod

from torchcaffe.parity.compare import Difference
from torchcaffe.parity.verification import Row

WIDTH, HEIGHT = 1000.0, 100.0
TOP, BOTTOM = 6.0, 84.0
"""Between them a log scale; what is infinite stands above it, what is equal below."""
EQUAL = 94.0
BINS = 32
LAST = 30
FAR = 2.0**LAST
"""So many times too much says no more than that: it stands with what is infinite."""

Point = tuple[int, float]


@dataclass(frozen=True)
class Tick:
    """A label and where it stands, in percent of the axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Panel:
    """One log scale over the layers. ``limit`` is where 1 stands, None where 1 means nothing."""

    title: str
    ticks: list[Tick]
    grid: str
    chained: str
    joined: str
    local: str
    limit: float | None


@dataclass(frozen=True)
class Column:
    """What the pointer finds over one layer."""

    x: float
    lines: list[str]
    row: Row


@dataclass(frozen=True)
class Plot:
    """Error against depth. ``mark`` is where the first difference stands."""

    panels: list[Panel]
    columns: list[Column]
    step: float
    ticks: list[Tick]
    mark: Tick | None


@dataclass(frozen=True)
class Bar:
    """One bin: how many elements need up to ``2**power``."""

    x: float
    y: float
    width: float
    title: str


@dataclass(frozen=True)
class Histogram:
    """How much the elements of one blob need, in what its class counts."""

    row: Row
    view: Difference
    alone: bool
    differing: int
    elements: int
    bars: list[Bar]
    limit: float | None
    ticks: list[Tick]


def plot(rows: Sequence[Row], layers: int) -> Plot:
    """Two panels: the error as a part of the largest value, and as a part of what is allowed."""
    step = WIDTH / layers
    first = next((row for row in rows if not row.passed), None)
    return Plot(
        panels=[
            _panel("largest difference, as a part of the largest value", rows, step, _error),
            _panel("the same, as a part of what is allowed", rows, step, _share, limit=True),
        ],
        columns=list(_columns(rows, step)),
        step=step,
        ticks=_layer_ticks(layers),
        mark=None if first is None else Tick(100 * (first.depth + 0.5) / layers, first.layer),
    )


def _error(view: Difference) -> float:
    return view.error


def _share(view: Difference) -> float:
    return view.share if view.share <= FAR else inf


def _panel(
    title: str,
    rows: Sequence[Row],
    step: float,
    measure: Callable[[Difference], float],
    limit: bool = False,
) -> Panel:
    local = [(row.depth, measure(row.local)) for row in rows if row.local]
    chained = [(row.depth, measure(row.chained)) for row in rows if row.chained]
    values = [value for _, value in local + chained if isfinite(value) and value > 0]
    if limit:
        values.append(1.0)
    low, high = floor(log10(min(values, default=0.1))), ceil(log10(max(values, default=1.0)))
    high = max(high, low + 1)

    def place(value: float) -> float:
        if value <= 0:
            return EQUAL
        return TOP / 2 if value == inf else _between(log10(value), low, high)

    def dots(points: Iterable[Point]) -> str:
        spots = {
            (round((depth + 0.5) * step, 1), round(place(value), 1)) for depth, value in points
        }
        return "".join(f"M{x:g} {y:g}h.1" for x, y in sorted(spots))

    every = ceil((high - low) / 5)
    powers = range(high, low - 1, -every)
    name = _times if limit else _power
    ticks = [Tick(_between(power, low, high), name(power)) for power in powers]
    ticks.append(Tick(EQUAL, "equal"))
    if inf in (value for _, value in local + chained):
        ticks.append(Tick(TOP / 2, ">10⁹" if limit else "∞"))
    return Panel(
        title=title,
        ticks=ticks,
        grid="".join(f"M0 {tick.at:.1f}H{WIDTH:g}" for tick in ticks[: len(powers)]),
        chained=dots(chained),
        joined=_joined(chained, step, place),
        local=dots(local),
        limit=_between(0, low, high) if limit else None,
    )


def _between(power: float, low: int, high: int) -> float:
    return BOTTOM - (BOTTOM - TOP - 4) * (power - low) / (high - low)


def _joined(points: Iterable[Point], step: float, place: Callable[[float], float]) -> str:
    """A line through the largest value of each layer, broken where there is no finite one."""
    largest: dict[int, float] = {}
    for depth, value in points:
        largest[depth] = max(value, largest.get(depth, 0))
    path, pen = "", "M"
    for depth, value in sorted(largest.items()):
        if 0 < value < inf:
            path += f"{pen}{(depth + 0.5) * step:.1f} {place(value):.1f}"
            pen = "L"
        else:
            pen = "M"
    return path


def _columns(rows: Sequence[Row], step: float) -> Iterable[Column]:
    there: dict[int, list[Row]] = {}
    for row in rows:
        there.setdefault(row.depth, []).append(row)
    for depth, mine in sorted(there.items()):
        lines = [f"{mine[0].layer} ({mine[0].type})"]
        for row in mine:
            for name, view in (("alone", row.local), ("in the net", row.chained)):
                if view is not None:
                    lines.append(f"{row.name}, {name}: {words(view)}")
        worst = next((row for row in mine if not row.passed), mine[0])
        yield Column(depth * step, lines, worst)


def words(view: Difference) -> str:
    """One view, for a pointer that rests on it."""
    if view.met is None:
        return view.reason
    if view.share == 0:
        return "equal"
    sign = "" if view.passed else "DIFFERS, "
    return f"{sign}{view.error:.2g} of the largest value, {share(view)} of what is allowed"


def share(view: Difference) -> str:
    """How much of what is allowed is used: percent, or how many times too much."""
    if view.share > FAR:
        return "∞" if view.share == inf else ">×10⁹"
    if view.share > 1:
        return f"×{digits(view.share, 3)}"
    percent = 100 * view.share
    return "0" if not percent else "<0.1%" if percent < 0.1 else f"{percent:.2g}%"


def digits(value: float, count: int = 4) -> str:
    """A number with ``count`` digits, and with no exponent below a million."""
    return f"{value:.0f}" if 10**count <= value < 1e6 else f"{value:.{count}g}"


def _power(power: int) -> str:
    return "1" if power == 0 else "10" + str(power).translate(_RAISED)


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _times(power: int) -> str:
    if power > 0:
        return f"×{10**power}" if power < 4 else "×" + _power(power)
    return f"{100 * 10.0**power:g}%" if power > -5 else _power(power + 2) + "%"


def _layer_ticks(layers: int) -> list[Tick]:
    every = next(step for step in _steps() if layers / step <= 10)
    return [Tick(100 * (depth + 0.5) / layers, str(depth)) for depth in range(0, layers, every)]


def _steps() -> Iterable[int]:
    scale = 1
    while True:
        yield from (scale, 2 * scale, 5 * scale)
        scale *= 10


def histograms(rows: Sequence[Row], count: int = 6) -> list[Histogram]:
    """Of the blobs that need most of what they are allowed; the first difference leads.

    All share one axis, in powers of two.
    """
    found = [(row, view) for row in rows for view in [_worse(row)] if view is not None]
    first = next((pair for pair in found if not pair[1].passed), None)
    worst = sorted(found, key=lambda pair: -pair[1].share)[:count]
    if first is not None:
        worst = [first, *(pair for pair in worst if pair is not first)][:count]
    if not worst:
        return []
    powers = [power for _, view in worst for power, _ in view.spread]
    limits = [ceil(log2(view.allowed.size)) for _, view in worst if view.allowed.size]
    # FAR stands for everything beyond, as in the plot.
    high = min(max(powers + limits) + 1, LAST)
    low = max(min(powers + limits) - 1, high - BINS)
    return [_histogram(row, view, low, high) for row, view in worst]


def _worse(row: Row) -> Difference | None:
    views = [view for view in row.views if view.spread]
    return max(views, key=lambda view: view.share, default=None)


def _bars(view: Difference, low: int, high: int, width: float) -> Iterable[Bar]:
    """One bar a power; what lies outside stands in the first and the last."""
    bins: dict[int, int] = {}
    for power, count in view.spread:
        inside = min(max(power, low), high)
        bins[inside] = bins.get(inside, 0) + count
    tallest = log2(max(bins.values()) + 1)
    for power, count in bins.items():
        most = f"more than {_amount(power - 1)}" if power == LAST else f"up to {_amount(power)}"
        y = HEIGHT * (1 - log2(count + 1) / tallest)
        yield Bar((power - low) * width, y, width, f"{count} elements need {most}")


def _histogram(row: Row, view: Difference, low: int, high: int) -> Histogram:
    width = WIDTH / (high - low + 1)
    every = max(1, ceil((high - low) / 4))
    # A bin ends at its power, so the power stands at the bin's right edge.
    edges = range(low + every // 2, high, every)
    limit = view.allowed.size and (log2(view.allowed.size) - low + 1) * width
    return Histogram(
        row=row,
        view=view,
        alone=view is row.local,
        differing=sum(count for _, count in view.spread),
        elements=prod(row.shape),
        bars=list(_bars(view, low, high, width)),
        limit=limit or None,
        ticks=[Tick((edge - low + 1) * width / 10, _amount(edge)) for edge in edges],
    )


def _amount(power: int) -> str:
    if abs(power) > 14:
        return "2" + str(power).translate(_RAISED)
    return str(2**power) if power >= 0 else f"1/{2**-power}"


def needs(view: Difference) -> str:
    """What the worst element needs, beside what it is allowed."""
    most = digits(view.needed) if view.needed < FAR else "more than 10⁹"
    unit = "roundings" if view.allowed.kind == "accumulated" else "ulp"
    return f"{most} {unit}, {digits(view.allowed.size) if view.allowed.size else 'none'} allowed"
