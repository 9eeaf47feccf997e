"""Numbers that a port took from the shape of a tensor: they follow it when a call is run again.

A person writes ``functional.avg_pool2d(x, x.size()[2:])``, or ``y[:, :, 5 : 5 + x.size(2)]``: with
another x the numbers are others, and a wrong size further up must not be kept in them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

Get = Callable[[int], Tensor]


class Size(int):
    """A number of elements along an axis, or what was computed from some: what it reads, and how
    it is made of that."""

    reads: frozenset[int]
    make: Callable[[Get], int]

    def __new__(cls, number: int, reads: frozenset[int], make: Callable[[Get], int]) -> Size:
        """The number, with what it is made of."""
        found = super().__new__(cls, number)
        found.reads, found.make = reads, make
        return found

    def __reduce__(self) -> Any:
        return int, (int(self),)


def _computed(operation: Callable[[int, int], int]) -> tuple[Any, Any]:
    def forward(self: Size, other: Any) -> Any:
        return _both(operation, self, other)

    def backward(self: Size, other: Any) -> Any:
        return _both(operation, other, self)

    return forward, backward


def _both(operation: Callable[[int, int], int], left: Any, right: Any) -> Any:
    for each in (left, right):
        if not isinstance(each, int):
            return NotImplemented
    made = operation(int(left), int(right))
    reads = frozenset().union(*(e.reads for e in (left, right) if isinstance(e, Size)))
    return Size(made, reads, lambda get: operation(_now(left, get), _now(right, get)))


for _name in ("add", "sub", "mul", "floordiv", "mod"):
    _forward, _backward = _computed(getattr(operator, _name))
    setattr(Size, f"__{_name}__", _forward)
    setattr(Size, f"__r{_name}__", _backward)


def _now(number: int, get: Get) -> int:
    return number.make(get) if isinstance(number, Size) else number


def followed(value: int, shape: Any, axis: int | None = None) -> Any:
    """The shape of a value (or its size along an axis), to be followed."""

    def one(number: int, place: int) -> Size:
        return Size(number, frozenset([value]), lambda get: get(value).shape[place])

    if axis is not None:
        return one(shape, axis)
    return torch.Size([one(number, place) for place, number in enumerate(shape)])


def kept(leaf: Any) -> Any:
    """An argument as it is written down: a shape as a plain tuple, which is looked into."""
    return tuple(leaf) if isinstance(leaf, torch.Size) else leaf


def resolved(leaf: Any, at: Mapping[int, Tensor], recorded: Get) -> Any:
    """An argument with its sizes as they are now; those of what is not known stay."""

    def get(value: int) -> Tensor:
        return at[value] if value in at else recorded(value)

    if isinstance(leaf, Size):
        return leaf.make(get)
    if isinstance(leaf, slice):
        return slice(*(_now(end, get) for end in (leaf.start, leaf.stop, leaf.step)))
    return leaf


def sizes(leaf: Any) -> Iterator[Size]:
    """The sizes in an argument."""
    ends = (leaf.start, leaf.stop, leaf.step) if isinstance(leaf, slice) else (leaf,)
    return (each for each in ends if isinstance(each, Size))
