"""``torchcaffe inspect``: the layers of a net as a table."""

from __future__ import annotations

import json

import click
from rich.table import Table

from torchcaffe.cli._options import (
    console,
    net_arguments,
    own_code_options,
    parse_shapes,
    phase_option,
    shape_option,
)
from torchcaffe.inspection import Inspection, inspect
from torchcaffe.layers._registry import shape_text
from torchcaffe.load import load


@click.command()
@net_arguments
@own_code_options
@phase_option
@shape_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
def command(
    net: str,
    weights: str | None,
    phase: str,
    level: int,
    stages: tuple[str, ...],
    shapes: tuple[str, ...],
    allow_python: bool,
    as_json: bool,
) -> None:
    """Show the layers of NET: types, blobs, shapes, parameters, multiply-adds.

    With WEIGHTS, they are loaded as well, so that a file that does not fit is noticed.

    \b
    Example:
      torchcaffe inspect deploy.prototxt weights.caffemodel
    """
    loaded = load(
        net,
        weights,
        phase=phase,
        level=level,
        stages=stages,
        inputs=parse_shapes(shapes),
        allow_python=allow_python,
    )
    found = inspect(loaded)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        console().print(_table(found))
        click.echo(_summary(found))


def _table(found: Inspection) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("layer", "type", "bottoms", "tops", "shape"):
        table.add_column(heading, overflow="fold")
    table.add_column("parameters", justify="right")
    table.add_column("multiply-adds", justify="right")
    for row in found.layers:
        table.add_row(
            row.name,
            row.type,
            ", ".join(row.bottoms),
            ", ".join(row.tops),
            ", ".join(shape_text(shape) for shape in row.shapes),
            f"{row.parameters:,}" if row.parameters else "",
            f"{row.multiply_adds:,}" if row.multiply_adds else "",
        )
    return table


def _summary(found: Inspection) -> str:
    inputs = ", ".join(f"{name} {shape_text(shape)}" for name, shape in found.inputs.items())
    return (
        f"\n{found.name or 'net'} ({found.phase}): {len(found.layers)} layers, "
        f"{found.parameters:,} parameters, {found.multiply_adds:,} multiply-adds\n"
        f"inputs: {inputs or 'none'}; outputs: {', '.join(found.outputs) or 'none'}"
    )
