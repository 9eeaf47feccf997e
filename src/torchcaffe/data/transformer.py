"""Caffe's preprocessing of one image: mirror, crop, mean, scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from torchcaffe.errors import InputError
from torchcaffe.proto import blob_array, read_wire
from torchcaffe.proto.schema import BlobProto, TransformationParameter
from torchcaffe.random import Mersenne

Array = np.ndarray[Any, np.dtype[Any]]


class Transformer:
    """(pixel - mean) * scale of a crop that may be mirrored, in float32 with each step rounded.

    Random numbers come from a stream of its own, which ``seed`` starts: for each image one that
    decides on mirroring (in phase TEST too), then in phase TRAIN the crop's row and its column. In
    phase TEST the crop is the middle. Raises InputError for a mean that is given twice, and
    ParseError for a mean file that cannot be read.
    Caffe  src/caffe/data_transformer.cpp
    """

    def __init__(self, param: TransformationParameter, phase: str) -> None:
        self.crop = param.crop_size
        self.mirror = param.mirror
        self.random_crop = phase == "TRAIN" and self.crop > 0
        self.scale = np.float32(param.scale)
        self.force_color, self.force_gray = param.force_color, param.force_gray
        values = np.array(param.mean_value, np.float32)
        if param.has("mean_file") and values.size:
            raise InputError("has both mean_file and mean_value; give one of them")
        self.mean: Array | None = None
        if param.has("mean_file"):
            self.mean = read_mean(param.mean_file)
        elif values.size:
            self.mean = values.reshape(-1, 1, 1)
        self.stream: Mersenne | None = None

    def seed(self, stream: Mersenne) -> None:
        """Start the own stream from one draw of ``stream``; nothing is drawn if none is needed."""
        if self.mirror or self.random_crop:
            self.stream = Mersenne(stream.word())

    def draw(self) -> list[int]:
        """The random words for one image."""
        count = self.mirror + 2 * self.random_crop
        if not count:
            return []
        assert self.stream is not None
        return [int(word) for word in self.stream.raw(count)]

    def shape(self, pixels: Array, what: str) -> tuple[int, int, int]:
        """The shape (C, h, w) that ``pixels`` (C, H, W) will have; ``what`` names them in errors.

        Raises InputError if they do not fit the crop or the mean.
        """
        channels, height, width = pixels.shape
        if not pixels.size:
            raise InputError(f"{what} is empty: {channels}x{height}x{width}")
        if min(height, width) < self.crop:
            raise InputError(
                f"{what} is {height}x{width}, smaller than crop_size {self.crop}; resize the "
                f"images or choose a smaller crop"
            )
        mean = self.mean
        if mean is not None and mean.shape != (len(mean), 1, 1) and mean.shape != pixels.shape:
            raise InputError(
                f"{what} is {_text(pixels.shape)} and the mean {_text(mean.shape)}; the mean must "
                f"have the size of the images before they are cropped"
            )
        if mean is not None and len(mean) not in (1, channels):
            raise InputError(
                f"{what} has {channels} channels, and there are {len(mean)} mean values; give one "
                f"for all or one for each"
            )
        return (channels, self.crop or height, self.crop or width)

    def apply(self, pixels: Array, words: list[int], out: Array) -> None:
        """Put what ``words`` make of ``pixels`` (C, H, W) into ``out`` (C, h, w) float32."""
        rows, columns = (size - self.crop if self.crop else 0 for size in pixels.shape[1:])
        top, left = rows // 2, columns // 2
        if self.random_crop:
            top, left = words[-2] % (rows + 1), words[-1] % (columns + 1)
        window = np.s_[:, top : top + out.shape[1], left : left + out.shape[2]]
        if self.mirror and words[0] % 2:
            out = out[:, :, ::-1]
        if self.mean is None:
            out[...] = pixels[window]
        else:
            # The mean of a pixel moves with it when the image is cropped and mirrored.
            np.subtract(
                pixels[window],
                self.mean[window] if self.mean.shape == pixels.shape else self.mean,
                out=out,
            )
        if self.scale != 1:
            out *= self.scale


def read_mean(path: str) -> Array:
    """The mean image of a binaryproto: (C, H, W) float32; ParseError if it is none."""
    values = blob_array(read_wire(path, BlobProto), path)
    if values.ndim > 4:
        raise InputError(f"{path} has the shape {_text(values.shape)}; a mean is 1xCxHxW")
    mean: Array = values.reshape((1,) * (4 - values.ndim) + values.shape)[0]
    return mean


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
