"""Examples in batches: all from one random stream, or each group from its own.

Both are the same law. Replayed, a group's random numbers follow those of the group before, as in
the original. Numbered, each group has its own, so that any number of processes can make groups in
any order; put into order again, the batches are the same.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from goturn.crop import MEAN
from goturn.errors import DataError
from goturn.examples import Recipe
from goturn.motion import GroupStream, Stream
from torchcaffe.random import LibcRand

BATCH = 50

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Labels = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Group:
    """The examples of one pair.

    targets, searches    (n, 3, S, S) uint8, blue, green, red
    labels               (n, 4) float32: x1, y1, x2, y2, from 0 to 10 across the search crop
    stream               where the random stream stood before them, if one serves all groups
    bad                  the data that could not be used, in words; there are no examples then
    """

    number: int
    targets: Pixels
    searches: Pixels
    labels: Labels
    stream: list[int] | None = None
    bad: str | None = None


class Groups(Protocol):
    """Groups in order, from any number on."""

    def start(self, number: int, stream: list[int] | None) -> Iterator[Group]:
        """From group ``number`` on, the stream where it stood before that group."""


def make_group(recipe: Recipe, size: int, number: int, stream: Stream) -> Group:
    """Group ``number`` at the network's input size; what cannot be read is told in ``bad``."""
    try:
        examples, bad = recipe.group(number, stream), None
    except DataError as error:
        examples, bad = [], str(error)

    def stack(which: str) -> Pixels:
        images = [recipe.resize(getattr(example, which), size) for example in examples]
        array = np.array(images, np.uint8).reshape(len(images), size, size, 3)
        return np.ascontiguousarray(array.transpose(0, 3, 1, 2))

    labels = np.array([example.label.to_corners() for example in examples], np.float32)
    labels = labels.reshape(len(examples), 4)
    return Group(number, stack("target"), stack("search"), labels, bad=bad)


class ReplayedGroups:
    """One process, one stream of libc's rand(): the original's examples in the original's order."""

    def __init__(self, recipe: Recipe, size: int) -> None:
        self.recipe, self.size = recipe, size

    def start(self, number: int, stream: list[int] | None) -> Iterator[Group]:
        """From group ``number`` on."""
        rand = LibcRand()
        if stream is not None:
            rand.state = np.array(stream, np.uint32)
        for group in count(number):
            before = [int(word) for word in rand.state]
            made = make_group(self.recipe, self.size, group, rand)
            yield Group(group, made.targets, made.searches, made.labels, before, made.bad)


class NumberedGroups:
    """Groups with a stream each, made by ``workers`` processes beside this one, or by this one.

    ``rank`` tells the processes of a distributed training apart: each has groups of its own.
    """

    def __init__(
        self, recipe: Recipe, size: int, seed: int, *, workers: int = 0, rank: int = 0
    ) -> None:
        self.makers = _Makers(recipe, size, seed, rank)
        self.workers = workers

    def start(self, number: int, stream: list[int] | None) -> Iterator[Group]:
        """From group ``number`` on."""
        return iter(
            DataLoader(
                self.makers,
                batch_size=None,
                sampler=_From(number),
                num_workers=self.workers,
                collate_fn=_as_it_is,
                multiprocessing_context="spawn" if self.workers else None,
                prefetch_factor=8 if self.workers else None,
                worker_init_fn=_begin,
                # Its own: a loader would draw from torch's.
                generator=torch.Generator(),
            )
        )


class _Makers(Dataset[Group]):
    def __init__(self, recipe: Recipe, size: int, seed: int, rank: int) -> None:
        self.recipe, self.size, self.seed, self.rank = recipe, size, seed, rank

    def __getitem__(self, number: int) -> Group:
        stream = GroupStream(self.seed, number, self.rank)
        return make_group(self.recipe, self.size, number, stream)


class _From(Sampler[int]):
    def __init__(self, start: int) -> None:
        self.first = start

    def __iter__(self) -> Iterator[int]:
        return count(self.first)


def _begin(worker: int) -> None:
    cv2.setNumThreads(0)
    # Ctrl-C is for the process that trains, which ends these.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _as_it_is(group: Any) -> Any:
    return group


class Batches:
    """Batches for ``torchcaffe.Solver``: target, image, bbox, float32, the mean subtracted.

    Groups follow each other; what a batch leaves of a group begins the next one.

    size
        examples in a batch
    skip_bad
        pass over groups whose data cannot be used, and count them in ``bad`` by what is wrong;
        otherwise that is a DataError
    """

    def __init__(
        self,
        groups: Groups,
        *,
        size: int = BATCH,
        skip_bad: bool = False,
        device: str | torch.device = "cpu",
    ) -> None:
        self.groups, self.size, self.skip_bad = groups, size, skip_bad
        self.bad: Counter[str] = Counter()
        self.device = torch.device(device)
        self.mean = torch.from_numpy(MEAN).to(self.device).view(3, 1, 1)
        self.load_state_dict({"group": 0, "used": 0, "stream": None})

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """Itself."""
        return self

    def __next__(self) -> dict[str, Tensor]:
        """The next batch: target and image (size, 3, S, S), bbox (size, 4, 1, 1)."""
        parts: list[tuple[Pixels, Pixels, Labels]] = []
        missing = self.size
        while missing:
            group = self._unfinished()
            chosen = slice(self._used, self._used + missing)
            parts.append((group.targets[chosen], group.searches[chosen], group.labels[chosen]))
            missing -= len(parts[-1][2])
            self._used += len(parts[-1][2])
        targets, searches, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
        return {
            "target": self._planes(targets),
            "image": self._planes(searches),
            "bbox": torch.from_numpy(labels).to(self.device).view(self.size, 4, 1, 1),
        }

    def state_dict(self) -> dict[str, Any]:
        """Where the next batch begins: a group, the examples of it that are used, its stream."""
        if self._group is None:
            return self._start
        return {"group": self._group.number, "used": self._used, "stream": self._group.stream}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._start = dict(state)
        self._source: Iterator[Group] | None = None
        self._group: Group | None = None
        self._used = int(state["used"])

    def _planes(self, pixels: Pixels) -> Tensor:
        return torch.from_numpy(pixels).to(self.device, non_blocking=True).float().sub_(self.mean)

    def _unfinished(self) -> Group:
        """The group that has examples left."""
        if self._group is None:
            self._group = self._usable()
        elif self._used >= len(self._group.labels):
            self._group, self._used = self._usable(), 0
        return self._group

    def _usable(self) -> Group:
        """The next group that has examples."""
        if self._source is None:
            self._source = self.groups.start(int(self._start["group"]), self._start["stream"])
        for group in self._source:
            if group.bad is not None and not self.skip_bad:
                raise DataError(f"{group.bad}; --skip-bad passes over what cannot be used")
            if group.bad is not None:
                self.bad[group.bad] += 1
            if len(group.labels):
                return group
        raise AssertionError("groups never end")
