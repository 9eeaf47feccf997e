"""What differs between the occurrences of a block becomes parameters of its class.

Numbers that are equal in every occurrence are one parameter: the width of a convolution and that
of the batch normalisation behind it.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from torchcaffe.codegen.graph import Node, Times, Variable
from torchcaffe.codegen.segments import plain
from torchcaffe.layers._call import resolve

SIZES = {
    "channels",
    "features",
    "groups",
    "in_channels",
    "in_features",
    "num_features",
    "num_output",
    "num_parameters",
    "out_channels",
    "out_features",
    "shape",
}
"""Arguments that count channels, whatever the module calls them."""

INPUTS = {"in_channels", "in_features"}
OUTPUTS = {"out_channels", "out_features", "num_output"}

Path = tuple[Any, ...]
Column = Sequence[Node | None]
"""One node of a block in each occurrence; None where an occurrence lacks it."""

MISSING = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """A parameter of a block's class; ``size`` ones are given by position."""

    name: str
    annotation: str
    size: bool
    default: Any = MISSING

    def __str__(self) -> str:
        text = f"{self.name}: {self.annotation}"
        return text if self.default is MISSING else f"{text} = {self.default!r}"


@dataclass
class Found:
    """Values that differ between occurrences, and where in the block they stand."""

    kind: str
    values: list[Any]
    uses: list[tuple[int, Path, str]] = field(default_factory=list)
    expression: Variable | Times | None = None

    @property
    def size(self) -> bool:
        """Whether it is a channel number that every occurrence has."""
        return self.kind == "size" and MISSING not in self.values

    def agrees(self, row: Row) -> bool:
        """Whether the row has the same values, as far as it has some."""
        return row.kind == self.kind and all(
            mine is MISSING or other is MISSING or (type(mine), mine) == (type(other), other)
            for mine, other in zip(self.values, row.values, strict=True)
        )

    def used_as(self, names: set[str]) -> list[int]:
        """The places in the block where it stands for one of these arguments."""
        return [place for place, _, name in self.uses if name in names]


@cache
def _signature(target: str) -> dict[str, Any]:
    """The default of each parameter of a module's class, in order."""
    parameters = inspect.signature(resolve(target)).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters}


def signature(node: Node) -> dict[str, Any]:
    """The default of each parameter of what a node constructs."""
    if isinstance(node.target, str):
        return _signature(node.target)
    return {parameter.name: parameter.default for parameter in node.target.parameters}


def _kind(node: Node, name: str) -> str:
    if isinstance(node.target, str):
        return "size" if name in SIZES else name
    found = next(p for p in node.target.parameters if p.name == name)
    return "size" if found.size else name


def _fields(node: Node) -> dict[Path, tuple[str, Any]]:
    """Each number among a node's arguments: where it stands, and which argument it is."""
    names = list(signature(node))
    result: dict[Path, tuple[str, Any]] = {}
    for place, value in enumerate(node.args):
        name = names[place] if place < len(names) else ""
        if isinstance(value, tuple) and plain(value):
            result.update({(place, i): (name, item) for i, item in enumerate(value)})
        elif plain(value):
            result[place,] = (name, value)
    result.update({(name,): (name, value) for name, value in node.kwargs.items() if plain(value)})
    return result


@dataclass(frozen=True)
class Row:
    """One argument of one node of a block, and its value in each occurrence."""

    place: int
    path: Path
    name: str
    kind: str
    values: list[Any]

    @property
    def differs(self) -> bool:
        """Whether it has more than one value."""
        return len({(type(v), v) for v in self.values if v is not MISSING}) > 1


def _rows(place: int, column: Column) -> list[Row]:
    present = [node for node in column if node is not None]
    if not present[0].module:
        return []
    names: dict[Path, str] = {}
    for node in present:
        names.update({path: name for path, (name, _) in _fields(node).items()})
    tables = [None if node is None else (_fields(node), signature(node)) for node in column]
    rows = []
    for path, name in names.items():
        values = [
            MISSING if table is None else table[0].get(path, (name, table[1].get(name)))[1]
            for table in tables
        ]
        rows.append(Row(place, path, name, _kind(present[0], name), values))
    return rows


class Parameters:
    """Finds what differs, column by column."""

    def __init__(self) -> None:
        self.found: list[Found] = []

    def add(self, place: int, column: Column) -> None:
        """Note what differs among nodes that every occurrence has."""
        for row in _rows(place, column):
            if row.differs:
                self._use(row, [found for found in self.found if found.agrees(row)])

    def fit(self, place: int, column: Column) -> None:
        """The same for nodes that some occurrences lack: what fits is what the others vary."""
        for row in _rows(place, column):
            matches = [found for found in self.found if found.agrees(row)]
            if row.kind == "size":
                ends = INPUTS if row.name in INPUTS else OUTPUTS
                matches.sort(key=lambda found: not found.used_as(ends))
            if row.differs or (matches and row.kind in ("size", "stride")):
                self._use(row, matches)

    def _use(self, row: Row, matches: Sequence[Found]) -> None:
        if not matches:
            matches = [Found(row.kind, row.values)]
            self.found += matches
        matches[0].uses.append((row.place, row.path, row.name))


def annotation(values: Sequence[Any]) -> str:
    """The type of a parameter that takes these values."""
    names = {_type_name(value) for value in values if value is not MISSING}
    order = ["bool", "int", "float", "str"]
    return " | ".join(sorted(names, key=lambda name: (name == "None", name not in order, name)))


def _type_name(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, (Variable, Times)):
        return "int"
    if isinstance(value, tuple):
        return f"tuple[{', '.join(_type_name(item) for item in value)}]"
    return type(value).__name__


def common_default(values: Sequence[Any]) -> Any:
    """The value that at least half of the occurrences have; where some have none, the commonest."""
    counts = Counter(repr(value) for value in values if value is not MISSING)
    text, count = counts.most_common(1)[0]
    if 2 * count < len(values) and MISSING not in values:
        return MISSING
    return next(value for value in values if repr(value) == text)
