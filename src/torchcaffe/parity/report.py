"""A verification as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from torchcaffe.errors import InputError
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import shape_text
from torchcaffe.parity.compare import Difference
from torchcaffe.parity.plots import Histogram, Plot, depth_plot, histogram
from torchcaffe.parity.verification import GRADIENTS, Row, Verification

WORST = 6
"""How many blobs have their errors drawn as a histogram."""

TITLES = {
    "blob": "Blobs",
    "statistic": "Statistics",
    "gradient": "Gradients",
    "parameter gradient": "Parameter gradients",
    "parameter": "Parameters",
}


@dataclass(frozen=True)
class Cell:
    """One view of a row as the table shows it."""

    passed: bool
    held: str
    needs: str
    of: str
    share: float
    bar: int


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    kind: str
    passed: bool
    depth: int
    layer: str
    type: str
    name: str
    shape: str
    absolute: float
    relative: float
    nonfinite: int
    local: Cell | None
    chained: Cell | None


@dataclass(frozen=True)
class Worst:
    """A blob with its histogram."""

    row: Row
    view: Difference
    which: str
    equal: str
    unit: str
    drawing: Histogram


def write_report(verification: Verification, path: str | PathLike[str]) -> None:
    """Write the report to the file ``path``; an older file there is replaced in one step.

    InputError if the folder does not exist.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}")
    if target.is_dir():
        raise InputError(f"{target}: is a folder; give the name of a file, such as report.html")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(render(verification), encoding="utf-8")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def render(verification: Verification) -> str:
    """The text of the page."""
    environment = Environment(
        loader=PackageLoader("torchcaffe.parity", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = verification.rows
    blobs = verification.of("blob", "statistic")
    gradients = verification.of(*GRADIENTS)
    layers = max((row.depth for row in rows), default=0) + 1
    first = verification.first_difference
    return environment.get_template("report.html.j2").render(
        found=verification,
        title=verification.net or "Unnamed net",
        first=first,
        first_view=None if first is None else deciding(first),
        shape_text=shape_text,
        lines=[_line(row) for row in rows],
        kinds=[(kind, title, verification.of(kind)) for kind, title in TITLES.items()],
        facts=facts(verification),
        plots=_plots(blobs, gradients, layers),
        worst=worst(verification),
        number=number_text,
        breakable=breakable,
    )


def _plots(blobs: list[Row], gradients: list[Row], layers: int) -> list[tuple[str, str, Plot]]:
    plots = [("blobs", "Forward: error against depth", depth_plot(blobs, layers))] if blobs else []
    if gradients:
        plots.append(("gradients", "Backward: error against depth", depth_plot(gradients, layers)))
    return plots


def facts(found: Verification) -> list[tuple[str, str]]:
    """The figures under the verdict: what, and how many of how many."""
    blobs, gradients, params = found.of("blob"), found.of(*GRADIENTS), found.of("parameter")
    layers = {row.layer for row in blobs}
    result = [("layers compared", f"{len(layers):,}"), ("blobs compared", f"{len(blobs):,}")]
    alone = sum(row.views[0].met == bitwise() for row in blobs)
    result.append(("of them equal to the last bit, each layer alone", f"{alone:,}"))
    if gradients:
        result.append(("gradients compared", f"{len(gradients):,}"))
    if params:
        equal = sum(row.equal for row in params)
        result.append(("parameter blobs equal", f"{equal:,} of {len(params):,}"))
    failed = sum(not row.passed for row in found.rows)
    return [*result, ("differences", f"{failed:,}")]


def deciding(row: Row) -> Difference | None:
    """The view that says most: one that fails, the local one before the chained, or the worse."""
    failed = [view for view in row.views if not view.passed]
    return failed[0] if failed else max(row.views, key=lambda view: view.share, default=None)


def worst(found: Verification) -> list[Worst]:
    """The blobs and gradients nearest to what their class allows, or beyond, worst first."""
    rows = [row for row in found.rows if row.kind != "parameter" and _spread_view(row)]
    # Where errors start comes before where they arrive.
    rows.sort(key=lambda row: (row.passed, _alone(row), -max(view.share for view in row.views)))
    result = []
    for row in rows[:WORST]:
        view = _spread_view(row)
        assert view is not None
        count = math.prod(row.shape)
        equal = 1 - sum(number for _, number in view.spread) / max(count, 1)
        unit = "roundings" if view.allowed.kind == "accumulated" else "units in the last place"
        which = "local" if view is row.local else "chained"
        result.append(Worst(row, view, which, f"{equal:.1%}", unit, histogram(view)))
    return result


def _alone(row: Row) -> bool:
    return row.local is None or row.local.passed


def _spread_view(row: Row) -> Difference | None:
    view = deciding(row)
    return view if view is not None and view.spread else None


def _line(row: Row) -> Line:
    finite = [view for view in row.views if view.met is not None]
    return Line(
        kind=row.kind,
        passed=row.passed,
        depth=row.depth,
        layer=row.layer,
        type=row.type,
        name=row.name,
        shape=shape_text(row.shape),
        absolute=max((view.max_abs for view in finite), default=math.inf),
        relative=max((view.error for view in finite), default=math.inf),
        nonfinite=max((view.nonfinite for view in finite), default=0),
        local=_cell(row.local),
        chained=_cell(row.chained),
    )


def _cell(view: Difference | None) -> Cell | None:
    if view is None:
        return None
    share = min(view.share, 1.0) if view.passed else view.share
    if view.met is None:
        needs = view.reason
    elif share == 0:
        needs = "equal"
    elif not view.allowed.size:
        needs = "differs"
    else:
        needs = f"{share:.0%}" if share >= 0.01 else "< 1%"
        needs = needs if share < 100 else f"{share:.1g}×"
    held = f"of {view.allowed.size:.3g}{' ulp' * (view.allowed.kind == 'ulp')}"
    held = held if view.allowed.size else "bitwise"
    return Cell(view.passed, str(view.allowed), needs, held, share, round(min(share, 1) * 100))


def breakable(name: str) -> Markup:
    """A name that may be broken where its words end."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[_/.-])(?=[^_/.-])", name))


def number_text(value: float) -> str:
    """A difference as the table prints it."""
    if value == 0:
        return "0"
    return f"{value:.1e}" if math.isfinite(value) else "–"
