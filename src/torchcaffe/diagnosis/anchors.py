"""Which of the port's calls with weights is which of Caffe's layers.

A pair counts by its weights (the same values in whatever layout, multiples of them, the same shape)
and by its neighbours: the pairs before and after it must be pairs too. Neighbours decide where
weights were exchanged or never loaded, weights where branches look alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from torchcaffe.diagnosis.reference import Part, Reference
from torchcaffe.diagnosis.relations import (
    Relation,
    alike,
    constant,
    moments,
    proportional,
    relate,
    squeezed,
)
from torchcaffe.diagnosis.tape import Tape
from torchcaffe.diagnosis.weighted import Weighted

CAFFE_KINDS = {
    "Convolution": "conv", "InnerProduct": "linear", "Deconvolution": "deconv",
    "BatchNorm": "norm", "PReLU": "prelu",
}  # fmt: skip

SCORES = {"equal": 3.0, "view": 3.0, "scaled": 2.5, "shape": 1.0, "numel": 0.6, "other size": 0.4}
OTHER_LAYOUT = 2.6
NEIGHBOURS = 2.5
PATH = 1.5
ROUNDS = 8

Near = dict[int, frozenset[int]]


@dataclass(frozen=True)
class Anchor:
    """A call with weights and the layer it stands for."""

    call: Weighted
    part: Part
    relation: Relation


def caffe_weight(part: Part, reference: Reference) -> Tensor:
    """A layer's weight, outputs first, with the axes of its bottom where it was flattened."""
    weight = part.blobs[0]
    if part.kind == "InnerProduct":
        if part.param.inner_product_param.transpose:
            weight = weight.t()
        assert part.built is not None
        bottom = part.built.bottom_shapes[0]
        axis = part.param.inner_product_param.axis % len(bottom)
        weight = weight.reshape(weight.shape[0], *bottom[axis:])
    return weight


def pair_anchors(
    tape: Tape, calls: Sequence[Weighted], reference: Reference, binding: Mapping[int, int]
) -> list[Anchor]:
    """The pairs, in the port's order. ``binding`` gives the port's inputs Caffe's values."""
    parts = [part for part in reference.parts if part.kind in CAFFE_KINDS and part.blobs]
    main = {"conv", "linear", "deconv"}
    found: list[Anchor] = []
    for kinds in (main, {"norm"}, {"prelu"}):
        mine = [call for call in calls if call.kind in kinds]
        theirs = [part for part in parts if CAFFE_KINDS[part.kind] in kinds]
        found += _Matching(tape, mine, reference, theirs, binding, found).pairs()
    return sorted(found, key=lambda anchor: anchor.call.op.index)


