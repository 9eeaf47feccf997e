"""What a diagnosis found: causes with their proof, what stays unexplained, JSON and words."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Evidence = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """Where in the port: the module's path, the call that was made, and the person's own line."""

    module: str = ""
    call: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        parts = [self.module or self.call]
        if self.module and self.call:
            parts = [f"{self.module} ({self.call})"]
        if self.file:
            parts.append(f"{_from_here(self.file)}:{self.line}")
        return ", ".join(part for part in parts if part) or "the port"


def _from_here(file: str) -> str:
    """A path as short as it is from the folder that the person is in."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


@dataclass(frozen=True)
class Gap:
    """How far the port's numbers are from others: the worst element, and what is allowed there.

    ``error`` is the largest difference as a part of the largest value, ``share`` how much of what
    the class allows it needs (above 1, they differ). With other shapes there is no element, and
    both are infinite.
    """

    index: tuple[int, ...]
    port: float
    caffe: float
    error: float
    share: float
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether the difference is no more than rounding."""
        return self.share <= 1

    def __str__(self) -> str:
        if self.reason:
            return self.reason
        where = f" at {list(self.index)}" if self.index else ""
        return f"{self.port:.8g} beside {self.caffe:.8g}{where}"


@dataclass(frozen=True)
class Cause:
    """One cause, proven: with exactly this changed, the difference is gone.

    ``before`` is the port against Caffe, ``after`` the port against Caffe changed in this one way
    (or the port so changed against Caffe). A comparison of training gives them where it has them.
    ``code`` says what the port does, ``caffe`` what Caffe does, ``fix`` the code to write.
    """

    identifier: str
    layers: tuple[str, ...]
    port: Place
    code: str
    caffe: str
    fix: str
    before: Gap | None = None
    after: Gap | None = None
    evidence: Evidence = field(default_factory=dict)
    points: tuple[tuple[float, float, float], ...] = ()
    """Some elements to be drawn: Caffe's, the changed Caffe's, the port's."""
    harmless: bool = False
    """Whether it is no defect: the same law, other numbers. It does not fail the diagnosis."""

    @property
    def layer(self) -> str:
        """The Caffe layers by name."""
        return ", ".join(self.layers)

    @property
    def words(self) -> str:
        """The cause as a paragraph that a person can act on."""
        lines = [f"{self.identifier}: {self.where}", self.code, self.caffe]
        if self.before is not None:
            lines.append(f"Numbers, yours beside Caffe's: {self.before}.")
        if self.after is not None:
            lines.append(
                f"Proof: with only this changed, the difference goes from {_size(self.before)} to "
                f"{_size(self.after)}."
            )
        return "\n".join([*(line for line in lines if line), f"Fix: {self.fix}"])

    @property
    def where(self) -> str:
        """Caffe's layers and the port's place."""
        return f"{named(self.layers)}, {self.port}" if self.layers else str(self.port)


@dataclass(frozen=True)
class Unexplained:
    """A difference that no known cause explains, with its numbers."""

    layers: tuple[str, ...]
    port: Place
    gap: Gap
    tried: int
    known: int

    @property
    def words(self) -> str:
        """What differs, and that the cause is not known."""
        return (
            f"Differs here, cause not among the {self.known} known: {named(self.layers)}, "
            f"{self.port}. "
            f"Numbers, yours beside Caffe's: {self.gap}. {self.tried} changes were tried; none "
            f"gives your numbers."
        )


@dataclass(frozen=True)
class Matched:
    """One segment of the alignment: Caffe's layers and the port's calls that stand for them."""

    layers: tuple[str, ...]
    places: tuple[Place, ...]
    state: str
    """"same", "differs" or "not aligned"."""
    shape: tuple[int, ...] = ()
    gap: Gap | None = None


