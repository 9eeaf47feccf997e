"""Data: Datum records of a database, in the order of their keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import cv2
import numpy as np

from torchcaffe.data.feed import Item, Setting, State, TransformedFeed
from torchcaffe.data.lmdb_file import Cursor, key_text
from torchcaffe.data.pictures import decode
from torchcaffe.data.transformer import Transformer
from torchcaffe.errors import InputError
from torchcaffe.proto import parse_wire
from torchcaffe.proto.schema import Datum

Array = np.ndarray[Any, np.dtype[Any]]


class Records(TransformedFeed):
    """The records of an LMDB, again and again; the first one tells the shape.

    In phase TRAIN with several ranks, a rank reads the records whose running number modulo
    ``ranks`` is its own.
    Caffe  src/caffe/layers/data_layer.cpp
    """

    def __init__(self, source: str, setting: Setting, transformer: Transformer) -> None:
        super().__init__(setting, transformer)
        self.source = source
        self.offset = 0
        self.place: bytes | None = None
        """The key to go on from, while there is no cursor."""
        self.cursor: Cursor | None = Cursor(source)
        what, datum = self._parsed(*self.cursor.item())
        self.declare(datum_pixels(datum, self.transformer, what), what)
        self.decodes = datum.encoded

    def batch(self) -> tuple[Array, ...]:
        """See Feed."""
        return self.make(self._items())

    def _items(self) -> Iterator[Item]:
        if self.cursor is None:
            self.cursor = Cursor(self.source, self.place)
        for _ in range(self.batch_size):
            while self.phase == "TRAIN" and self.offset % self.ranks != self.rank:
                self._advance(self.cursor)
            what, datum = self._parsed(*self.cursor.item())
            words = self.transformer.draw()
            pixels = partial(datum_pixels, datum, self.transformer, what)
            self._advance(self.cursor)
            yield Item(what, pixels, datum.label, words)

    def _advance(self, cursor: Cursor) -> None:
        cursor.advance()
        self.offset += 1

    def _parsed(self, key: bytes, value: bytes) -> tuple[str, Datum]:
        what = f"{self.source}: record {key_text(key)}"
        return what, parse_wire(value, Datum, what)

    def state(self) -> State:
        """See Feed."""
        key = self.place if self.cursor is None else self.cursor.key()
        packed = None if key is None else np.frombuffer(key, np.uint8)
        return super().state() | {"offset": self.offset, "key": packed}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See Feed."""
        super().restore(state)
        key = state["key"]
        self.offset, self.cursor = int(state["offset"]), None
        self.place = None if key is None else np.asarray(key).astype(np.uint8).tobytes()


def datum_pixels(datum: Datum, transformer: Transformer | None, what: str) -> Array:
    """A record's image: (C, H, W) uint8 or, from float_data, float32.

    The transformer says whether an encoded image is made to have 3 channels, or 1. Raises
    InputError if it does not decode, or the record holds fewer numbers than its shape says.
    """
    if datum.encoded:
        flag = cv2.IMREAD_UNCHANGED
        if transformer and (transformer.force_color or transformer.force_gray):
            flag = cv2.IMREAD_COLOR if transformer.force_color else cv2.IMREAD_GRAYSCALE
        return decode(np.frombuffer(datum.data, np.uint8), flag, what)
    shape = (datum.channels, datum.height, datum.width)
    values = np.frombuffer(datum.data, np.uint8) if datum.data else np.asarray(datum.float_data)
    count = shape[0] * shape[1] * shape[2]
    if min(shape) <= 0 or values.size < count:
        raise InputError(
            f"{what} is damaged: it holds {values.size} numbers for "
            f"{shape[0]}x{shape[1]}x{shape[2]}; write the record again"
        )
    return values[:count].reshape(shape)
