"""Which changes of Caffe's recipe give the port's numbers: the fewest that do, and each needed.

Every hypothesis proposes changes; those that leave least of the difference are followed further,
until nothing is left but rounding. Then each is taken out again: one without which nothing is left
either was no cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torchcaffe.diagnosis.findings import Cause, Evidence, Gap, Place

DEPTH, BEAM, ALIKE = 4, 12, 3


class Residual(Protocol):
    """What is left of the difference under a recipe."""

    @property
    def score(self) -> float: ...
    @property
    def exact(self) -> bool: ...
    @property
    def gap(self) -> Gap: ...


@dataclass(frozen=True)
class Change:
    """One change of a recipe, and what to say of it if it is proven.

    ``apply`` makes the change in any recipe, so that it can be tried with and without others.
    """

    identifier: str
    apply: Callable[[Any], Any]
    code: str
    caffe: str
    fix: str
    layers: tuple[str, ...] = ()
    place: str = ""
    evidence: Evidence = field(default_factory=dict)
    harmless: bool = False

    def cause(self, before: Gap | None = None, after: Gap | None = None) -> Cause:
        """The change as a proven cause."""
        return Cause(
            self.identifier,
            self.layers,
            Place(self.place),
            self.code,
            self.caffe,
            self.fix,
            before,
            after,
            self.evidence,
            harmless=self.harmless,
        )


def sets(**values: Any) -> Callable[[Any], Any]:
    """A change that sets members of a recipe or a schedule; of mappings, the entries given."""

    def apply(old: Any) -> Any:
        new = {}
        for name, value in values.items():
            now = getattr(old, name)
            new[name] = {**now, **value} if isinstance(now, Mapping) else value
        return old.change(**new)

    return apply


def sets_rule(**values: Any) -> Callable[[Any], Any]:
    """A change of the update rule."""
    return lambda old: old.change_rule(**values)


Propose = Callable[[Any, Any], Iterator[Change]]


@dataclass(frozen=True)
class Explanation:
    """The changes that explain the difference, with what is left without each; or what is left."""

    changes: tuple[Change, ...]
    without: tuple[Gap, ...]
    left: Residual
    recipe: Any
    tried: int

    @property
    def causes(self) -> list[Cause]:
        """The proven causes."""
        return [
            change.cause(before, self.left.gap)
            for change, before in zip(self.changes, self.without, strict=True)
        ]


@dataclass(frozen=True)
class _Path:
    """Changes made one after the other; ``order`` adds up the places of their hypotheses."""

    left: Residual
    recipe: Any
    changes: tuple[Change, ...] = ()
    order: int = 0


def explain(
    start: Any,
    case: Any,
    hypotheses: Sequence[Propose],
    residual: Callable[[Any], Residual],
) -> Explanation:
    """The fewest changes under which ``residual`` is exact; without any such, none.

    Of as many changes, those of the hypotheses that come first.
    """
    base = residual(start)
    if base.exact:
        return Explanation((), (), base, start, 0)
    beam, tried = [_Path(base, start)], 0
    for _ in range(DEPTH):
        found = [
            _Path(residual(recipe), recipe, (*path.changes, change), path.order + place)
            for path in beam
            for place, propose in enumerate(hypotheses)
            for change in propose(case, path.recipe)
            for recipe in [change.apply(path.recipe)]
        ]
        tried += len(found)
        exact = [path for path in found if path.left.exact]
        if exact:
            return _needed(start, min(exact, key=lambda path: path.order), residual, tried)
        beam = _best(found) or beam
    return Explanation((), (), base, start, tried)


def _best(found: Sequence[_Path]) -> list[_Path]:
    """Those that leave least, a few for each set of identifiers: the others are much like them."""
    kept: dict[frozenset[str], list[_Path]] = {}
    for path in sorted(found, key=lambda path: path.left.score):
        alike = kept.setdefault(frozenset(change.identifier for change in path.changes), [])
        if len(alike) < ALIKE:
            alike.append(path)
    best = [path for paths in kept.values() for path in paths]
    return sorted(best, key=lambda path: path.left.score)[:BEAM]


def _needed(
    start: Any,
    found: _Path,
    residual: Callable[[Any], Residual],
    tried: int,
) -> Explanation:
    """Leave out what is not needed, and measure what is left without each of the others."""
    changes = list(found.changes)
    for change in list(changes):
        rest = [other for other in changes if other is not change]
        if rest and residual(applied(start, rest)).exact:
            changes = rest
    without = [
        residual(applied(start, [other for other in changes if other is not change])).gap
        for change in changes
    ]
    recipe = applied(start, changes)
    return Explanation(tuple(changes), tuple(without), residual(recipe), recipe, tried)


def applied(start: Any, changes: Sequence[Change]) -> Any:
    """A recipe with all ``changes`` made."""
    for change in changes:
        start = change.apply(start)
    return start