@dataclass(frozen=True)
class Diagnosis:
    """The whole answer.

    ``alignment`` lists all segments in Caffe's order; ``notes`` what a person should know beside
    the causes.
    """

    net: str
    port: str
    causes: tuple[Cause, ...]
    unexplained: tuple[Unexplained, ...]
    alignment: tuple[Matched, ...] = ()
    notes: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    covered: str = ""
    error: str = ""
    """The traceback of a port that raises, and where."""

    @property
    def passed(self) -> bool:
        """Whether nothing differs."""
        right = all(cause.harmless for cause in self.causes)
        return right and not self.unexplained and not self.error

    @property
    def first(self) -> Matched | None:
        """The first segment, in Caffe's order, where the two part."""
        return next((part for part in self.alignment if part.state == "differs"), None)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """The causes by name, each once, in Caffe's order."""
        return tuple(dict.fromkeys(cause.identifier for cause in self.causes))

    @property
    def verdict(self) -> str:
        """One paragraph."""
        if self.passed:
            return f"No difference was found. {self.covered}".strip()
        counted = []
        wrong = [cause for cause in self.causes if not cause.harmless]
        if wrong:
            counted.append(f"{len(wrong)} cause{'s' * (len(wrong) > 1)} proven")
        if self.unexplained:
            count = len(self.unexplained)
            counted.append(f"{count} difference{'s' * (count > 1)} unexplained")
        if not counted:
            return "The port could not be compared to its end."
        return f"The port differs from Caffe: {', '.join(counted)}.{self._first_words}"

    @property
    def _first_words(self) -> str:
        order = {name: n for n, part in enumerate(self.alignment) for name in part.layers}
        found = [cause.layers for cause in self.causes]
        found += [part.layers for part in self.unexplained]
        names = [layers[0] for layers in found if layers and layers[0] in order]
        if not names:
            return ""
        return f' The two part first at layer "{min(names, key=lambda name: order[name])}".'

    def to_json(self) -> str:
        """Everything, with the same keys in the same order always."""
        values = {
            "net": self.net,
            "port": self.port,
            "passed": self.passed,
            "verdict": self.verdict,
            "causes": [_cause_json(cause) for cause in self.causes],
            "unexplained": [
                {
                    "layers": list(found.layers),
                    "port": _place_json(found.port),
                    "gap": _gap_json(found.gap),
                    "tried": found.tried,
                    "words": found.words,
                }
                for found in self.unexplained
            ],
            "alignment": [
                {
                    "layers": list(part.layers),
                    "port": [_place_json(place) for place in part.places],
                    "state": part.state,
                    "gap": _gap_json(part.gap),
                }
                for part in self.alignment
            ],
            "notes": list(self.notes),
            "settings": dict(self.settings),
        }
        return json.dumps(values, indent=1, allow_nan=False)


FEW = 4
"""So many layers are named, of more the first."""


def named(layers: tuple[str, ...]) -> str:
    """Layers as a sentence names them."""
    listed = ", ".join(f'"{name}"' for name in layers[:FEW])
    more = len(layers) - FEW
    if more > 0:
        return f"{len(layers)} layers: {listed} and {more} more"
    return f"layer{'s' * (len(layers) > 1)} {listed}"


def _size(gap: Gap | None) -> str:
    if gap is None or not math.isfinite(gap.error):
        return "another shape"
    return f"{gap.error:.2g} of the largest value" if gap.error else "none at all"


def _cause_json(cause: Cause) -> dict[str, Any]:
    return {
        "identifier": cause.identifier,
        "layers": list(cause.layers),
        "port": _place_json(cause.port),
        "code": cause.code,
        "caffe": cause.caffe,
        "fix": cause.fix,
        "harmless": cause.harmless,
        "before": _gap_json(cause.before),
        "after": _gap_json(cause.after),
        "evidence": {name: _plain(value) for name, value in cause.evidence.items()},
        "words": cause.words,
    }


def _place_json(place: Place) -> dict[str, Any]:
    return {"module": place.module, "call": place.call, "file": place.file, "line": place.line}


def _gap_json(gap: Gap | None) -> dict[str, Any] | None:
    if gap is None:
        return None
    return {
        "passed": gap.passed,
        "index": list(gap.index),
        "port": _plain(gap.port),
        "caffe": _plain(gap.caffe),
        "error": _plain(gap.error),
        "share": _plain(gap.share),
        "reason": gap.reason,
    }


def _plain(value: Any) -> Any:
    """JSON has no words for infinity and NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    return value if isinstance(value, (int, str, bool, type(None))) else str(value)
