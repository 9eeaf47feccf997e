"""A piece of the port and the layers it stands for, run alone on Caffe's own input to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf, log
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchcaffe.diagnosis.alignment import Alignment, Pair
from torchcaffe.diagnosis.findings import Gap, Place
from torchcaffe.diagnosis.layouts import Layout, error
from torchcaffe.diagnosis.reference import Part, Parts, Values, allowed, run_parts, strays
from torchcaffe.diagnosis.tape import Edit, Op, replay
from torchcaffe.parity.compare import Difference, Sensitivity, compare

WIDE = 1e-3
"""What is farther off than this part of the norm is not taken for rounding before it is explained.
"""

FAR = 100.0
"""The distance of two arrays of other shapes."""


@dataclass(eq=False)
class Segment:
    """The part of the port that makes ``pair.port`` from ``cuts``, and of Caffe that makes
    ``pair.caffe``.

    ``samples`` are Caffe's values for each kind of input; the first is the one that the tape was
    recorded with.
    """

    alignment: Alignment
    pair: Pair
    cuts: tuple[Pair, ...]
    parts: Parts
    ops: tuple[Op, ...]
    samples: Sequence[Values]
    state: str = ""
    gap: Gap | None = None
    _ports: dict[int, Tensor] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[str, ...]:
        """Caffe's layers; of a segment without any, those around it."""
        if self.parts:
            return tuple(part.name for part in self.parts)
        reference = self.alignment.reference
        maker = reference.makers.get(self.pair.caffe)
        return (maker.name,) if maker else (reference.names[self.pair.caffe],)

    @property
    def layout(self) -> Layout:
        """How the port lays out the segment's output."""
        return self.pair.layout

    @property
    def place(self) -> Place:
        """Where the port does it: its last call that computes something."""
        return self.ops[-1].place if self.ops else self._reader.place

    @property
    def _reader(self) -> Op:
        tape = self.alignment.tape
        maker = tape.values[self.pair.port].maker
        reading = [op for op in tape.ops if self.pair.port in op.inputs]
        if reading:
            return reading[0]
        return tape.ops[maker if maker is not None else -1]

    def places(self) -> tuple[Place, ...]:
        """All its calls' places, each once."""
        return tuple(dict.fromkeys(op.place for op in self.ops))

    @cached_property
    def outside(self) -> frozenset[int]:
        """The values of Caffe's that the parts read and do not make."""
        made = {top for part in self.parts for top in part.tops}
        read = {value for part in self.parts for value in part.bottoms} - made
        return frozenset(read or {self.pair.caffe})

    def given(self, sample: int = 0) -> Values:
        """Caffe's values that the parts start from."""
        return {value: self.samples[sample][value] for value in self.outside}

    def caffe(self, parts: Parts | None = None, sample: int = 0) -> Tensor:
        """Caffe's output, or that of changed parts, as the port lays it out."""
        if parts is None:
            return self.layout.change(self.samples[sample][self.pair.caffe])
        return self.layout.change(self.values(parts, sample)[self.pair.caffe])

    def values(self, parts: Parts, sample: int) -> Values:
        """All values of changed parts; what stands before the first change is known."""
        own = {id(part) for part in self.parts}
        known, clean = self.samples[sample], set(self.outside)
        values, rest = self.given(sample), []
        for part in parts:
            if id(part) in own and clean.issuperset(part.bottoms):
                clean.update(part.tops)
                values |= {top: known[top] for top in part.tops}
            else:
                clean.difference_update(part.tops)
                rest.append(part)
        return run_parts(rest, values)

    def port(self, sample: int = 0, edits: Mapping[int, Edit] | None = None) -> Tensor:
        """The port's output on Caffe's own input."""
        if not edits and sample in self._ports:
            return self._ports[sample]
        values = self.samples[sample]
        given = {pair.port: pair.layout.change(values[pair.caffe]) for pair in self.cuts}
        made = replay(self.alignment.tape, given, [self.pair.port], edits)
        found = made[self.pair.port].detach().float().cpu()
        if not edits:
            self._ports[sample] = found
        return found

    def judge(
        self,
        parts: Parts | None = None,
        sample: int = 0,
        edits: Mapping[int, Edit] | None = None,
        strict: bool = True,
    ) -> Gap:
        """The port's output held to the layers' own class beside Caffe's, or that of changed
        parts; unless ``strict``, what is far off is not held to it, only measured."""
        try:
            mine = self.port(sample, edits)
        except Exception as failure:
            return Gap((), inf, inf, inf, inf, f"the port's code fails here: {_first(failure)}")
        theirs = self.caffe(parts, sample).float()
        if not theirs.dim():
            mine, theirs = mine.reshape(1), theirs.reshape(1)
        used = self.parts if parts is None else parts
        name, most = self.layers[-1], allowed(used)
        if tuple(mine.shape) == tuple(theirs.shape):
            quick = compare(name, mine.numpy(), theirs.cpu().numpy(), most)
            if quick.passed or (not strict and error(mine, theirs) > WIDE):
                return _gap(quick)
        found = compare(
            name, mine.numpy(), theirs.cpu().numpy(), most, self._strays(used, sample, mine)
        )
        return _gap(found)

    def close(self, sample: int) -> bool:
        """Whether the port is no farther off than rounding may be taken to be."""
        try:
            return error(self.port(sample), self.caffe(sample=sample)) <= WIDE
        except Exception:  # where the port's code fails it is not
            return False

    def _strays(self, parts: Parts, sample: int, mine: Tensor) -> Sensitivity | None:
        if not parts:
            return None
        found = strays(parts, self.given(sample), self.pair.caffe)
        laid = [
            self.layout.change(torch.from_numpy(np.asarray(value)))
            for value in (found.value, found.scale)
        ]
        if laid[0].shape != mine.shape:
            return None
        return Sensitivity(laid[0].numpy(), laid[1].numpy())

    def distance(self, parts: Parts, edits: Mapping[int, Edit] | None, sample: int) -> float:
        """How far the port is from changed parts; for other shapes, by how alike the shapes are."""
        mine, theirs = self.port(sample, edits), self.caffe(parts, sample)
        if mine.shape != theirs.shape:
            return FAR + abs(log((mine.numel() + 1) / (theirs.numel() + 1)))
        found = error(mine, theirs)
        return found if found == found and found != inf else FAR

    def calls(self, *names: str) -> list[Op]:
        """The port's calls of these names in the segment."""
        return [op for op in self.ops if op.name in names]

    def of(self, *kinds: str) -> list[Part]:
        """Caffe's layers of these kinds."""
        return [part for part in self.parts if part.kind in kinds]


