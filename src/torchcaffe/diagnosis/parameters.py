"""Which of a port's parameters is which of Caffe's blobs, by values, then by shape and order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchcaffe.diagnosis.relations import (
    Relation,
    alike,
    constant,
    moments,
    relate,
    squeezed,
)
from torchcaffe.net import CaffeNet

Key = tuple[str, int]


@dataclass(frozen=True)
class ParameterPair:
    """One of the port's tensors, by its name in the module, and the Caffe blob that it stands for.

    ``relation.change`` takes an array in Caffe's layout (a blob, its gradient, its update) to the
    port's.
    """

    name: str
    layer: str
    index: int
    relation: Relation

    def to_port(self, caffe: Tensor) -> Tensor:
        """Something in the shape of Caffe's blob, laid out as the port has it."""
        return self.relation.change(caffe)


@dataclass(frozen=True)
class ParameterAlignment:
    """All pairs in Caffe's order, and what is left over on both sides."""

    pairs: tuple[ParameterPair, ...]
    port_only: tuple[str, ...]
    caffe_only: tuple[Key, ...]

    def of(self, name: str) -> ParameterPair | None:
        """The pair of a port's tensor."""
        return next((pair for pair in self.pairs if pair.name == name), None)

    def at(self, layer: str, index: int) -> ParameterPair | None:
        """The pair of a Caffe blob."""
        return next((p for p in self.pairs if (p.layer, p.index) == (layer, index)), None)


@dataclass(frozen=True)
class _Named:
    """A tensor with what it is compared by."""

    key: str | Key
    group: str
    value: Tensor
    moments: tuple[float, float, float]
    weak: bool


def align_parameters(port: nn.Module, net: CaffeNet) -> ParameterAlignment:
    """Pair the port's parameters and buffers with the net's blobs.

    First come equal values in whatever layout, then what belongs to the same module and layer, then
    shape in the order of both. Arrays of one number (zero biases) say nothing by their values.
    """
    mine = [_named(name, name.rpartition(".")[0], value) for name, value in _tensors(port)]
    theirs = [
        _named((layer, index), layer, blob.detach())
        for layer, blobs in net.params.items()
        for index, blob in enumerate(blobs)
        if net.owner(layer, index) == (layer, index)
    ]
    pairs: dict[int, tuple[int, Relation]] = {}
    _by_values(mine, theirs, pairs)
    _by_groups(mine, theirs, pairs)
    _by_order(mine, theirs, pairs)
    found = [
        ParameterPair(str(mine[a].key), str(theirs[b].key[0]), int(theirs[b].key[1]), relation)
        for a, (b, relation) in sorted(pairs.items(), key=lambda item: item[1][0])
    ]
    taken = {b for b, _ in pairs.values()}
    return ParameterAlignment(
        tuple(found),
        tuple(str(each.key) for place, each in enumerate(mine) if place not in pairs),
        tuple(
            (str(each.key[0]), int(each.key[1]))
            for place, each in enumerate(theirs)
            if place not in taken
        ),
    )


def _tensors(port: nn.Module) -> Iterable[tuple[str, Tensor]]:
    yield from port.named_parameters()
    for name, value in port.named_buffers():
        if value.is_floating_point():
            yield name, value


def _named(key: str | Key, group: str, value: Tensor) -> _Named:
    value = value.detach().cpu()
    weak = constant(value) or not bool(torch.isfinite(value).all())
    return _Named(key, group, value, moments(value), weak)


def _by_values(
    mine: Sequence[_Named], theirs: Sequence[_Named], pairs: dict[int, tuple[int, Relation]]
) -> None:
    taken: set[int] = set()
    for a, port in enumerate(mine):
        if port.weak:
            continue
        for b, caffe in enumerate(theirs):
            if b in taken or caffe.weak or port.value.numel() != caffe.value.numel():
                continue
            if not alike(port.moments, caffe.moments):
                continue
            relation = relate(port.value, caffe.value)
            if relation is not None and relation.same:
                pairs[a] = (b, relation)
                taken.add(b)
                break


def _by_groups(
    mine: Sequence[_Named], theirs: Sequence[_Named], pairs: dict[int, tuple[int, Relation]]
) -> None:
    """The other tensors of a module whose weight is known stand for the layer's other blobs."""
    layers = {mine[a].group: theirs[b].group for a, (b, _) in pairs.items()}
    taken = {b for b, _ in pairs.values()}
    for a, port in enumerate(mine):
        if a in pairs or port.group not in layers:
            continue
        for b, caffe in enumerate(theirs):
            same = caffe.group == layers[port.group]
            fits = squeezed(caffe.value.shape) == squeezed(port.value.shape)
            if same and fits and b not in taken:
                relation = relate(port.value, caffe.value)
                assert relation is not None
                pairs[a] = (b, relation)
                taken.add(b)
                break


def _by_order(
    mine: Sequence[_Named], theirs: Sequence[_Named], pairs: dict[int, tuple[int, Relation]]
) -> None:
    """What is left, in both orders at once: the longest common row of equal shapes."""
    taken = {b for b, _ in pairs.values()}
    left = [a for a in range(len(mine)) if a not in pairs]
    right = [b for b in range(len(theirs)) if b not in taken]
    best = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in reversed(range(len(left))):
        for j in reversed(range(len(right))):
            score = _likeness(mine[left[i]], theirs[right[j]])
            both = best[i + 1][j + 1] + score if score else 0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], both)
    i = j = 0
    while i < len(left) and j < len(right):
        port, caffe = mine[left[i]], theirs[right[j]]
        score = _likeness(port, caffe)
        if score and best[i][j] == best[i + 1][j + 1] + score:
            relation = relate(port.value, caffe.value)
            assert relation is not None
            pairs[left[i]] = (right[j], relation)
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1


def _likeness(port: _Named, caffe: _Named) -> int:
    """3 for the same shape, 2 for the same but for ones, 1 for a dump's, 0 for none."""
    a, b = tuple(port.value.shape), tuple(caffe.value.shape)
    if a == b:
        return 3
    if squeezed(a) == squeezed(b):
        return 2
    return int(sorted(squeezed(a)) == sorted(squeezed(b)) and len(squeezed(a)) > 1)
