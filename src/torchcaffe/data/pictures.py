"""Image files as pixels, by OpenCV as Caffe does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from torchcaffe.errors import InputError

Array = np.ndarray[Any, np.dtype[Any]]


def read_picture(path: str, color: bool = True, size: tuple[int, int] | None = None) -> Array:
    """An image file as (C, H, W) uint8, BGR or grey; InputError if it is missing or no image.

    ``size`` (height, width) resizes it, bilinear.
    """
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist; an image was expected there")
    flag = cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE
    image = decode(np.fromfile(path, np.uint8), flag, path)
    return resized(image, *size) if size else image


def decode(data: Array, flag: int, what: str) -> Array:
    """An encoded image as (C, H, W) uint8; ``what`` names it in an error."""
    image: Any = None
    if data.size:
        try:
            image = cv2.imdecode(data, flag)
        except cv2.error as error:
            raise InputError(f"{what} does not decode as an image: {error.err}") from None
    if image is None:
        raise InputError(
            f"{what} does not decode as an image ({data.size} bytes); replace it or take it out"
        )
    if image.dtype != np.uint8:
        raise InputError(f"{what} has {image.dtype} pixels; Caffe takes 8-bit images")
    return planes(image)


def planes(image: Array) -> Array:
    """OpenCV's (H, W) or (H, W, C) as (C, H, W)."""
    return image.reshape(*image.shape[:2], -1).transpose(2, 0, 1)


def resized(image: Array, height: int, width: int) -> Array:
    """Pixels (C, H, W) resized to (C, height, width), bilinear."""
    rows: Any = cv2.resize(image.transpose(1, 2, 0), (width, height))
    return planes(rows)
