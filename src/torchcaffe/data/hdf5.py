"""HDF5Data: the rows of HDF5 files, file after file."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from torchcaffe.data.feed import Feed, State
from torchcaffe.errors import InputError
from torchcaffe.proto.files import read_bytes
from torchcaffe.random import LibcRand, Mersenne, random_shuffle

Array = np.ndarray[Any, np.dtype[Any]]

_LIBC = LibcRand()


def libc_stream() -> LibcRand:
    """The process's ``rand()``, which every HDF5Data layer that shuffles draws from.

    Caffe never seeds it; set its ``state`` to that of ``LibcRand()`` for the order of a fresh run.
    """
    return _LIBC


class HDF5Rows(Feed):
    """Rows of the datasets ``names`` in the files that ``source`` lists, again and again.

    Shuffled, the files change places at each end of their list and rows whenever a file is read
    and once more when the one before has ended. The stream is the process's, as in Caffe; a copy
    has one of its own.
    Caffe  src/caffe/layers/hdf5_data_layer.cpp
    """

    def __init__(
        self, source: str, names: Sequence[str], batch_size: int, phase: str, shuffle: bool
    ) -> None:
        self.source, self.names = source, list(names)
        self.batch_size, self.phase, self.shuffle = batch_size, phase, shuffle
        text = read_bytes(source, "a list of HDF5 files").decode(errors="surrogateescape")
        self.files = text.split()
        if not self.files:
            raise InputError(f"{source} is empty; it must list HDF5 files")
        self.libc = libc_stream()
        self.file_order = list(range(len(self.files)))
        self.row_order: list[int] = []
        self.file = self.row = self.offset = 0
        self.values: list[Array] = []
        shapes = [shape[1:] for shape in self._read(self.files[0], shapes_only=True)]
        self.shapes = [(batch_size, *shape) for shape in shapes]

    def begin(self, stream: Mersenne) -> None:
        """Shuffle, from libc's stream; ``stream`` is left alone."""
        self.file_order = self._shuffled(self.file_order)
        self._load()

    def _shuffled(self, order: list[int]) -> list[int]:
        order = list(order)
        if self.shuffle:
            random_shuffle(self.libc, order)
        return order

    def _load(self) -> None:
        """Read the current file, its rows in a new order."""
        self.values = self._read(self.files[self.file_order[self.file]])
        self.row_order = self._shuffled(list(range(len(self.values[0]))))

    def batch(self) -> tuple[Array, ...]:
        """See Feed."""
        batch = tuple(np.empty(shape, np.float32) for shape in self.shapes)
        for place in range(self.batch_size):
            while self.phase == "TRAIN" and self.offset % self.ranks != self.rank:
                self._next()
            for top, values in zip(batch, self.values, strict=True):
                top[place] = values[self.row_order[self.row]]
            self._next()
        return batch

    def _next(self) -> None:
        self.row += 1
        self.offset += 1
        if self.row < len(self.values[0]):
            return
        if len(self.files) > 1:
            self.file += 1
            if self.file == len(self.files):
                self.file = 0
                self.file_order = self._shuffled(self.file_order)
            self._load()
        self.row = 0
        self.row_order = self._shuffled(self.row_order)

    def _read(self, path: str, shapes_only: bool = False) -> list[Any]:
        """The datasets of a file as float32, or their shapes."""
        with open_hdf5(path) as file:
            found = [self._dataset(file, path, name) for name in self.names]
            shapes = [dataset.shape for dataset in found]
            if len({shape[0] for shape in shapes}) > 1 or not shapes[0][0]:
                rows = ", ".join(
                    f'"{name}" {shape[0]}' for name, shape in zip(self.names, shapes, strict=True)
                )
                raise InputError(
                    f"{path}: the datasets need the same number of rows, at least one; they have: "
                    f"{rows}"
                )
            if shapes_only:
                return shapes
            for name, shape, top in zip(self.names, shapes, self.shapes, strict=True):
                if shape[1:] != top[1:]:
                    raise InputError(
                        f'{path}: a row of "{name}" is {shape[1:]}, and in the first file of '
                        f"{self.source} {top[1:]}; all files must have rows of one shape"
                    )
            try:
                return [dataset.astype(np.float32)[...] for dataset in found]
            except OSError as error:
                raise InputError(f"{path} is damaged: {error}") from None

    def _dataset(self, file: h5py.File, path: str, name: str) -> h5py.Dataset:
        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset):
            known = ", ".join(f'"{key}"' for key in file) or "none"
            raise InputError(
                f'{path} has no dataset "{name}" for the top of that name; it has: {known}'
            )
        kind = dataset.id.get_type().get_class()
        if kind not in (h5py.h5t.FLOAT, h5py.h5t.INTEGER):
            raise InputError(f'{path}: "{name}" holds {dataset.dtype}; Caffe takes numbers')
        if not dataset.shape:
            raise InputError(f'{path}: "{name}" is a single value; it must have rows')
        return dataset

    def state(self) -> State:
        """See Feed."""
        state = {"file": self.file, "row": self.row, "offset": self.offset}
        if not self.shuffle:
            return state
        return state | {
            "files": np.array(self.file_order),
            "rows": np.array(self.row_order),
            "libc": self.libc.state.astype(np.int64),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """See Feed; the process's stream is put back too."""
        if self.shuffle:
            self.file_order = np.asarray(state["files"]).tolist()
            self.libc.state = np.asarray(state["libc"]).astype(np.uint32)
        self.file, self.row = int(state["file"]), int(state["row"])
        self.offset = int(state["offset"])
        self.values = self._read(self.files[self.file_order[self.file]])
        self.row_order = list(range(len(self.values[0])))
        if self.shuffle:
            self.row_order = np.asarray(state["rows"]).tolist()

    def at(self, state: Mapping[str, Any]) -> HDF5Rows:
        """See Feed: with a ``rand()`` of its own, so that this one's order stays what it was."""
        twin = copy.copy(self)
        twin.libc = LibcRand()
        if self.values:
            twin.restore(state)
        return twin


def open_hdf5(path: str) -> h5py.File:
    """An HDF5 file for reading; InputError if it is none."""
    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; an HDF5 file was expected there") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read as an HDF5 file: {error}") from None
