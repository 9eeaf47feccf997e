"""What all data sources have in common, and the thread that makes batches ahead of their use."""

from __future__ import annotations

import copy
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np

from torchcaffe.data.transformer import Transformer
from torchcaffe.errors import InputError
from torchcaffe.random import Mersenne

Array = np.ndarray[Any, np.dtype[Any]]
Batch = tuple[Array, ...]
State = dict[str, Any]
F = TypeVar("F", bound="Feed")

WORKERS = 2
"""Threads that decode images."""


@dataclass(frozen=True)
class Setting:
    """What a source knows of its layer beside its own options."""

    batch_size: int
    phase: str
    labels: bool = True
    """Whether the layer has a top for labels."""
    ahead: int = 4
    """How many batches may be made before they are asked for."""


class Feed:
    """A source of batches.

    ``shapes`` are those of the tops. A subclass keeps where it stands in plain values and streams,
    all of which ``restore`` replaces by new ones: so a copy shares what is read, and not the place.
    """

    shapes: list[tuple[int, ...]]
    ahead = 0
    rank, ranks = 0, 1
    """Which share of the records is read, of how many."""

    def begin(self, stream: Mersenne) -> None:
        """Draw what Caffe draws when it sets the layer up."""

    def deal(self, rank: int, ranks: int) -> None:
        """Read the share ``rank`` of ``ranks``, if the source is one that Caffe deals out."""
        self.rank, self.ranks = rank, ranks

    def batch(self) -> Batch:
        """The next batch, one array for each top."""
        raise NotImplementedError

    def state(self) -> State:
        """Where the source stands: numbers and arrays (int64 or uint8) by name."""
        raise NotImplementedError

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where ``state`` was taken."""
        raise NotImplementedError

    def at(self: F, state: Mapping[str, Any]) -> F:
        """Another one that goes on from ``state``; this one stays where it is."""
        twin = copy.copy(self)
        twin.restore(state)
        return twin

    def __deepcopy__(self: F, memo: dict[int, Any]) -> F:
        return self.at(self.state())


@dataclass(frozen=True)
class Item:
    """One image of a batch before it is decoded."""

    what: str
    """Its name in an error."""
    pixels: Callable[[], Array]
    """Decodes it: (C, H, W)."""
    label: float
    words: list[int]
    """The random words for the transformer, drawn in the order of the batch."""


def _decoded(item: Item) -> Array:
    return item.pixels()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """The threads that decode, for a process: a forked one has none of its parent's."""
    return ThreadPoolExecutor(WORKERS, "decode")


class TransformedFeed(Feed):
    """A source whose images pass a transformer, made ahead by a thread."""

    decodes = True
    """Whether it takes long to get an image's pixels."""

    def __init__(self, setting: Setting, transformer: Transformer) -> None:
        self.batch_size, self.phase = setting.batch_size, setting.phase
        self.labels, self.ahead = setting.labels, setting.ahead
        self.transformer = transformer

    def begin(self, stream: Mersenne) -> None:
        """The transformer's seed, which Caffe throws away; the type's own; the seed; the thread's.

        Caffe  src/caffe/layers/base_data_layer.cpp: the transformer is seeded in both classes.
        """
        self.transformer.seed(stream)
        self.draw(stream)
        self.transformer.seed(stream)
        stream.word()

    def draw(self, stream: Mersenne) -> None:
        """What the type draws between the two seeds."""

    def declare(self, first: Array, what: str) -> None:
        """Set ``shapes`` for batches of images like ``first`` (C, H, W)."""
        self.shapes = [(self.batch_size, *self.transformer.shape(first, what))]
        self.shapes += [(self.batch_size,)] * self.labels

    def make(self, items: Iterable[Item]) -> Batch:
        """A batch of items; images are decoded by several threads, and used in order."""
        data: Array | None = None
        labels = np.empty(self.batch_size, np.float32)
        listed = list(items)
        decoded = (_pool(os.getpid()).map if self.decodes else map)(_decoded, listed)
        for place, (item, pixels) in enumerate(zip(listed, decoded, strict=True)):
            shape = self.transformer.shape(pixels, item.what)
            if data is None:
                data = np.empty((self.batch_size, *shape), np.float32)
            if data.shape[1:] != shape:
                raise InputError(
                    f"{item.what} makes {_text(shape)} in a batch of {_text(data.shape[1:])}; "
                    f"images of several sizes need a crop_size, resizing, or a batch_size of 1"
                )
            self.transformer.apply(pixels, item.words, data[place])
            labels[place] = item.label
        assert data is not None
        return (data, labels) if self.labels else (data,)

    def state(self) -> State:
        """See Feed."""
        return {"transformer": stream_state(self.transformer.stream)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See Feed."""
        self.transformer = copy.copy(self.transformer)
        self.transformer.stream = stream_at(state["transformer"])


class Ahead:
    """Batches of a feed, made by one thread before they are asked for, in the feed's own order.

    ``state`` is that after the batch which was delivered last, whatever the thread has done since.
    After an error the feed stands before the batch that failed, which is therefore never left out.
    """

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.queue: deque[Future[tuple[Batch, State]]] = deque()
        self.worker: ThreadPoolExecutor | None = None
        self.delivered: State | None = None

    def batch(self) -> Batch:
        """The next batch."""
        if not self.feed.ahead:
            return self.feed.batch()
        before = self.state()
        if self.worker is None:
            self.worker = ThreadPoolExecutor(1, "data")
        try:
            while len(self.queue) <= self.feed.ahead:
                self.queue.append(self.worker.submit(_next, self.feed))
            batch, self.delivered = self.queue.popleft().result()
        except BaseException:
            self.restore(before)
            raise
        return batch

    def state(self) -> State:
        """Where the batches that were delivered end."""
        return self.feed.state() if self.delivered is None else self.delivered

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where ``state`` was taken."""
        self.change(lambda feed: feed.restore(state))

    def change(self, how: Callable[[Feed], Any]) -> None:
        """Change the feed where it stands, batches that were made ahead forgotten."""
        while self.queue:
            future = self.queue.pop()
            if not future.cancel():
                future.exception()
        if self.delivered is not None:
            self.feed.restore(self.delivered)
        self.delivered = None
        how(self.feed)

    def __deepcopy__(self, memo: dict[int, Any]) -> Ahead:
        return Ahead(self.feed.at(self.state()))


def _next(feed: Feed) -> tuple[Batch, State]:
    return feed.batch(), feed.state()


def stream_state(stream: Mersenne | None) -> Array | None:
    """A stream's state as numbers that any file of arrays keeps."""
    return None if stream is None else stream.state.astype(np.int64)


def stream_at(state: Any) -> Mersenne | None:
    """A stream at ``state``."""
    if state is None:
        return None
    stream = Mersenne(0)
    stream.state = np.asarray(state).astype(np.uint32)
    return stream


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
