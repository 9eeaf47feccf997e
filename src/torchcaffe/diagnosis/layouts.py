"""How the port lays out a blob of Caffe's: axes in another order, merged, or channels reversed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from math import prod

import torch
from torch import Tensor

TIGHT = 2e-5
"""Values this near, as a part of their norm, are taken for the same until they are looked at."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """Axes in ``order``, then the port's ``shape``; the values stay Caffe's."""

    order: tuple[int, ...]
    shape: Shape

    def change(self, caffe: Tensor) -> Tensor:
        """Caffe's blob as the port lays it out; one of another size keeps its axes if it can."""
        value = caffe.permute(self.order) if caffe.dim() == len(self.order) else caffe
        if tuple(value.shape) == self.shape:
            return value
        if value.numel() == prod(self.shape):
            return value.reshape(self.shape)
        if len(self.shape) == 2 and value.dim() > 2:
            return value.flatten(1)
        return value

    @property
    def plain(self) -> bool:
        """Whether the order of the numbers is Caffe's."""
        return self.order == tuple(range(len(self.order)))


def plain(caffe: Shape, port: Shape) -> Layout:
    """Caffe's own order in the port's shape."""
    return Layout(tuple(range(len(caffe))), port)


def layouts(caffe: Shape, port: Shape) -> Iterator[Layout]:
    """The layouts under which ``caffe`` has the shape ``port``, the likeliest first."""
    if prod(caffe) != prod(port):
        return
    seen: set[tuple[int, ...]] = set()
    yield plain(caffe, port)
    for order in permutations(range(len(caffe))):
        shape = tuple(caffe[axis] for axis in order)
        # Axes of one element may stand anywhere: the numbers do not move.
        moved = tuple(axis for axis in order if caffe[axis] != 1)
        if moved in seen or list(moved) == sorted(moved):
            continue
        seen.add(moved)
        if mergeable(shape, port):
            yield Layout(order, port)


def mergeable(shape: Shape, port: Shape) -> bool:
    """Whether ``port`` is ``shape`` with neighbouring axes merged, or axes of one added."""
    sizes = [size for size in shape if size != 1]
    for target in port:
        if target == 1:
            continue
        product = 1
        while product < target and sizes:
            product *= sizes.pop(0)
        if product != target:
            return False
    return not sizes


def fitting(caffe: Shape, port: Shape) -> Layout | None:
    """A layout for a blob that need not have the same size: the batch and channels decide."""
    found = next(layouts(caffe, port), None)
    if found is not None:
        return found
    if len(caffe) == len(port) and caffe[:2] == port[:2]:
        return plain(caffe, port)
    if len(caffe) == len(port) == 4 and (caffe[0], caffe[1]) == (port[0], port[3]):
        return Layout((0, 2, 3, 1), port)
    if len(port) == 2 and caffe[:1] == port[:1]:
        return plain(caffe, port)
    return None


def error(port: Tensor, caffe: Tensor) -> float:
    """The norm of the difference as a part of Caffe's norm; infinite for other shapes, and where
    the patterns of what is not finite differ."""
    if port.shape != caffe.shape:
        return float("inf")
    a, b = port.detach().float().cpu(), caffe.detach().float().cpu()
    gap, norm = float((a - b).norm()), float(b.norm())
    if gap != gap or norm in (float("inf"),):
        odd = ~torch.isfinite(b)
        if not torch.equal(odd, ~torch.isfinite(a)):
            return float("inf")
        a, b = a.masked_fill(odd, 0), b.masked_fill(odd, 0)
        gap, norm = float((a - b).norm()), float(b.norm())
    return gap / norm if norm else (0.0 if gap == 0 else float("inf"))


def summary(value: Tensor) -> tuple[float, float, float]:
    """Three numbers that no layout changes."""
    flat = value.detach().reshape(-1).float()
    if not flat.numel():
        return 0.0, 0.0, 0.0
    return float(flat.sum()), float(flat.norm()), float(flat.abs().max())


def alike(a: tuple[float, ...], b: tuple[float, ...], count: int) -> bool:
    """Whether values with these summaries may be the same ones in two layouts."""
    norm = max(a[1], b[1])
    return (
        abs(a[1] - b[1]) <= 4 * TIGHT * norm
        and abs(a[2] - b[2]) <= 1e-3 * max(a[2], b[2])
        and abs(a[0] - b[0]) <= 4 * TIGHT * norm * count**0.5 + 1e-6 * norm
    )


def match(port: Tensor, caffe: Tensor) -> tuple[Layout, float] | None:
    """The layout under which both are the same, if there is one, and how near."""
    best: tuple[Layout, float] | None = None
    for layout in layouts(tuple(caffe.shape), tuple(port.shape)):
        gap = error(port, layout.change(caffe))
        if gap <= TIGHT and (best is None or gap < best[1]):
            best = layout, gap
            if gap == 0:
                break
    return best
