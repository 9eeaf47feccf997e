"""Boxes: the only place that knows how corners, sizes and centres belong together."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A box in an image, by its corners: pixels from the image's top left, doubles.

    ``x2 - x1`` is the width, without the pixel that some data sets add. The original keeps boxes
    whose corners have changed places, and so does this; ``is_usable`` tells.
    """

    x1: float
    y1: float
    x2: float
    y2: float

    @classmethod
    def from_xywh(cls, x: float, y: float, width: float, height: float) -> Box:
        """From the top left corner and the size."""
        return cls(float(x), float(y), float(x) + float(width), float(y) + float(height))

    @classmethod
    def from_center(cls, x: float, y: float, width: float, height: float) -> Box:
        """From the centre and the size."""
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    @property
    def width(self) -> float:
        """From x1 to x2; negative if they have changed places."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """From y1 to y2; negative if they have changed places."""
        return self.y2 - self.y1

    @property
    def center_x(self) -> float:
        """The mean of x1 and x2."""
        return (self.x1 + self.x2) / 2

    @property
    def center_y(self) -> float:
        """The mean of y1 and y2."""
        return (self.y1 + self.y2) / 2

    @property
    def area(self) -> float:
        """Width times height; 0 for a box whose corners have changed places."""
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def is_finite(self) -> bool:
        """Whether all corners are finite numbers."""
        return all(map(math.isfinite, self.to_corners()))

    @property
    def is_usable(self) -> bool:
        """Whether all corners are finite numbers and the box has an extent."""
        return self.is_finite and self.width > 0 and self.height > 0

    def to_corners(self) -> tuple[float, float, float, float]:
        """(x1, y1, x2, y2)."""
        return self.x1, self.y1, self.x2, self.y2

    def to_xywh(self) -> tuple[float, float, float, float]:
        """(x1, y1, width, height)."""
        return self.x1, self.y1, self.width, self.height

    def ordered(self) -> Box:
        """The box with its corners in order: no negative width or height."""
        (x1, x2), (y1, y2) = sorted((self.x1, self.x2)), sorted((self.y1, self.y2))
        return Box(x1, y1, x2, y2)

    def shifted(self, dx: float, dy: float) -> Box:
        """The box moved by (dx, dy)."""
        return Box(self.x1 + dx, self.y1 + dy, self.x2 + dx, self.y2 + dy)
