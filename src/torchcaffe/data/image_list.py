"""ImageData: the image files of a list, with a label for each."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from torchcaffe.data.feed import Item, Setting, State, TransformedFeed, stream_at, stream_state
from torchcaffe.data.pictures import read_picture
from torchcaffe.data.transformer import Transformer
from torchcaffe.errors import InputError, NetWarning
from torchcaffe.proto.files import read_bytes
from torchcaffe.proto.schema import ImageDataParameter
from torchcaffe.random import Mersenne, shuffle

Array = np.ndarray[Any, np.dtype[Any]]


class ImageList(TransformedFeed):
    """The images of a list, again and again; shuffled anew at each end if so wished.

    The shape is that of the list's first image.
    Caffe  src/caffe/layers/image_data_layer.cpp
    """

    def __init__(
        self, param: ImageDataParameter, setting: Setting, transformer: Transformer
    ) -> None:
        super().__init__(setting, transformer)
        self.param = param
        self.lines = read_list(param.source)
        self.order: Array = np.arange(len(self.lines))
        self.line = 0
        self.stream: Mersenne | None = None
        self.declare(self._pixels(0), self._path(0))

    def deal(self, rank: int, ranks: int) -> None:
        """See Feed: every rank reads all images, as in Caffe, which warns of it too."""
        super().deal(rank, ranks)
        alike = not (self.param.shuffle or self.param.rand_skip)
        if self.phase == "TRAIN" and ranks > 1 and rank == 0 and alike:
            warnings.warn(
                f"{self.param.source}: all {ranks} ranks read the same images at the same time; "
                f"set shuffle: true, which each rank does in its own way",
                NetWarning,
                stacklevel=2,
            )

    def draw(self, stream: Mersenne) -> None:
        """The seed that shuffles, and the line to begin with."""
        if self.param.shuffle:
            self.stream = Mersenne(stream.word())
            self._shuffle()
        if self.param.rand_skip:
            self.line = stream.word() % self.param.rand_skip
            if self.line >= len(self.lines):
                raise InputError(
                    f"rand_skip {self.param.rand_skip} leaves out {self.line} of the "
                    f"{len(self.lines)} images in {self.param.source}; it must not exceed their "
                    f"number"
                )

    def _shuffle(self) -> None:
        assert self.stream is not None
        places = self.order.tolist()
        shuffle(self.stream, places)
        self.order = np.array(places)

    def batch(self) -> tuple[Array, ...]:
        """See Feed."""
        return self.make(self._items())

    def _items(self) -> Iterator[Item]:
        for _ in range(self.batch_size):
            place = int(self.order[self.line])
            words = self.transformer.draw()
            self.line += 1
            if self.line == len(self.lines):
                self.line = 0
                if self.param.shuffle:
                    self._shuffle()
            pixels = partial(self._pixels, place)
            yield Item(self._path(place), pixels, self.lines[place][1], words)

    def _path(self, place: int) -> str:
        return self.param.root_folder + self.lines[place][0]

    def _pixels(self, place: int) -> Array:
        size = (self.param.new_height, self.param.new_width)
        try:
            return read_picture(self._path(place), self.param.is_color, size if all(size) else None)
        except InputError as error:
            raise InputError(f"{self.param.source}:{place + 1}: {error}") from None

    def state(self) -> State:
        """See Feed."""
        return super().state() | {
            "line": self.line,
            "order": self.order,
            "shuffle": stream_state(self.stream),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """See Feed."""
        super().restore(state)
        self.line, self.order = int(state["line"]), np.asarray(state["order"])
        self.stream = stream_at(state["shuffle"])


def read_list(path: str) -> list[tuple[str, int]]:
    """The lines of a list as path and label: what stands after the last space is the label.

    As in Caffe, a label is the whole number that its text begins with, and 0 without one.
    """
    text = read_bytes(path, "a list of images").decode(errors="surrogateescape")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    if not lines:
        raise InputError(f"{path} is empty; it must list images")
    return [_split(line) for line in lines]


def _split(line: str) -> tuple[str, int]:
    path, space, label = line.rpartition(" ")
    found = re.match(r"\s*([+-]?\d+)", label)
    return (path if space else line), int(found[1]) if found else 0
