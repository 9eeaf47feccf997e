"""A diagnosis as one HTML page that needs nothing else: no network and no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from os import PathLike
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from torchcaffe.diagnosis.findings import Cause, Diagnosis, Gap, Matched, Place
from torchcaffe.layers._registry import shape_text
from torchcaffe.proto.files import replacing

LINE, PAD, SPACE = 17, 7, 6
"""The height of a line of a box, the room around its lines, and the room between boxes."""

MOST = 9
"""So many lines a box has; of more layers or calls the first and the last are shown."""


@dataclass(frozen=True)
class Row:
    """A segment as two boxes that are joined: where they start, how tall they are, what they say.

    ``state`` is "same", "differs" or "later" (the same, but behind the first difference).
    """

    top: float
    left: list[str]
    right: list[str]
    state: str
    gap: Gap | None
    shape: tuple[int, ...]

    @property
    def height(self) -> float:
        """Of the whole row."""
        return max(len(self.left), len(self.right)) * LINE + 2 * PAD

    @property
    def middle(self) -> float:
        """Halfway down."""
        return self.top + self.height / 2


@dataclass(frozen=True)
class Scatter:
    """One small plot: the port's numbers over Caffe's, in a square of 100 by 100."""

    title: str
    dots: list[tuple[float, float]]
    least: float
    most: float


def write_page(found: Diagnosis, path: str | PathLike[str]) -> None:
    """Write the page to the file ``path``; an older file there is replaced in one step.

    InputError if the folder does not exist or the file cannot be written.
    """
    template = files("torchcaffe.diagnosis").joinpath("report.html.j2").read_text("utf-8")
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= {"shape": shape_text, "place": _short, "size": _size}
    rows = graph(found.alignment)
    text = environment.from_string(template).render(
        found=found,
        rows=rows,
        height=rows[-1].top + rows[-1].height if rows else 0,
        line=LINE,
        pad=PAD,
        scatters=[scatters(cause) for cause in found.causes],
        bars=[bars(row.gap) for row in rows],
        same=sum(row.state != "differs" for row in rows),
    )
    with replacing(str(path)) as file:
        file.write(text.encode())


def graph(alignment: Sequence[Matched]) -> list[Row]:
    """The segments as rows of boxes, one under the other."""
    rows: list[Row] = []
    top, state = 0.0, "same"
    for part in alignment:
        left, right = _few(list(part.layers)), _few([_short(place) for place in part.places])
        rows.append(
            Row(
                top, left, right or ["(nothing)"],
                part.state if part.state == "differs" else state, part.gap, part.shape,
            )
        )  # fmt: skip
        if part.state == "differs":
            state = "later"
        top += rows[-1].height + SPACE
    return rows


def _few(lines: list[str]) -> list[str]:
    if len(lines) <= MOST:
        return lines
    half = MOST // 2
    return [*lines[:half], f"... {len(lines) - 2 * half} more", *lines[-half:]]


def _short(place: Place) -> str:
    where = f"{Path(place.file).name}:{place.line}" if place.file else ""
    what = f"{place.module} · {place.call}" if place.module else place.call
    return f"{what}  {where}".strip()


def scatters(cause: Cause) -> list[Scatter]:
    """The port's numbers over Caffe's, before and after the one change."""
    made = []
    for title, place in (("over Caffe's", 0), ("over Caffe's, changed", 1)):
        pairs = [(row[place], row[2]) for row in cause.points]
        pairs = [pair for pair in pairs if all(math.isfinite(value) for value in pair)]
        numbers = [value for pair in pairs for value in pair]
        if len(pairs) < 2 or min(numbers) == max(numbers):
            continue
        least, most = min(numbers), max(numbers)
        scale = 100 / (most - least)
        dots = [((x - least) * scale, 100 - (y - least) * scale) for x, y in pairs]
        made.append(Scatter(title, dots, least, most))
    return made


def bars(gap: Gap | None) -> float:
    """How far a segment is off, in parts of what its class allows, from 0 to 1 on a log scale."""
    if gap is None or not gap.share:
        return 0.0
    if not math.isfinite(gap.share):
        return 1.0
    return min(max((math.log10(gap.share) + 4) / 10, 0.02), 1.0)


def _size(gap: Gap | None) -> str:
    if gap is None:
        return ""
    return f"{gap.error:.2g} of the largest value" if math.isfinite(gap.error) else "another shape"
