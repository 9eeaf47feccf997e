"""Curves of one or several runs: losses, the other outputs of tests, learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from torchcaffe.errors import InputError
from torchcaffe.logs.measures import Row
from torchcaffe.logs.reading import RunLog
from torchcaffe.proto.files import replacing

Curve = tuple[str, list[float], list[float], str]
"""Label, x, y and the style of the line."""


def plot(logs: Sequence[RunLog], path: Path, *, against: str = "iterations") -> None:
    """Draw the curves of ``logs`` to an image file, whose name's end says of which kind.

    against
        what lies on the x axis: "iterations" or "seconds".

    Raises InputError if matplotlib is not there, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(
            'curves are drawn by matplotlib, which is not there; pip install "torchcaffe[plots]"'
        ) from None
    panels = {
        "loss": [curve for log in logs for curve in _losses(log, len(logs) > 1, against)],
        "accuracy and other outputs": [
            curve for log in logs for curve in _others(log, len(logs) > 1, against)
        ],
        "learning rate": [curve for log in logs for curve in _rates(log, len(logs) > 1, against)],
    }
    panels = {title: curves for title, curves in panels.items() if curves}
    figure = Figure(figsize=(8, 3 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        _draw(axis, title, curves)
    axes[-1].set_xlabel(against)
    kind = path.suffix.removeprefix(".") or "png"
    if kind not in figure.canvas.get_supported_filetypes():
        kinds = ", ".join(sorted(figure.canvas.get_supported_filetypes()))
        raise InputError(f'{path}: an image\'s name ends in one of {kinds}; got "{kind}"')
    with replacing(path) as file:
        figure.savefig(file, format=kind, dpi=120)


def _draw(axis: Any, title: str, curves: Sequence[Curve]) -> None:
    for label, x, y, style in curves:
        axis.plot(x, y, style, label=label, linewidth=1.2, markersize=3)
    positive = [value for _, _, y, _ in curves for value in y if math.isfinite(value)]
    if title != "accuracy and other outputs" and positive and min(positive) > 0:
        axis.set_yscale("log" if max(positive) > 10 * min(positive) else "linear")
    axis.set_ylabel(title)
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")


def _losses(log: RunLog, several: bool, against: str) -> Iterator[Curve]:
    yield from _curve(log, several, against, "train loss", log.train, attrgetter("loss"), "-")
    yield from _outputs(log, several, against, losses=True)


def _others(log: RunLog, several: bool, against: str) -> Iterator[Curve]:
    for name in _names(log.train, losses=False):
        label = f"train {name}"
        yield from _curve(log, several, against, label, log.train, _output(name), "-")
    yield from _outputs(log, several, against, losses=False)


def _rates(log: RunLog, several: bool, against: str) -> Iterator[Curve]:
    yield from _curve(log, several, against, "lr", log.train, attrgetter("lr"), "-")


def _outputs(log: RunLog, several: bool, against: str, *, losses: bool) -> Iterator[Curve]:
    """The curves of all test nets."""
    for test, rows in sorted(log.tests.items()):
        for name in _names(rows, losses=losses):
            label = f"test{f' {test}' if len(log.tests) > 1 else ''} {name}"
            yield from _curve(log, several, against, label, rows, _output(name), "o--")


def _output(name: str) -> Callable[[Row], float | None]:
    return lambda row: row.outputs.get(name)


def _names(rows: Sequence[Row], *, losses: bool) -> list[str]:
    """The outputs that have a loss weight in the rows, or those that have none."""
    names = dict.fromkeys(name for row in rows for name in row.outputs)
    weighted = {name for row in rows for name in row.losses}
    return [name for name in names if (name in weighted) == losses]


def _curve(
    log: RunLog,
    several: bool,
    against: str,
    label: str,
    rows: Sequence[Row],
    value: Callable[[Row], float | None],
    style: str,
) -> Iterator[Curve]:
    points = [
        (float(row.iteration) if against == "iterations" else row.seconds, value(row))
        for row in rows
    ]
    known = [(x, y) for x, y in points if x is not None and y is not None]
    if known:
        name = f"{log.name}: {label}" if several else label
        yield name, [x for x, _ in known], [y for _, y in known], style