def _first(failure: Exception) -> str:
    return str(failure).splitlines()[0] if str(failure) else type(failure).__name__


def _gap(found: Difference) -> Gap:
    return Gap(
        found.index, found.ours, found.theirs, float(found.error), float(found.share),
        found.reason.replace("ours", "yours") if found.met is None else "",
    )  # fmt: skip


def cut(alignment: Alignment, samples: Sequence[Values], pairs: Iterable[Pair]) -> list[Segment]:
    """The segments that pairs cut the two graphs into, one for each pair but the inputs'."""
    pairs = list(pairs)
    inputs = set(alignment.tape.inputs)
    return [segment(alignment, samples, pair, pairs) for pair in pairs if pair.port not in inputs or
            pair.how != "value"]  # fmt: skip


def segment(
    alignment: Alignment, samples: Sequence[Values], pair: Pair, pairs: Sequence[Pair]
) -> Segment:
    """The segment that ends at ``pair``, back to other pairs."""
    tape, reference = alignment.tape, alignment.reference
    above = reference.above[pair.caffe]
    later = pairs[pairs.index(pair) + 1 :]
    others = [p for p in pairs if p is not pair and not (p.port == pair.port and p in later)]
    # A value with several blobs stands for the last of them where it is read on.
    standing = {p.port: p for p in others if p.caffe in above or p.port != pair.port}
    ops = tape.slice([pair.port], set(standing)) if pair.port not in standing else []
    read = {value for op in ops for value in op.inputs} | {before for op in ops for before, _ in
            op.changes}  # fmt: skip
    read |= {value for op in ops for value in op.measured}
    if not ops:
        read = {pair.port}
    cuts = tuple(p for value, p in standing.items() if value in read)
    values = {p.caffe for p in pairs if p is not pair and p.caffe != pair.caffe}
    same = any(p.caffe == pair.caffe for p in cuts)
    parts = () if same else reference.between(pair.caffe, values)
    return Segment(alignment, pair, cuts, parts, tuple(ops), samples)


Evidence = dict[str, Any]
