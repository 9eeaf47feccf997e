"""An image file as an input blob, in Caffe's preprocessing order."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import cv2
import numpy as np

from torchcaffe.errors import InputError

Array = np.ndarray[Any, np.dtype[Any]]


def read_image(
    path: str | PathLike[str],
    shape: Sequence[int],
    *,
    mean: Sequence[float] | Array | None = None,
    scale: float = 1.0,
    channel_order: str = "BGR",
    resize: tuple[int, int] | None = None,
) -> Array:
    """An image as a blob (1, C, H, W) float32 for an input of ``shape`` (N, C, H, W).

    In Caffe's order: read as 8-bit BGR (or grey, where C is 1), resize to ``resize`` (height,
    width; bilinear, as OpenCV does it) if given, crop the middle to H x W, change the channel
    order, subtract ``mean`` (one value, one a channel in the blob's own channel order, or an array
    (C, H, W)), multiply by ``scale``.
    Raises InputError if the file is no image or does not fit.
    """
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise InputError(
            f"an image gives 1 or 3 channels in a blob of 4 axes; the input is {shape}"
        )
    channels, height, width = shape[1:]
    data = np.fromfile(path, np.uint8) if _exists(path) else np.empty(0, np.uint8)
    image: Any = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise InputError(f"{path} does not decode as an image")
    found = 1 if image.ndim == 2 else image.shape[2]
    if found == 4:
        image, found = image[:, :, :3], 3
    if found != channels:
        raise InputError(
            f"{path} has {found} channel{'s' * (found > 1)} where the input wants {channels}; "
            f"convert the image first"
        )
    if image.dtype != np.uint8:
        raise InputError(f"{path} has {image.dtype} pixels; 8-bit ones are wanted")
    if resize is not None:
        image = cv2.resize(image, (resize[1], resize[0]), interpolation=cv2.INTER_LINEAR)
    image = image.reshape(*image.shape[:2], channels)
    blob = _crop(path, image, height, width).transpose(2, 0, 1).astype(np.float32)
    if channel_order == "RGB":
        blob = blob[::-1]
    return (blob - _mean(mean, blob.shape))[None] * np.float32(scale)


def _exists(path: str | PathLike[str]) -> bool:
    from pathlib import Path

    if not Path(path).is_file():
        raise InputError(f"{path} does not exist; an image or a .npy file was expected there")
    return True


def _crop(path: object, image: Array, height: int, width: int) -> Array:
    rows, columns = image.shape[0] - height, image.shape[1] - width
    if rows < 0 or columns < 0:
        raise InputError(
            f"{path} is {image.shape[0]}x{image.shape[1]}, smaller than the input's "
            f"{height}x{width}; use --resize"
        )
    return image[rows // 2 : rows // 2 + height, columns // 2 : columns // 2 + width]


def _mean(mean: Sequence[float] | Array | None, shape: tuple[int, ...]) -> Array:
    values = np.asarray(0 if mean is None else mean, np.float32)
    if values.shape in ((), (1,)):
        return values.reshape(-1, 1, 1)
    if values.shape == shape[:1]:
        return values.reshape(-1, 1, 1)
    if values.shape[-3:] == shape and values.size == np.prod(shape):
        return values.reshape(shape)
    raise InputError(
        f"the mean has shape {values.shape}; give one value, {shape[0]} values, or an array "
        f"of {shape}"
    )
