"""The curves of a report, drawn."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from goturn.errors import GoturnError
from goturn.evaluate.reports import Report

STYLES = ("-", "--", "-.", ":")
COLORS = 10
"""matplotlib's own colours come round again after so many."""


def draw(report: Report, folder: str | PathLike[str]) -> list[Path]:
    """Write each of the report's curves to ``<protocol>_<curve>.png``; the files.

    All trackers are in one picture, the best first in the legend. A protocol without curves gives
    no files. Raises GoturnError if matplotlib is not installed.
    """
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    names = {curve: None for scores in report.scores.values() for curve in scores.curves}
    return [_picture(report, name, home / f"{report.protocol.name}_{name}.png") for name in names]


def _picture(report: Report, name: str, path: Path) -> Path:
    figure = new_figure((7, 5))
    axes = figure.subplots()
    curves = {tracker: scores.curves[name] for tracker, scores in report.scores.items()}
    best_first = sorted(curves.items(), key=lambda item: -item[1].score)
    for number, (tracker, curve) in enumerate(best_first):
        style = STYLES[number // COLORS % len(STYLES)]
        label = f"{tracker} [{curve.score:.3f}]"
        axes.plot(curve.thresholds, curve.values, style, label=label)
    over = best_first[0][1].over
    axes.set(title=f"{report.protocol.title}: {name}", xlabel=over, ylabel=name, ylim=(0, 1))
    axes.margins(x=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
    return path


def new_figure(size: tuple[float, float]) -> Any:
    """An empty matplotlib figure, in inches; GoturnError if matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise GoturnError(
            'plots need matplotlib, which is not installed: pip install "torchcaffe[plots]"'
        ) from None
    return Figure(figsize=size, layout="constrained")
