"""The crop around a box, padded beyond the image's edges, and coordinates into it and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from goturn.box import Box
from goturn.sequence import Image

CONTEXT = 2.0
"""A crop is so many times as wide and high as its box."""

SCALE = 10.0
"""The network's coordinates: a crop reaches from 0 to so much, along both axes."""

MEAN = np.array([104, 117, 123], np.float32)
"""What is subtracted from blue, green and red."""

Planes = np.ndarray[Any, np.dtype[np.float32]]
"""(3, S, S) float32: blue, green, red, the mean subtracted."""


@dataclass(frozen=True)
class _Span:
    """A crop along one axis: ``cut`` and ``paste`` are whole pixels, the rest doubles."""

    start: float
    """Where the crop's part inside the image begins, in the image."""
    spacing: float
    """Where that part begins in the canvas."""
    canvas: int
    cut: int
    paste: int
    length: int

    @classmethod
    def around(cls, center: float, size: float, image: int) -> _Span:
        """Around ``center`` in an image of ``image`` pixels; ``size`` is the box's."""
        padded = max(1.0, CONTEXT * size)
        half = padded / 2
        start = max(0.0, center - half)
        end = start + max(1.0, min(half, center) + min(half, image - center))
        cut = int(min(start, image - 1.0))
        length = int(min(float(image), max(1.0, math.ceil(end - start))))
        canvas = max(math.ceil(padded), length)
        spacing = min(max(0.0, half - center), canvas - 1.0)
        paste = int(spacing)
        # Where a rounding makes the part a pixel too long, the original ends with OpenCV's error.
        length = min(length, image - cut, canvas - paste)
        return cls(start, spacing, canvas, cut, paste, length)

    def to_crop(self, x: float) -> float:
        return (x - self.start + self.spacing) / self.canvas * SCALE

    def to_image(self, x: float) -> float:
        return x / SCALE * self.canvas + self.start - self.spacing


@dataclass(frozen=True)
class Crop:
    """The part of an image that a network sees of a box: twice as wide and high, black outside.

    It holds no pixels: ``cut`` takes them from an image, ``to_crop`` and ``to_image`` carry boxes
    between the image and the network's coordinates. Everything is in doubles until pixels are cut.
    """

    columns: _Span
    rows: _Span
    image_width: int
    image_height: int

    @classmethod
    def around(cls, box: Box, image: Image) -> Crop:
        """Around ``box`` in an image like ``image``, wherever the box lies."""
        height, width = image.shape[:2]
        return cls(
            _Span.around(box.center_x, box.width, width),
            _Span.around(box.center_y, box.height, height),
            width,
            height,
        )

    @property
    def width(self) -> int:
        """Pixels of the canvas from left to right."""
        return self.columns.canvas

    @property
    def height(self) -> int:
        """Pixels of the canvas from top to bottom."""
        return self.rows.canvas

    def cut(self, image: Image) -> Image:
        """The canvas (height, width, 3): the image's part of the crop, black around it."""
        canvas = np.zeros((self.height, self.width, 3), np.uint8)
        x, y = self.columns, self.rows
        canvas[y.paste : y.paste + y.length, x.paste : x.paste + x.length] = image[
            y.cut : y.cut + y.length, x.cut : x.cut + x.length
        ]
        return canvas

    def to_crop(self, box: Box) -> Box:
        """A box of the image in the network's coordinates, 0 to 10 across the canvas."""
        x, y = self.columns, self.rows
        return Box(x.to_crop(box.x1), y.to_crop(box.y1), x.to_crop(box.x2), y.to_crop(box.y2))

    def to_image(self, box: Box) -> Box:
        """A box that the network answered, in the image.

        As in the original, x1 and y1 are kept above 0, x2 and y2 below the image's size, and
        nothing else: a box beyond an edge comes out with its corners in the wrong order.
        """
        x, y = self.columns, self.rows
        return Box(
            max(0.0, x.to_image(box.x1)),
            max(0.0, y.to_image(box.y1)),
            min(float(self.image_width), x.to_image(box.x2)),
            min(float(self.image_height), y.to_image(box.y2)),
        )


def resize(canvas: Image, size: int) -> Image:
    """A canvas (H, W, 3) as (size, size, 3), by OpenCV's bilinear interpolation."""
    if canvas.shape[:2] == (size, size):
        return canvas
    return np.asarray(cv2.resize(canvas, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


def planes(canvas: Image, size: int) -> Planes:
    """A canvas as the network takes it: resized, float32, the mean subtracted, (3, size, size)."""
    return np.ascontiguousarray((resize(canvas, size).astype(np.float32) - MEAN).transpose(2, 0, 1))
