"""Blobs and records: numbers with a shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from torchcaffe.proto.message import Message, boolean, int32, message, numbers, octets, repeated

Array = np.ndarray[Any, np.dtype[Any]]


class BlobShape(Message):
    dim: list[int] = repeated(1, "int64", packed=True)


class BlobProto(Message):
    num: int = int32(1)
    channels: int = int32(2)
    height: int = int32(3)
    width: int = int32(4)
    data: Array = numbers(5, "float")
    diff: Array = numbers(6, "float")
    shape: BlobShape = message(7, "BlobShape")
    double_data: Array = numbers(8, "double")
    double_diff: Array = numbers(9, "double")


class BlobProtoVector(Message):
    blobs: list[BlobProto] = repeated(1, "BlobProto")


class Datum(Message):
    channels: int = int32(1)
    height: int = int32(2)
    width: int = int32(3)
    data: bytes = octets(4)
    label: int = int32(5)
    float_data: Array = numbers(6, "float", packed=False)
    encoded: bool = boolean(7)
