"""The numbers of a blob with their shape, old style and new."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from torchcaffe.errors import WeightsError
from torchcaffe.proto.schema import BlobProto, BlobShape

Array = np.ndarray[Any, np.dtype[Any]]

_LEGACY = ("num", "channels", "height", "width")
_MOST_AXES = 32
_MOST_ELEMENTS = 2**31 - 1


def is_legacy(blob: BlobProto) -> bool:
    """Whether the blob has its shape as num, channels, height, width; one of them is enough."""
    return any(blob.has(name) for name in _LEGACY)


def blob_shape(blob: BlobProto, what: str = "the blob") -> tuple[int, ...]:
    """The blob's shape; legacy dimensions come first, and an absent one of them is 0.

    ``what`` names the blob in an error. Raises WeightsError for a shape no blob can have.
    """
    legacy = is_legacy(blob)
    shape = tuple(getattr(blob, name) for name in _LEGACY) if legacy else tuple(blob.shape.dim)
    if len(shape) > _MOST_AXES:
        raise WeightsError(f"{what} has {len(shape)} axes; a blob can have {_MOST_AXES}.")
    if min(shape, default=0) < 0:
        raise WeightsError(f"{what} has the shape {shape}, with a negative dimension.")
    if math.prod(shape) > _MOST_ELEMENTS:
        raise WeightsError(
            f"{what} has the shape {shape}, that is {math.prod(shape)} elements; "
            f"a blob can have {_MOST_ELEMENTS}."
        )
    return shape


def blob_array(blob: BlobProto, what: str = "the blob") -> Array:
    """The blob's values, float32, shaped; a view of the message where it holds float32.

    Values stored as double come first, as in Caffe, and are rounded. ``what`` names the blob in
    an error. Raises WeightsError if there are not as many values as the shape says.
    """
    return _shaped(blob, "double_data", "data", what)


def blob_diff(blob: BlobProto, what: str = "the blob") -> Array | None:
    """The blob's gradients like ``blob_array``, or None if it has none."""
    if not blob.has("double_diff") and not blob.has("diff"):
        return None
    return _shaped(blob, "double_diff", "diff", what)


def _shaped(blob: BlobProto, double: str, single: str, what: str) -> Array:
    shape = blob_shape(blob, what)
    values: Array = getattr(blob, double if blob.has(double) else single)
    if len(values) != math.prod(shape):
        raise WeightsError(
            f"{what} has the shape {shape}, that is {math.prod(shape)} elements, "
            f"but {len(values)} values."
        )
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False).reshape(shape)


def make_blob(array: Array, diff: Array | None = None) -> BlobProto:
    """A blob as Caffe writes it: ``shape``, and ``data`` or (for float64) ``double_data``.

    ``diff`` are gradients of the same shape and type. Raises TypeError for other types than
    floating point.
    """
    blob = BlobProto()
    if array.ndim:
        blob.shape = BlobShape(dim=array.shape)
    _put(blob, array, "data")
    if diff is not None:
        if diff.shape != array.shape:
            raise WeightsError(f"diff has the shape {diff.shape}, and the blob {array.shape}.")
        _put(blob, diff, "diff")
    return blob


def _put(blob: BlobProto, array: Array, name: str) -> None:
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(f"a blob holds floating point numbers, got {array.dtype}")
    setattr(blob, f"double_{name}" if array.dtype == np.float64 else name, array.reshape(-1))


def blob_matches(blob: BlobProto, target: Sequence[int]) -> bool:
    """Whether Caffe would copy the blob into a parameter of shape ``target``."""
    if is_legacy(blob):
        return legacy_matches(blob, target)
    return tuple(blob.shape.dim) == tuple(target)


def legacy_matches(blob: BlobProto, target: Sequence[int]) -> bool:
    """Whether the blob's num, channels, height, width are ``target`` with ones in front.

    So 1x1x1xN fits a bias of N and 1x1xMxN a matrix of MxN, as Caffe of 2014 saved them.
    """
    if len(target) > 4:
        return False
    padded = (1,) * (4 - len(target)) + tuple(target)
    return padded == tuple(getattr(blob, name) for name in _LEGACY)
