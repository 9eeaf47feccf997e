"""How one array of weights is made from another: equal, transposed, flipped, scaled, or not at all.

Hand ports store weights in other orders than Caffe: some of that is right, some of it a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from math import prod

import torch
from torch import Tensor

from torchcaffe.diagnosis.layouts import mergeable

Change = Callable[[Tensor], Tensor]

CLOSE = 1e-5
"""Weights this near to each other, as a part of their norm, are the same ones."""


@dataclass(frozen=True)
class Relation:
    """The port's array is ``change`` of Caffe's, off by ``error`` of its norm.

    ``name``  "equal", "view" (another shape, the same order), "transposed", "flipped",
    "channels reversed", "permuted" (axes in another order, merged or not), "reshaped" (permuted,
    then forced into the first shape), "scaled" (each output channel by a number of its own),
    "shape" (nothing but the shape is alike).
    """

    name: str
    change: Change
    error: float = 0.0
    detail: str = ""

    @property
    def same(self) -> bool:
        """Whether the values are Caffe's, each of them, in whatever order."""
        return self.name not in ("scaled", "shape", "numel", "other size")


def moments(value: Tensor) -> tuple[float, float, float]:
    """Three numbers that no reordering changes."""
    flat, double = value.detach().reshape(-1).float(), torch.double
    total, size = flat.sum(dtype=double), flat.abs().sum(dtype=double)
    return float(total), float(size), float(torch.linalg.vector_norm(flat, dtype=double)) ** 2


def alike(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether two arrays with these moments may be reorderings of each other."""
    tall = max(a[1], b[1])
    return abs(a[0] - b[0]) <= 1e-4 * tall and all(
        abs(x - y) <= 1e-4 * max(abs(x), abs(y)) for x, y in zip(a[1:], b[1:], strict=True)
    )


def distance(a: Tensor, b: Tensor) -> float:
    """The norm of the difference as a part of b's norm; infinite for other shapes."""
    if a.shape != b.shape:
        return float("inf")
    norm = float(b.double().norm())
    gap = float((a.double() - b.double()).norm())
    return gap / norm if norm else (0.0 if gap == 0 else float("inf"))


def constant(value: Tensor) -> bool:
    """Whether all elements are one number, so that its values say nothing of where it belongs."""
    flat = value.detach().reshape(-1)
    return flat.numel() == 0 or bool((flat == flat[0]).all())


def relate(port: Tensor, caffe: Tensor) -> Relation | None:
    """The simplest relation there is; None if not even the numbers of elements agree."""
    port, caffe = port.detach().float(), caffe.detach().float()
    if port.numel() != caffe.numel():
        return None
    if port.shape == caffe.shape and torch.equal(port, caffe):
        return Relation("equal", _itself)
    if alike(moments(port), moments(caffe)):
        for candidate in reorderings(tuple(caffe.shape), tuple(port.shape)):
            error = distance(candidate.change(caffe), port)
            if error <= CLOSE:
                return Relation(candidate.name, candidate.change, error, candidate.detail)
    if port.shape == caffe.shape and port.dim() > 1 and proportional(port, caffe):
        return Relation("scaled", _itself, distance(caffe, port))
    if squeezed(port.shape) == squeezed(caffe.shape):
        shape = port.shape
        return Relation("shape", lambda value: value.reshape(shape), float("inf"))
    return Relation("numel", lambda value: value.reshape(port.shape), float("inf"))


def _itself(value: Tensor) -> Tensor:
    return value


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without its ones."""
    return tuple(size for size in shape if size != 1)


def proportional(port: Tensor, caffe: Tensor) -> bool:
    """Whether each output channel is a multiple of Caffe's, as BatchNorm folded in makes it."""
    a, b = port.flatten(1).double(), caffe.flatten(1).double()
    if a.shape[1] < 4:
        return False
    norms = a.norm(dim=1) * b.norm(dim=1)
    alive = norms > 1e-30
    if not bool(alive.any()):
        return False
    cosine = ((a * b).sum(1).abs() / norms.clamp(min=1e-30))[alive]
    return bool((cosine > 1 - 1e-6).all())


def reorderings(caffe: tuple[int, ...], port: tuple[int, ...]) -> Iterator[Relation]:
    """Every way that people lay out weights, from the likeliest on."""
    if caffe == port:
        yield Relation("equal", _itself)
    elif prod(caffe) == prod(port):
        yield Relation("view", lambda value: value.reshape(port))
    if len(caffe) >= 3:
        axes = tuple(range(2, len(caffe)))
        yield _fit("flipped", lambda value: value.flip(axes), port, "every kernel turned by 180°")
    if len(caffe) >= 2:
        yield _fit("channels reversed", lambda value: value.flip(1), port, "input channels")
        yield _fit("outputs reversed", lambda value: value.flip(0), port, "output channels")
    yield from _orders(caffe, port)


def _orders(caffe: tuple[int, ...], port: tuple[int, ...]) -> Iterator[Relation]:
    for order in list(permutations(range(len(caffe))))[1:]:
        shape = tuple(caffe[axis] for axis in order)
        swapped = "transposed" if len(caffe) == 2 or order == (0, 1, 3, 2) else "permuted"
        if mergeable(shape, port):
            yield _fit(swapped, _permuted(order), port, str(order))
    for order in list(permutations(range(len(caffe))))[1:]:
        shape = tuple(caffe[axis] for axis in order)
        if not mergeable(shape, port):
            yield _fit("reshaped", _permuted(order), port, str(order))
        back = tuple(order.index(axis) for axis in range(len(caffe)))

        def forced(value: Tensor, s: tuple[int, ...] = shape, b: tuple[int, ...] = back) -> Tensor:
            return value.reshape(s).permute(b)

        if shape != caffe:
            yield _fit("reshaped", forced, port, f"{shape} read as {order}")


def _permuted(order: tuple[int, ...]) -> Change:
    return lambda value: value.permute(order)


def _fit(name: str, change: Change, port: tuple[int, ...], detail: str) -> Relation:
    return Relation(name, lambda value: change(value).reshape(port), 0.0, detail)
