"""What a verification found: one row a blob, a verdict in words, JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from torchcaffe.layers._exactness import bitwise
from torchcaffe.parity.compare import Difference

GRADIENTS = ("gradient", "parameter gradient")


@dataclass(frozen=True)
class Row:
    """One blob, parameter or gradient.

    ``kind`` is "parameter", "blob", "statistic" (a parameter that the forward pass changed),
    "gradient" or "parameter gradient". ``local`` compares the layer run alone on the recorded
    bottoms, ``chained`` the whole net run from the recorded inputs; None where there is no such
    view (a parameter has no local one). ``depth`` is the layer's place in the net.
    """

    kind: str
    layer: str
    type: str
    name: str
    shape: tuple[int, ...]
    depth: int
    local: Difference | None
    chained: Difference | None

    @property
    def views(self) -> list[Difference]:
        """The local and the chained view, where there are."""
        return [view for view in (self.local, self.chained) if view is not None]

    @property
    def passed(self) -> bool:
        """Whether all its views pass; a row without one does not."""
        return bool(self.views) and all(view.passed for view in self.views)

    @property
    def equal(self) -> bool:
        """Whether every view is equal to the last bit."""
        return bool(self.views) and all(view.met == bitwise() for view in self.views)

    def __str__(self) -> str:
        """What and where, as a sentence names it."""
        if self.kind == "blob":
            what = f'blob "{self.name}"'
        elif self.kind == "gradient":
            what = f'the gradient of blob "{self.name}"'
        else:
            number = self.name.rpartition("/")[2]
            what = {"parameter gradient": "the gradient of parameter"}.get(self.kind, self.kind)
            what += f" blob {number}"
        return f'{what} of layer "{self.layer}" ({self.type})'


@dataclass(frozen=True)
class Verification:
    """The whole comparison.

    ``rows`` stand in net order: parameters first, then blobs, then gradients in the order of the
    backward pass. ``versions`` are Caffe's side, ``settings`` ours.
    """

    net: str
    phase: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    versions: dict[str, str]
    settings: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether blobs were compared and every row passes."""
        return bool(self.of("blob")) and all(row.passed for row in self.rows)

    def of(self, *kinds: str) -> list[Row]:
        """The rows of some kinds."""
        return [row for row in self.rows if row.kind in kinds]

    @property
    def first_difference(self) -> Row | None:
        """The first row that does not pass."""
        return next((row for row in self.rows if not row.passed), None)

    @property
    def verdict(self) -> str:
        """A few sentences that a person can quote."""
        return verdict(self)

    def to_json(self) -> str:
        """Everything but the histograms, as JSON with the same keys in the same order always."""
        first = self.first_difference
        values = {
            "net": self.net,
            "phase": self.phase,
            "passed": self.passed,
            "verdict": self.verdict,
            "first_difference": None if first is None else self.rows.index(first),
            "rows": [_row_json(row) for row in self.rows],
            "notes": list(self.notes),
            "caffe": self.versions,
            "torchcaffe": self.settings,
        }
        return json.dumps(values, indent=1, allow_nan=False)


def verdict(found: Verification) -> str:
    """What is the case, where it starts if something differs, and what it means."""
    first = found.first_difference
    if not found.of("blob"):
        return "Nothing was compared: the recording holds no blob that this net computes."
    title = f'"{found.net}"' if found.net else "The net"
    if first is None:
        return _same(found, title)
    if first.kind == "parameter":
        return (
            f"{title} has other weights than the recorded net: {_count(found, 'parameter')}, the "
            f"first is {first}. Give the weights file that was recorded."
        )
    group = GRADIENTS if first.kind in GRADIENTS else ("blob", "statistic")
    counted = f"{_count(found, *group)}. The first is {first}"
    if first.local is not None and not first.local.passed:
        return (
            f"{title} is not the same network: {counted}: given Caffe's own input, this layer "
            f"alone gives other numbers. {_detail(first.local)}"
        )
    detail = _detail(first.chained) if first.chained else "It was not compared."
    alone = [row.local for row in found.of(*group) if row.local]
    if first.local is not None and all(view.passed for view in alone):
        return (
            f"{title} does not give Caffe's numbers: {counted}. Each layer alone agrees with "
            f"Caffe, but what they round adds up to more than they declare. {detail}"
        )
    return f"{title} is not the same network: {counted}. {detail}"


def _count(found: Verification, *kinds: str) -> str:
    rows = found.of(*kinds)
    failed = sum(not row.passed for row in rows)
    noun = "gradients" if kinds == GRADIENTS else {"parameter": "parameter blobs"}.get(kinds[0])
    return f"{failed} of {len(rows)} {noun or 'blobs'} differ{'s' * (failed == 1)}"


def _same(found: Verification, title: str) -> str:
    blobs = found.of("blob")
    equal = sum(row.equal for row in blobs)
    gradients = len(found.of(*GRADIENTS))
    counted = f"{len(blobs)} blob{'s' * (len(blobs) > 1)}"
    if gradients:
        counted += f" and {gradients} gradients"
    text = f"{title} is the same network: {counted} compared with Caffe, first difference: none."
    if equal == len(blobs):
        return f"{text} All blobs are equal to the last bit."
    widest = max((view.error, row.name) for row in blobs for view in row.views)
    how = f"{equal} are equal to the last bit, the others" if equal else "The blobs"
    return (
        f"{text} {how} differ by no more than their layers' declared rounding, at most by "
        f'{widest[0]:.1e} of the largest value (blob "{widest[1]}").'
    )


def _detail(view: Difference) -> str:
    if view.met is None:
        return f"{view.reason[0].upper()}{view.reason[1:]}."
    place = f"At {list(view.index)} it" if view.index else "It"
    values = f"{place} is {view.ours:.9g}, Caffe has {view.theirs:.9g}"
    if view.allowed == bitwise():
        return f"{values}; it must be equal to the last bit."
    times = f"{view.share:.3g}" if view.share < 100 else f"{view.share:,.0f}"
    return f"{values}: {times} times what its class, {view.allowed}, allows."


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "layer": row.layer,
        "type": row.type,
        "name": row.name,
        "shape": list(row.shape),
        "passed": row.passed,
        "local": _view_json(row.local),
        "chained": _view_json(row.chained),
    }


def _view_json(view: Difference | None) -> dict[str, Any] | None:
    if view is None:
        return None
    return {
        "passed": view.passed,
        "held_to": str(view.allowed),
        "meets": None if view.met is None else str(view.met),
        "reason": view.reason,
        "max_abs": _number(view.max_abs),
        "max_rel": _number(view.max_rel),
        "max_ulp": view.max_ulp,
        "index": list(view.index),
        "ours": _number(view.ours),
        "theirs": _number(view.theirs),
        "nonfinite": view.nonfinite,
    }


def _number(value: float) -> float | str:
    """JSON has no words for infinity and NaN."""
    return value if math.isfinite(value) else str(value)
