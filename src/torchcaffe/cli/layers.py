"""``torchcaffe layers``: the layer types that torchcaffe computes."""

from __future__ import annotations

import json

import click
from rich.table import Table

from torchcaffe.cli._options import console
from torchcaffe.errors import InputError
from torchcaffe.layers._registry import layer_types, unknown_type


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
def command(name: str | None, as_json: bool) -> None:
    """List the layer types, or explain the one called NAME.

    \b
    Example:
      torchcaffe layers LRN
    """
    types = layer_types()
    if name is not None:
        if name not in types:
            raise InputError(unknown_type(name))
        click.echo(f"{name} ({types[name].exactness})\n\n{types[name].doc}")
        return
    rows = [
        {
            "type": kind.name,
            "formula": kind.doc.splitlines()[0],
            "exactness": str(kind.exactness),
            "gradient": str(kind.gradient) if kind.differentiable else "none",
        }
        for kind in types.values()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in rows[0]:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    console().print(table)
    click.echo(f"\n{len(rows)} types")
