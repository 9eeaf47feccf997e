"""Weights as a file holds them: layers by name, each with its parameter blobs in order."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class SourceLayer:
    """One layer's blobs, float32.

    ``legacy`` says that the shapes are Caffe's old four numbers, which fit a parameter with fewer
    axes if the ones in front are left out. ``places`` says which of the layer's blobs they are,
    where a file leaves out those that the layer shares with an earlier one.
    """

    name: str
    blobs: Sequence[Array]
    legacy: Sequence[bool]
    places: Sequence[int] | None = None


@dataclass(frozen=True)
class Weights:
    """What a weights file holds, in the file's order; a name may occur more than once.

    ``last_wins`` says which of two layers of one name in the net takes the blobs: in HDF5 files
    the last, otherwise the first.
    """

    file: str
    layers: Sequence[SourceLayer]
    last_wins: bool = False


def fits(blob: Array, legacy: bool, shape: Sequence[int]) -> bool:
    """Whether Caffe would copy ``blob`` into a parameter of ``shape``."""
    if legacy:
        return len(shape) <= 4 and tuple(blob.shape) == (1,) * (4 - len(shape)) + tuple(shape)
    return tuple(blob.shape) == tuple(shape)


def release(blob: Array) -> None:
    """Give back the memory of the mapped file pages under ``blob``, which has been copied."""
    base: Any = blob
    while isinstance(base, np.ndarray):
        base = base.base
    mapped = base.obj if isinstance(base, memoryview) else base
    if not isinstance(mapped, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    start = blob.ctypes.data - np.frombuffer(mapped, np.uint8, 1).ctypes.data
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (start + blob.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    if last > first:
        mapped.madvise(mmap.MADV_DONTNEED, first, last - first)
