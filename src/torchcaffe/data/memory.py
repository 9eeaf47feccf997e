"""MemoryData: arrays that the program gives."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from torchcaffe.data.feed import Feed, State, stream_at, stream_state
from torchcaffe.data.records import datum_pixels
from torchcaffe.data.transformer import Transformer
from torchcaffe.errors import InputError
from torchcaffe.proto.schema import Datum, MemoryDataParameter
from torchcaffe.random import Mersenne

Array = np.ndarray[Any, np.dtype[Any]]


class Memory(Feed):
    """Batches of arrays that were set, again and again.

    Labels come as (N, 1, 1, 1), although the layer declares (N): so Caffe does it.
    Caffe  src/caffe/layers/memory_data_layer.cpp
    """

    def __init__(self, param: MemoryDataParameter, transformer: Transformer) -> None:
        self.size = (param.channels, param.height, param.width)
        self.batch_size = param.batch_size
        self.transformer = transformer
        self.shapes = [(self.batch_size, *self.size), (self.batch_size,)]
        self.data: Array | None = None
        self.label: Array | None = None
        self.place = 0

    def begin(self, stream: Mersenne) -> None:
        """The transformer's seed."""
        self.transformer.seed(stream)

    def set_arrays(self, data: Array, label: Array) -> None:
        """Deliver ``data`` (n, C, H, W) and ``label`` (n), as they are, n a multiple of the batch.

        The arrays are not copied: later changes are seen. Raises InputError if they do not fit.
        """
        data, label = np.asarray(data), np.asarray(label)
        self._check_count(len(data))
        if data.shape[1:] != self.size:
            raise InputError(f"data of {(len(data), *self.size)} was expected, got {data.shape}")
        if label.size != len(data):
            raise InputError(f"{len(data)} labels were expected, got {label.size}")
        self.data, self.label = data, label.reshape(-1, 1, 1, 1)
        self.place = 0

    def set_images(self, images: Sequence[Array | Datum], label: Sequence[int] = ()) -> None:
        """Deliver images, 8-bit (C, H, W) with labels or Datum records, after transforming them.

        Raises InputError if they do not fit.
        """
        self._check_count(len(images))
        data = np.empty((len(images), *self.size), np.float32)
        labels = np.array([image.label for image in images if isinstance(image, Datum)] or label)
        for place, image in enumerate(images):
            what, t = f"image {place}", self.transformer
            pixels = datum_pixels(image, t, what) if isinstance(image, Datum) else image
            if t.shape(pixels, what) != self.size:
                raise InputError(f"{what} makes {t.shape(pixels, what)}, not {self.size}")
            t.apply(pixels, t.draw(), data[place])
        self.set_arrays(data, labels)

    def _check_count(self, count: int) -> None:
        if not count or count % self.batch_size:
            raise InputError(
                f"as many items as fill batches of {self.batch_size} were expected, got {count}"
            )

    def batch(self) -> tuple[Array, ...]:
        """See Feed; InputError before arrays are set."""
        if self.data is None or self.label is None:
            raise InputError(
                "has no data yet; give it arrays with set_arrays(data, label), or set_images"
            )
        part = slice(self.place, self.place + self.batch_size)
        self.place = (self.place + self.batch_size) % len(self.data)
        return self.data[part].astype(np.float32), self.label[part].astype(np.float32)

    def state(self) -> State:
        """See Feed; the arrays are not part of it."""
        return {"place": self.place, "transformer": stream_state(self.transformer.stream)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See Feed; the same arrays must have been set."""
        self.place = int(state["place"])
        self.transformer = copy.copy(self.transformer)
        self.transformer.stream = stream_at(state["transformer"])
