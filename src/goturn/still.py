"""A still image with the boxes of the objects in it."""

from __future__ import annotations

from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from pathlib import Path

from goturn.box import Box
from goturn.sequence import Image, read_image


@dataclass(frozen=True)
class Still:
    """An image and its boxes, which were drawn when it was ``width`` x ``height``."""

    frame: Path | Image
    boxes: Ordered[Box]
    width: int
    height: int

    def image(self) -> Image:
        """The image; DataError if it cannot be read."""
        return read_image(self.frame) if isinstance(self.frame, Path) else self.frame

    def box(self, index: int, image: Image) -> Box:
        """Box ``index`` in ``image``, the image as it was read.

        Where its size is another than when the boxes were drawn, they are multiplied by the ratio
        of the heights, along both axes, as in the original.
        """
        box = self.boxes[index]
        if image.shape[:2] == (self.height, self.width):
            return box
        factor = image.shape[0] / self.height
        return Box(*(corner * factor for corner in box.to_corners()))
