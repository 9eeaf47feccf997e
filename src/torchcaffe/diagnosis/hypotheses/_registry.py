"""What a hypothesis file declares, and how the search finds it.

A hypothesis is a function from a ``State``, a segment that differs with some changes made to it
already, to ``Proposal``s: further changes to Caffe's layers (or to the port's calls) that would
make the two agree if the port has this mistake::

    @hypothesis("relu-missing")
    def relu_missing(state: State) -> Iterator[Proposal]:
        \"\"\"A ReLU of Caffe's is not in the port.\"\"\"
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from torch import Tensor

from torchcaffe.diagnosis import hypotheses
from torchcaffe.diagnosis.anchors import Anchor
from torchcaffe.diagnosis.reference import Part, Parts, Values
from torchcaffe.diagnosis.segments import Segment
from torchcaffe.diagnosis.tape import Edit, Op
from torchcaffe.diagnosis.weighted import argument


@dataclass(frozen=True)
class Proposal:
    """One change, and what to say if it proves to be the cause.

    ``cost`` orders causes that explain the same: 0 where the port's own call says so, 1 where it
    is guessed, more for what explains too much. ``op`` is the call at fault.
    """

    layers: tuple[str, ...]
    code: str
    caffe: str
    fix: str
    parts: Parts | None = None
    edits: Mapping[int, Edit] = field(default_factory=dict)
    op: Op | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    cost: float = 1.0


@dataclass(frozen=True)
class State:
    """A segment with Caffe's side changed to ``parts`` and the port's by ``edits``."""

    segment: Segment
    parts: Parts
    edits: Mapping[int, Edit]
    sample: int
    steps: tuple[tuple[str, Proposal], ...] = ()

    @cached_property
    def values(self) -> Values:
        """All values of Caffe's side."""
        return self.segment.values(self.parts, self.sample)

    @cached_property
    def caffe(self) -> Tensor:
        """Caffe's output, laid out as the port's."""
        return self.segment.layout.change(self.values[self.segment.pair.caffe]).float()

    @cached_property
    def port(self) -> Tensor:
        """The port's output."""
        return self.segment.port(self.sample, self.edits)

    def forget(self) -> None:
        """Let go of the numbers; they are computed again if they are asked for."""
        for name in ("values", "caffe", "port"):
            vars(self).pop(name, None)

    def of(self, *kinds: str) -> list[Part]:
        """The layers of these kinds, as they stand."""
        return [part for part in self.parts if part.kind in kinds and part.function is None]

    def bottoms(self, part: Part) -> list[Tensor]:
        """What a layer reads."""
        return [self.values[value] for value in part.bottoms]

    def top(self, part: Part) -> Tensor:
        """What a layer makes."""
        return self.values[part.tops[0]]

    def swapped(self, old: Part, new: Part) -> Parts:
        """The layers with one replaced."""
        return tuple(new if part is old else part for part in self.parts)

    def call(self, *names: str) -> Op | None:
        """The port's first call of one of these names in the segment."""
        return next(iter(self.segment.calls(*names)), None)

    def arguments(self, names: tuple[str, ...], name: str) -> list[tuple[Op, Any]]:
        """An argument of all the port's calls of these names."""
        return [(op, argument(op, name)) for op in self.segment.calls(*names)]

    def anchor(self, part: Part) -> Anchor | None:
        """The port's call that stands for a layer with weights."""
        anchors = self.segment.alignment.anchors
        found = next((each for each in anchors if each.part.name == part.name), None)
        return found if found is not None and found.call.op in self.segment.ops else None

    def weight(self, anchor: Anchor) -> Tensor:
        """The port's weight of a call, outputs first."""
        return anchor.call.tensor(self.segment.alignment.tape).detach().float().cpu()

    def bias(self, anchor: Anchor) -> Tensor | None:
        """The port's bias of a call."""
        if anchor.call.bias is None:
            return None
        tensor = self.segment.alignment.tape.values[anchor.call.bias].tensor
        return tensor.detach().float().cpu()


Propose = Callable[[State], Iterator[Proposal]]


@dataclass(frozen=True)
class Hypothesis:
    """A mistake by its identifier; ``doc`` says what it is."""

    identifier: str
    propose: Propose

    @property
    def doc(self) -> str:
        """The docstring of the function."""
        return (self.propose.__doc__ or "").strip()


REGISTRY: dict[str, Hypothesis] = {}


def hypothesis(identifier: str) -> Callable[[Propose], Propose]:
    """Register a function that proposes one kind of mistake."""

    def register(propose: Propose) -> Propose:
        if identifier in REGISTRY:
            raise ValueError(f'"{identifier}" belongs to {REGISTRY[identifier].propose.__module__}')
        REGISTRY[identifier] = Hypothesis(identifier, propose)
        return propose

    return register


@cache
def all_hypotheses() -> dict[str, Hypothesis]:
    """Every hypothesis by identifier, from every public file of this folder."""
    for module in sorted(pkgutil.iter_modules(hypotheses.__path__), key=lambda found: found.name):
        if not module.name.startswith("_"):
            importlib.import_module(f"{hypotheses.__name__}.{module.name}")
    return dict(sorted(REGISTRY.items()))