class _Matching:
    """Scores of all pairs of one kind, made firm by their neighbours round by round."""

    def __init__(
        self,
        tape: Tape,
        calls: Sequence[Weighted],
        reference: Reference,
        parts: Sequence[Part],
        binding: Mapping[int, int],
        fixed: Sequence[Anchor],
    ) -> None:
        self.tape, self.calls, self.reference, self.parts = tape, calls, reference, parts
        self.fixed = fixed
        self.relations = self._relations()
        fed, above = tape.fed(), reference.above
        bound = dict(binding)
        inputs = set(reference.inputs.values())
        self.own: dict[tuple[int, int], float] = {}
        for (a, b), relation in self.relations.items():
            score = self._score(a, relation)
            from_mine = {bound.get(place) for place in fed[calls[a].data]}
            if from_mine != set(above[parts[b].bottoms[0]] & inputs):
                score -= 4
            rank = a / max(len(calls), 1) - b / max(len(parts), 1)
            self.own[a, b] = score - 0.01 * abs(rank)
        self._neighbours(binding)

    def _score(self, a: int, relation: Relation) -> float:
        call = self.calls[a]
        if relation.same and constant(call.tensor(self.tape)):
            return 1.2
        return SCORES.get(relation.name, OTHER_LAYOUT)

    def _relations(self) -> dict[tuple[int, int], Relation]:
        """How the weights of every possible pair are related."""
        mine = [call.tensor(self.tape).detach().float().cpu() for call in self.calls]
        theirs = [caffe_weight(part, self.reference) for part in self.parts]
        sums = [moments(weight) for weight in mine], [moments(weight) for weight in theirs]
        found: dict[tuple[int, int], Relation] = {}
        for a, port in enumerate(mine):
            for b, caffe in enumerate(theirs):
                if self.calls[a].kind == "norm":
                    relation = _norm_relation(port, self.parts[b])
                elif port.numel() != caffe.numel():
                    relation = _other_size(port, caffe)
                elif alike(sums[0][a], sums[1][b]):
                    relation = relate(port, caffe)
                else:
                    relation = _by_shape(port, caffe)
                if relation is not None:
                    found[a, b] = relation
        exact_a = {a for (a, _), relation in found.items() if relation.same}
        exact_b = {b for (_, b), relation in found.items() if relation.same}
        for (a, b), relation in found.items():
            fits = relation.name == "shape" and mine[a].shape == theirs[b].shape
            fits = fits and mine[a].dim() > 1 and self.calls[a].kind != "norm"
            free = a not in exact_a and b not in exact_b
            if fits and free and proportional(mine[a], theirs[b]):
                found[a, b] = Relation("scaled", relation.change, 0.0)
        return found

    def _neighbours(self, binding: Mapping[int, int]) -> None:
        """Look at both graphs, and count for pairs what is alike on the way to them."""
        fixed_mine = {anchor.call.op.index: -2000 - n for n, anchor in enumerate(self.fixed)}
        fixed_theirs = {id(anchor.part): -2000 - n for n, anchor in enumerate(self.fixed)}
        by_op = {call.op.index: n for n, call in enumerate(self.calls)} | fixed_mine
        by_part = {id(part): n for n, part in enumerate(self.parts)} | fixed_theirs
        mine = [
            _Node(op.inputs, op.outputs, by_op.get(op.index), "pool" in op.name, op.name == "cat")
            for op in self.tape.ops
        ]
        theirs = [
            _Node(
                part.bottoms, part.tops, by_part.get(id(part)),
                part.kind == "Pooling", part.kind == "Concat",
            )
            for part in self.reference.parts
        ]  # fmt: skip
        inputs = dict(enumerate(self.tape.inputs))
        ends = [value for _, value in self.tape.outputs]
        self.mine = _Graph(mine, inputs, ends)
        self.theirs = _Graph(theirs, binding, list(self.reference.outputs.values()))
        for a, b in self.own:
            self.own[a, b] += PATH * (self.mine.pooled[a] == self.theirs.pooled[b])
            self.own[a, b] += PATH * (self.mine.slot.get(a) == self.theirs.slot.get(b))

    def pairs(self) -> list[Anchor]:
        """The best pairs, each call and layer once."""
        scores = dict(self.own)
        for _ in range(ROUNDS):
            likely = _likely(scores)
            scores = {
                (a, b): own
                + NEIGHBOURS * _agreement(self.mine.up.get(a), self.theirs.up.get(b), likely)
                + NEIGHBOURS * _agreement(self.mine.down.get(a), self.theirs.down.get(b), likely)
                for (a, b), own in self.own.items()
            }
        found, taken_a, taken_b = [], set(), set()
        for (a, b), score in sorted(scores.items(), key=lambda item: -item[1]):
            if score > 0.5 and a not in taken_a and b not in taken_b:
                taken_a.add(a)
                taken_b.add(b)
                found.append(Anchor(self.calls[a], self.parts[b], self.relations[a, b]))
        return found


@dataclass(frozen=True)
class _Node:
    """A call or a layer: what it reads and makes, and its number if it is one to be paired."""

    reads: Sequence[int]
    makes: Sequence[int]
    number: int | None
    pools: bool
    joins: bool


