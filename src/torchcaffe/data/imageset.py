"""Databases made of image files, and the mean image of a database."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from torchcaffe.data.image_list import read_list
from torchcaffe.data.lmdb_file import key_text, read_lmdb, write_lmdb
from torchcaffe.data.pictures import read_picture
from torchcaffe.data.records import datum_pixels
from torchcaffe.errors import InputError, NetWarning
from torchcaffe.proto import encode, parse_wire, write_wire
from torchcaffe.proto.schema import BlobProto, Datum
from torchcaffe.random import Mersenne, shuffle

Array = np.ndarray[Any, np.dtype[Any]]
Pathlike = str | os.PathLike[str]


def convert_imageset(
    root_folder: str,
    list_file: Pathlike,
    database: Pathlike,
    *,
    gray: bool = False,
    shuffled: bool = False,
    seed: int | None = None,
    resize: tuple[int, int] | None = None,
    check_size: bool = False,
    encoded: bool = False,
    encode_type: str = "",
    skip_unreadable: bool = False,
) -> int:
    """Write the images that ``list_file`` names and labels into a new LMDB; returns their number.

    root_folder      put before each path as it is, so it ends in a slash
    shuffled         change the order, by ``seed`` (in Caffe by chance)
    resize           to this height and width, bilinear
    check_size       refuse images of several sizes
    encoded          keep images encoded: the files as they are where they need no change, otherwise
                     written as ``encode_type`` (or the type that the file's name ends in)
    skip_unreadable  leave out images that cannot be read, with a warning, as Caffe does; their
                     numbers are left out of the keys
    Raises InputError for images that cannot be read, and if ``database`` exists.
    Caffe  tools/convert_imageset.cpp; keys and records are the same, byte for byte
    """
    if check_size and (encoded or encode_type):
        raise InputError("check_size compares pixels; it cannot be used for encoded images")
    lines = read_list(os.fspath(list_file))
    if shuffled:
        shuffle(Mersenne(seed), lines)

    def records() -> Iterator[tuple[bytes, bytes]]:
        size = 0
        for number, (name, label) in enumerate(lines):
            path = root_folder + name
            kind = (encode_type or name.rpartition(".")[2].lower()) if encoded else encode_type
            try:
                datum = _encoded(path, kind, not gray, resize) if kind else _raw(path, gray, resize)
            except InputError as error:
                if not skip_unreadable:
                    raise InputError(f"{list_file}: {error}") from None
                warnings.warn(f"left out: {error}", NetWarning, stacklevel=2)
                continue
            datum.label = label
            size = size or len(datum.data)
            if check_size and len(datum.data) != size:
                raise InputError(
                    f"{path} has {len(datum.data)} numbers, and the first image {size}"
                )
            yield f"{number:08d}_{name}".encode(errors="surrogateescape"), encode(datum)

    return write_lmdb(database, records())


def _raw(path: str, gray: bool, resize: tuple[int, int] | None) -> Datum:
    pixels = read_picture(path, not gray, resize)
    channels, height, width = pixels.shape
    data = np.ascontiguousarray(pixels).tobytes()
    return Datum(channels=channels, height=height, width=width, data=data, encoded=False)


def _encoded(path: str, kind: str, color: bool, resize: tuple[int, int] | None) -> Datum:
    pixels = read_picture(path, color, resize)
    ending = path.rpartition(".")[2].lower()
    if not resize and (ending == kind.lower() or (kind.lower(), ending) == ("jpg", "jpeg")):
        return Datum(data=Path(path).read_bytes(), encoded=True)
    try:
        _, data = cv2.imencode(f".{kind}", np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    except cv2.error:
        raise InputError(
            f'{path}: OpenCV cannot write images of type "{kind}"; give encode_type, such as "png"'
        ) from None
    return Datum(data=data.tobytes(), encoded=True)


def compute_image_mean(database: Pathlike, output: Pathlike | None = None) -> Array:
    """The mean of all images of an LMDB, (C, H, W) float32; written to ``output`` if given.

    The sum is taken in float32 and in the order of the keys. Raises InputError for images of
    several sizes, naming the record.
    Caffe  tools/compute_image_mean.cpp
    """
    source = os.fspath(database)
    total: Array | None = None
    count = 0
    for key, value in read_lmdb(source):
        what = f"{source}: record {key_text(key)}"
        pixels = datum_pixels(parse_wire(value, Datum, what), None, what)
        if total is None:
            total = np.zeros(pixels.shape, np.float32)
        if pixels.shape != total.shape:
            raise InputError(
                f"{what} is {pixels.shape}, and the first one {total.shape}; a mean needs images "
                f"of one size: convert them with resize"
            )
        total += pixels
        count += 1
    assert total is not None
    total /= np.float32(count)
    if output is not None:
        channels, height, width = total.shape
        sizes = {"num": 1, "channels": channels, "height": height, "width": width}
        write_wire(Path(output), BlobProto(data=total.ravel(), **sizes))
    return total


def channel_means(mean: Array) -> list[float]:
    """The mean of each channel of a mean image, summed in float32 as Caffe's tool prints it."""
    flat = mean.reshape(len(mean), -1)
    return [float(np.add.accumulate(values)[-1] / np.float32(values.size)) for values in flat]
