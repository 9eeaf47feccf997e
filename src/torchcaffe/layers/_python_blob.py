"""Blobs as a person's Python layer sees them: numpy arrays with a shape that may change."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class ArrayBlob:
    """Data and diff of one shape, and Caffe's names for the shape's parts.

    Memory grows and never shrinks: reshaped to as many elements or fewer, a blob keeps its numbers;
    to more, it is zeros.
    """

    def __init__(self, *shape: int) -> None:
        self._data = np.zeros(0, np.float32)
        self._diff = np.zeros(0, np.float32)
        self._shape: tuple[int, ...] = ()
        self.shaped = False
        if shape:
            self.reshape(*shape)

    def __repr__(self) -> str:
        return f"Blob{self._shape}"

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self._shape

    @property
    def count(self) -> int:
        """The number of elements."""
        return prod(self._shape) if self.shaped else 0

    @property
    def data(self) -> Array:
        """The values, to be changed in place; a bottom's are read-only."""
        return self._data[: self.count].reshape(self._shape if self.shaped else (0,))

    @property
    def diff(self) -> Array:
        """The gradient of the loss with respect to ``data``, to be changed in place."""
        return self._diff[: self.count].reshape(self._shape if self.shaped else (0,))

    @property
    def num(self) -> int:
        """The size of axis 0; 1 if there is none, as for the three below."""
        return self._legacy(0)

    @property
    def channels(self) -> int:
        """The size of axis 1."""
        return self._legacy(1)

    @property
    def height(self) -> int:
        """The size of axis 2."""
        return self._legacy(2)

    @property
    def width(self) -> int:
        """The size of axis 3."""
        return self._legacy(3)

    def _legacy(self, axis: int) -> int:
        if len(self._shape) > 4:
            raise ValueError(
                f"num, channels, height and width are for blobs of at most 4 axes, this one has "
                f"{len(self._shape)}; use shape"
            )
        return self._shape[axis] if axis < len(self._shape) else 1

    def reshape(self, *shape: int) -> None:
        """Change the shape: ``blob.reshape(2, 3)``; ``blob.reshape()`` makes a single number."""
        for size in shape:
            if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0:
                raise TypeError(
                    f"reshape takes whole numbers of 0 or more, as reshape(2, 3); got {shape}"
                )
        self._shape, self.shaped = tuple(int(size) for size in shape), True
        if self.count > self._data.size or self.count > self._diff.size:
            self._data = np.zeros(self.count, self._data.dtype)
            self._diff = np.zeros(self.count, self._data.dtype)

    def hold(self, data: Array, writeable: bool) -> None:
        """Let ``data`` be the memory of the values."""
        flat = data.reshape(-1)
        flat.flags.writeable = writeable
        self._data, self._shape, self.shaped = flat, data.shape, True
        if self._diff.size < flat.size or self._diff.dtype != flat.dtype:
            self._diff = np.zeros(flat.size, flat.dtype)

    def cast(self, dtype: np.dtype[Any]) -> None:
        """Change the type of the numbers."""
        if self._data.dtype != dtype:
            self._data, self._diff = self._data.astype(dtype), self._diff.astype(dtype)


class BlobVec:
    """The parameter blobs of a layer."""

    def __init__(self) -> None:
        self._blobs: list[ArrayBlob] = []

    def add_blob(self, *shape: int) -> None:
        """Add a parameter of this shape, zeros."""
        blob = ArrayBlob()
        blob.reshape(*shape)
        self._blobs.append(blob)

    def __len__(self) -> int:
        return len(self._blobs)

    def __getitem__(self, index: int) -> ArrayBlob:
        return self._blobs[index]

    def __iter__(self) -> Iterator[ArrayBlob]:
        return iter(self._blobs)
