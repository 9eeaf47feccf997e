"""Pictures of the data: examples and batches as the network sees them, annotations, the law."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Ordered
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from goturn.batches import Group, Labels, Pixels
from goturn.box import Box
from goturn.crop import MEAN, SCALE, Planes
from goturn.draw import Tile, annotate, sheet, shrink
from goturn.errors import DataError
from goturn.evaluate.plots import new_figure
from goturn.motion import GroupStream, Motion
from goturn.sequence import Image, Sequence

WIDTH = 112
"""Of a crop on a sheet."""


def examples_sheet(groups: Iterable[Group], title: str = "") -> Image:
    """A row for each group: the target, then every search crop with its label.

    The first search crop is cut where the object was, the others around shifted boxes.
    """
    tiles: list[Tile] = []
    most = 0
    for group in groups:
        row = [Tile(_small(_pixels(group.targets[0])), f"{group.number}: target")]
        for number in range(len(group.labels)):
            caption = "true" if number == 0 else f"shifted {number}"
            search, label = group.searches[number], group.labels[number]
            row.append(Tile(_labelled(_pixels(search), label), caption))
        most = max(most, len(row))
        tiles += row
    return sheet(tiles, title=title, columns=most, width=WIDTH)


def batch_sheet(batch: Mapping[str, Tensor], title: str = "", columns: int = 5) -> Image:
    """Every example of a batch: the target, and beside it the search crop with its label."""
    mean = MEAN.reshape(3, 1, 1)
    tiles = []
    planes = (batch[name].numpy() + mean for name in ("target", "image"))
    rows = zip(*planes, batch["bbox"], strict=True)
    for number, (target, search, label) in enumerate(rows):
        pair = [
            _small(_pixels(target)),
            _labelled(_pixels(search), label.flatten()),
        ]
        tiles.append(Tile(np.hstack(pair), str(number)))
    return sheet(tiles, title=title, columns=columns, width=2 * WIDTH)


def _pixels(planes: Tensor | Planes | Pixels) -> Image:
    return np.ascontiguousarray(np.asarray(planes).transpose(1, 2, 0).round().astype(np.uint8))


def _small(image: Image) -> Image:
    return shrink(image, [], WIDTH)[0]


def _labelled(search: Image, label: Tensor | Labels) -> Image:
    box = Box(*(float(value) / SCALE * search.shape[1] for value in label))
    small, boxes = shrink(search, [box], WIDTH)
    return annotate(small, boxes)


def annotations_sheet(
    sequences: Ordered[Sequence], *, rows: int = 8, columns: int = 6, title: str = ""
) -> Image:
    """A row for each of the first sequences: annotated frames, evenly spaced."""
    tiles: list[Tile] = []
    for sequence in sequences[:rows]:
        annotated = [frame for frame, box in enumerate(sequence.boxes) if box is not None]
        if not annotated:
            raise DataError(f"{sequence.name} has no annotated frame")
        chosen = np.linspace(0, len(annotated) - 1, columns).round().astype(int)
        row = [_frame_tile(sequence, annotated[place]) for place in chosen]
        row[0] = Tile(row[0].image, f"{sequence.name}: {row[0].caption}")
        tiles += row
    return sheet(tiles, title=title, columns=columns, width=240)


def _frame_tile(sequence: Sequence, frame: int) -> Tile:
    box = sequence.boxes[frame]
    assert box is not None
    image, boxes = shrink(sequence.image(frame), [box], 240)
    hidden = sequence.visible is not None and not sequence.visible[frame]
    return Tile(annotate(image, boxes), f"frame {frame}" + (", hidden" if hidden else ""))


def law_figure(
    motion: Motion, *, seed: int = 800, draws: int = 20000, sequences: Ordered[Sequence] = ()
) -> Any:
    """Histograms of the sampling law beside its theory: a matplotlib figure.

    The box is small in its image, so that the image's edges do not matter. With ``sequences``,
    how their objects really move from one annotated frame to the next is drawn as well.

    Raises GoturnError if matplotlib is not installed.
    """
    shifts, scales = law_draws(motion, seed, draws)
    real_shifts, real_scales = moves(sequences)
    figure = new_figure((11, 4.2))
    left, right = figure.subplots(1, 2)
    _panel(left, shifts, real_shifts, shift_density(motion), 1.0)
    _panel(right, scales, real_scales, scale_density(motion), motion.max_scale)
    left.set(title="shift of the centre", xlabel="in widths (or heights) of the box")
    right.set(title="change of the size", xlabel="in parts of the width (or height)")
    left.set_ylabel("density")
    left.legend()
    return figure


def law_draws(motion: Motion, seed: int, draws: int) -> tuple[Any, Any]:
    """Shifts and changes of size, along both axes, of so many drawn boxes."""
    stream = GroupStream(seed, 0)
    side, image = 100.0, 10000
    box = Box.from_center(image / 2, image / 2, side, side)
    moved = [motion.shift(box, image, image, stream) for _ in range(draws)]
    return _moves([(box, other) for other in moved])


def moves(sequences: Ordered[Sequence]) -> tuple[Any, Any]:
    """How objects move between frames that are annotated one after the other."""
    steps: list[tuple[Box, Box]] = []
    for sequence in sequences:
        boxes = [box for box in sequence.boxes if box is not None and box.is_usable]
        steps += pairwise(boxes)
    return _moves(steps)


def _moves(steps: Ordered[tuple[Box, Box]]) -> tuple[Any, Any]:
    shifts = [(b.center_x - a.center_x) / a.width for a, b in steps]
    shifts += [(b.center_y - a.center_y) / a.height for a, b in steps]
    scales = [b.width / a.width - 1 for a, b in steps]
    scales += [b.height / a.height - 1 for a, b in steps]
    return np.array(shifts), np.array(scales)


def shift_density(motion: Motion) -> Any:
    """Laplace's density, of shifts below one size of the box: others are drawn again."""
    rate = motion.lambda_shift
    inside = 1 - math.exp(-rate)
    return lambda x: rate / 2 * np.exp(-rate * np.abs(x)) / inside * (np.abs(x) <= 1)


def scale_density(motion: Motion) -> Any:
    """Laplace's density between the bounds; what lies beyond them is put onto them."""
    rate = motion.lambda_scale
    return lambda x: rate / 2 * np.exp(-rate * np.abs(x))


def _panel(axes: Any, drawn: Any, real: Any, density: Any, reach: float) -> None:
    edges = np.linspace(-reach, reach, 81)
    x = np.linspace(-reach, reach, 801)
    axes.hist(drawn, edges, density=True, color="#8ab4d8", label=f"drawn ({len(drawn)})")
    if len(real):
        wide = edges[::4]
        share = np.full(len(real), 1 / (len(real) * (wide[1] - wide[0])))
        style = {"histtype": "step", "color": "#c0504d", "linewidth": 1.3}
        axes.hist(real, wide, weights=share, label=f"in the data ({len(real)})", **style)
    axes.plot(x, density(x), color="#222222", linewidth=1.2, label="theory")
    axes.set_yscale("log")
    axes.set_ylim(bottom=1e-3)
    axes.margins(x=0)
    axes.grid(alpha=0.25)