class _Graph:
    """Who stands before and after whom, behind how many poolings, and where in what is joined.

    Inputs have the numbers -1 - n, the end -1000, pairs that are fixed others below.
    """

    def __init__(
        self, nodes: Sequence[_Node], inputs: Mapping[int, int], ends: Sequence[int]
    ) -> None:
        near: dict[int, frozenset[int]] = {}
        pools: dict[int, int] = {}
        for place, value in inputs.items():
            near[value] = frozenset([-1 - place])
        self.up: Near = {}
        self.pooled: dict[int, int] = {}
        self.slot: dict[int, int] = {}
        none = frozenset[int]()
        for node in nodes:
            before = none.union(*(near.get(value, none) for value in node.reads))
            count = max((pools.get(value, 0) for value in node.reads), default=0)
            if node.joins:
                for place, value in enumerate(node.reads):
                    self.slot |= dict.fromkeys(near.get(value, none), place)
            if node.number is not None:
                self.up[node.number], self.pooled[node.number] = before, count
            for value in node.makes:
                alone = node.number is None
                near[value] = before if alone else frozenset([node.number or 0])
                pools[value] = count + node.pools if alone else 0
        self.up[-1000] = none.union(*(near.get(value, none) for value in ends))
        self.down = _turned(self.up)


def _turned(up: Near) -> Near:
    down: dict[int, set[int]] = {}
    for number, before in up.items():
        for other in before:
            down.setdefault(other, set()).add(number)
    return {number: frozenset(after) for number, after in down.items()}


def _likely(scores: Mapping[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """1 for a pair that is the best of both, sharply less for the others."""
    best_a: dict[int, float] = {}
    best_b: dict[int, float] = {}
    for (a, b), score in scores.items():
        best_a[a] = max(best_a.get(a, 1e-9), score)
        best_b[b] = max(best_b.get(b, 1e-9), score)
    return {
        (a, b): (max(score, 0.0) / max(best_a[a], best_b[b])) ** 4
        for (a, b), score in scores.items()
    }


def _agreement(
    mine: Iterable[int] | None,
    theirs: Iterable[int] | None,
    likely: Mapping[tuple[int, int], float],
) -> float:
    """How far two sets of neighbours are pairs of each other, from 0 to 1."""
    a, b = list(mine or ()), list(theirs or ())
    if not a or not b:
        return float(a == b)

    def of(x: int, y: int) -> float:
        # Inputs, ends and pairs that are fixed have negative numbers, equal on both sides.
        return float(x == y) if x < 0 or y < 0 else likely.get((x, y), 0.0)

    total = sum(max(of(x, y) for y in b) for x in a) + sum(max(of(x, y) for x in a) for y in b)
    return total / (len(a) + len(b))


def _by_shape(port: Tensor, caffe: Tensor) -> Relation:
    shape = tuple(port.shape)
    same = squeezed(port.shape) == squeezed(caffe.shape)
    flat = port.dim() == 2 and port.shape[0] == caffe.shape[0]
    return Relation("shape" if same or flat else "numel", lambda v: v.reshape(shape), float("inf"))


def _other_size(port: Tensor, caffe: Tensor) -> Relation | None:
    """Other groups, or another kernel, of a layer with the same number of outputs."""
    if port.dim() == caffe.dim() and port.dim() > 2 and port.shape[0] == caffe.shape[0]:
        return Relation("other size", lambda value: value, float("inf"))
    return None


def _norm_relation(port: Tensor, part: Part) -> Relation | None:
    """A running mean beside Caffe's mean, divided by the factor or not."""
    mean = part.blobs[0]
    if port.numel() != mean.numel():
        return None
    factor = part.blobs[2].reshape(())
    scaled = mean / factor if factor else mean
    for name, value in (("equal", scaled), ("undivided", mean)):
        if torch.allclose(port.reshape(-1), value, rtol=1e-4, atol=1e-12):
            return Relation(name, lambda v: v)
    return Relation("shape", lambda v: v, float("inf"))
