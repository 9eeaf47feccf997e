"""A verification as one HTML file that needs nothing else: no network, and no script to be read."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from os import PathLike

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from torchcaffe.layers._exactness import Exactness, bitwise
from torchcaffe.layers._registry import shape_text
from torchcaffe.parity.compare import Difference
from torchcaffe.parity.figures import Plot, digits, histograms, needs, plot, share
from torchcaffe.parity.verification import GRADIENTS, Row, Verification
from torchcaffe.proto.files import replacing

LARGEST = 1e300
"""Stands for infinity, which a script would not read under Python's name."""
FORWARD = ("blob", "statistic")


@dataclass(frozen=True)
class Group:
    """The rows of one table."""

    title: str
    said: str
    rows: list[Row]
    depth: Plot | None

    @property
    def passed(self) -> bool:
        """Whether nothing in it differs."""
        return all(row.passed for row in self.rows)

    @property
    def two(self) -> bool:
        """Whether a layer's own view stands beside the net's."""
        return any(row.local is not None for row in self.rows)


def write_report(verification: Verification, path: str | PathLike[str]) -> None:
    """Write the report to the file ``path``; an older file there is replaced in one step.

    InputError if the folder does not exist or the file cannot be written.
    """
    text = _environment().from_string(_template()).render(_values(verification))
    with replacing(str(path)) as file:
        file.write(text.encode())


def _template() -> str:
    return files("torchcaffe.parity").joinpath("report.html.j2").read_text("utf-8")


def _environment() -> Environment:
    # The file's name ends in .j2, so that nothing is escaped unless it is said.
    made = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined,
        finalize=_plain,
    )  # fmt: skip
    made.filters |= {
        "shape": shape_text,
        "number": _number,
        "class": _class,
        "share": share,
        "needs": needs,
        "digits": digits,
        "count": _count,
        "views": _views,
        "place": id,
        "keys": _keys,
        "parted": _parted,
        "digest": _digest,
    }
    return made


def _values(found: Verification) -> dict[str, object]:
    layers = max((row.depth for row in found.rows), default=0) + 1
    blobs = found.of("blob")
    forward, backward = found.of(*FORWARD), found.of(*GRADIENTS)
    groups = [
        Group("Blobs", _said(forward, "blobs"), forward, _plot(forward, layers)),
        Group("Gradients", _said(backward, "gradients"), backward, _plot(backward, layers)),
        Group("Parameters", *_parameters(found.of("parameter"))),
    ]
    first = found.first_difference
    firsts = [] if first is None else [first]
    if first is not None and first.kind == "parameter":
        firsts += [row for row in forward if not row.passed][:1]
    views = [(row, view) for row in blobs for view in row.views]
    return {
        "found": found,
        "state": "none" if not blobs else "ok" if found.passed else "bad",
        "groups": [group for group in groups if group.rows],
        "places": {id(row): place for place, row in enumerate(found.rows)},
        "firsts": [(row, _failing(row)) for row in firsts],
        "worst": max(views, key=lambda pair: pair[1].share, default=None),
        "widest": max(views, key=lambda pair: pair[1].error, default=None),
        "alone": sum(row.local is not None and row.local.met == bitwise() for row in blobs),
        "histograms": histograms([*forward, *backward]),
        "blobs": blobs,
        "layers": layers,
    }


def _plot(rows: list[Row], layers: int) -> Plot | None:
    return plot(rows, layers) if rows else None


def _parameters(rows: list[Row]) -> tuple[str, list[Row], None]:
    return _said(rows, "parameter blobs"), rows, None


def _said(rows: list[Row], noun: str) -> str:
    differing = sum(not row.passed for row in rows)
    equal = sum(row.equal for row in rows)
    if differing:
        return f"{differing} of {len(rows)} {noun} differ{'s' * (differing == 1)}"
    if equal == len(rows):
        return f"{len(rows)} {noun}, all equal to the last bit"
    return f"{len(rows)} {noun}, none differs, {equal} equal to the last bit"


def _failing(row: Row) -> Difference | None:
    return next((view for view in row.views if not view.passed), None)


def _views(row: Row) -> list[tuple[str, Difference | None]]:
    """The lines of one row; one is enough where both views are equal."""
    if row.local is None or row.chained is None:
        name = "" if row.local is row.chained else "alone" if row.local else "in the net"
        return [(name, row.local or row.chained)]
    if row.equal:
        return [("both", row.chained)]
    return [("alone", row.local), ("in the net", row.chained)]


def _keys(row: Row) -> str:
    """What a table is sorted by; what could not be compared counts as the largest."""
    compared = [view for view in row.views if view.met is not None]
    if len(compared) < max(1, len(row.views)):
        return f"{LARGEST:g} {LARGEST:g} {LARGEST:g}"
    sizes = [(view.max_abs, view.max_rel, view.share) for view in compared]
    return " ".join(f"{min(max(size), LARGEST):.3g}" for size in zip(*sizes, strict=True))


def _plain(value: object) -> str:
    """Text with what cannot be seen as escapes: controls, lone surrogates, changes of direction."""
    text = value if isinstance(value, str) else str(value)
    if isinstance(text, Markup) or text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _parted(name: str) -> Markup:
    """A name that may be broken where its parts end."""
    text = str(escape(_plain(name)))
    return Markup(re.sub(r"(?<=[_/])(?=[^_/])", "<wbr>", text))


def _number(value: float) -> str:
    return "0" if value == 0 else "∞" if value == float("inf") else f"{value:.2e}"


def _class(value: Exactness | None) -> str:
    """A class with no more digits than a person compares."""
    if value is None or value.kind == "bitwise":
        return "" if value is None else "bitwise"
    return f"{value.kind}({digits(value.size)})"


def _count(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def _digest(text: str) -> str:
    """How a content security policy names the one script that may run."""
    return b64encode(sha256(text.encode()).digest()).decode()
