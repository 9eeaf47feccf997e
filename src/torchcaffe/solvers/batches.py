"""Where a net's inputs come from: one source for each net, one batch for each forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchcaffe.errors import InputError
from torchcaffe.layers._registry import shape_text
from torchcaffe.net import CaffeNet

Array = np.ndarray[Any, np.dtype[Any]]
Batch = Mapping[str, Tensor | Array]
Source = Iterable[Batch] | Callable[[int], Batch]
"""Batches in order, or a function that makes the batch of a number, 0 for the first.

An iterator that has ``state_dict()`` and ``load_state_dict()``, as torchdata's loaders do, goes on
where it was when a run is resumed from a TORCH snapshot; a function needs nothing for that.
"""


class Numbered:
    """The batches that a function makes, one after the other."""

    def __init__(self, make: Callable[[int], Batch]) -> None:
        self.make = make
        self.position = 0

    def __iter__(self) -> Iterator[Batch]:
        """Itself."""
        return self

    def __next__(self) -> Batch:
        """The batch of the next number."""
        batch = self.make(self.position)
        self.position += 1
        return batch

    def state_dict(self) -> dict[str, Any]:
        """The number of the next batch."""
        return {"position": self.position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the batch of another number."""
        self.position = int(state["position"])


class NetFeed:
    """The inputs of one net, taken from its source."""

    def __init__(self, what: str, net: CaffeNet, source: Source | None) -> None:
        self.what, self.net = what, net
        self.taken = 0
        if source is None and not net.inputs:
            source = _nothing
        self.source: Iterator[Batch] | None
        if source is None:
            self.source = None
        else:
            self.source = Numbered(source) if callable(source) else iter(source)

    def next(self, like: Tensor) -> dict[str, Tensor]:
        """The next batch, in the type and on the device of ``like``.

        Raises InputError if there is none.
        """
        if self.source is None:
            takes = ", ".join(f"{n} ({shape_text(s)})" for n, s in self.net.inputs.items())
            raise InputError(
                f"{self.what} takes {takes}; give the solver a source of batches: "
                f"Solver(..., {'test_batches=[...]' if 'test' in self.what else 'batches=...'})"
            )
        try:
            batch = next(self.source)
        except StopIteration:
            raise InputError(
                f"{self.what}: its batches ended after {self.taken}. Caffe's data layers begin "
                f"again at their end; itertools.cycle does the same for a list"
            ) from None
        self.taken += 1
        return {name: _as_tensor(value).to(like) for name, value in batch.items()}

    def position(self) -> dict[str, Any] | None:
        """The state of a source that can tell it."""
        tell = getattr(self.source, "state_dict", None)
        return dict(tell()) if tell else None

    def go_to(self, state: Mapping[str, Any] | None) -> None:
        """Put the source where it was; InputError if it cannot go there."""
        go = getattr(self.source, "load_state_dict", None)
        if state is None or go is None:
            raise InputError(
                f"{self.what}: its source of batches cannot go back to where it was; give a "
                f"function of the batch's number, or an iterator with state_dict() and "
                f"load_state_dict()"
            )
        go(state)


def _nothing(_: int) -> Batch:
    return {}


def _as_tensor(value: Tensor | Array) -> Tensor:
    if isinstance(value, Tensor):
        return value
    value = np.ascontiguousarray(value)
    return torch.from_numpy(value if value.flags.writeable else value.copy())
