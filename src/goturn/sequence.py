"""A sequence: frames in order, and where the object is in them."""

from __future__ import annotations

from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from goturn.box import Box
from goturn.errors import DataError

Image = np.ndarray[Any, np.dtype[np.uint8]]
"""(H, W, 3) uint8, BGR, as OpenCV reads it."""

Outline = tuple[tuple[float, float], ...]
"""A polygon by its corners (x, y), in pixels as a Box has them."""


@dataclass(frozen=True)
class Sequence:
    """Frames in order with the boxes of one object.

    name
        unique within its data set
    frames
        files, or images that are there already
    boxes
        one entry a frame; None where the frame has no annotation. Every reader turns its format's
        convention into ours: the top left pixel is 0, x2 is x1 + width.
    visible
        one entry a frame, where the data set says in which frames the object is to be seen
    outlines
        one entry a frame, where the data set draws polygons; the boxes are made from them
    """

    name: str
    frames: Ordered[Path | Image]
    boxes: Ordered[Box | None]
    visible: Ordered[bool] | None = None
    outlines: Ordered[Outline | None] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def image(self, index: int) -> Image:
        """Frame ``index``; DataError if it cannot be read."""
        frame = self.frames[index]
        return read_image(frame) if isinstance(frame, Path) else frame


def read_image(path: Path) -> Image:
    """The image of a file; DataError, with the name, if it is missing or no image."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        what = "is not an image that OpenCV can read" if path.is_file() else "does not exist"
        raise DataError(f"{path} {what}")
    return np.asarray(image, np.uint8)
