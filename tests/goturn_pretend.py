"""Small sequences, and trackers that follow nothing."""

from __future__ import annotations

from collections.abc import Sequence as Ordered
from pathlib import Path

import cv2
import numpy as np

from goturn import Box, Sequence
from goturn.sequence import Image

WIDTH, HEIGHT = 64, 48


class Still:
    """Says that the object stays where it was."""

    def init(self, image: Image, box: Ordered[float]) -> None:
        self.box = tuple(box)

    def update(self, image: Image) -> tuple[bool, tuple[float, ...]]:
        return True, self.box


class Drift(Still):
    """Walks away from the object, by steps that its start decides."""

    def init(self, image: Image, box: Ordered[float]) -> None:
        self.box = tuple(map(float, box))
        self.random = np.random.default_rng(int(abs(box[0]) * 8))

    def update(self, image: Image) -> tuple[bool, tuple[float, ...]]:
        dx, dy, dw, dh = self.random.normal([0.9, 0.4, 0, 0], [1, 1, 0.6, 0.6])
        x, y, width, height = self.box
        self.box = (x + dx, y + dy, max(1.0, width + dw), max(1.0, height + dh))
        return True, self.box


def boxes(count: int, seed: int) -> list[Box]:
    """A box that wanders, partly over the image's edges."""
    random = np.random.default_rng(seed)
    x, y, width, height = random.uniform([5, 5, 10, 10], [40, 25, 18, 16])
    found = []
    for _ in range(count):
        found.append(Box.from_xywh(*np.round([x, y, width, height], 2)))
        x, y = np.array([x, y]) + random.normal(0, 1.5, 2)
        width, height = np.maximum(np.array([width, height]) + random.normal(0, 0.5, 2), 2)
    return found


def write_frames(folder: Path, count: int, pattern: str = "{:04d}.jpg") -> list[Path]:
    """Grey images, numbered from 1."""
    folder.mkdir(parents=True)
    paths = [folder / pattern.format(number) for number in range(1, count + 1)]
    for path in paths:
        cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), 127, np.uint8))
    return paths


def sequences(lengths: Ordered[int] = (30, 41)) -> list[Sequence]:
    """Sequences in memory."""
    image = np.full((HEIGHT, WIDTH, 3), 127, np.uint8)
    return [
        Sequence(f"seq{number}", [image] * count, boxes(count, number))
        for number, count in enumerate(lengths)
    ]


def box_line(box: Box) -> str:
    """``x,y,width,height`` as annotation files have it."""
    return ",".join(f"{value:g}" for value in box.to_xywh())
