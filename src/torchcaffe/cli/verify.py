"""``torchcaffe verify``: the same network, proven blob by blob."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.table import Table

from torchcaffe.cli._options import console, own_code_options
from torchcaffe.convert import load_folder
from torchcaffe.layers._registry import shape_text
from torchcaffe.load import load
from torchcaffe.parity.compare import Difference
from torchcaffe.parity.report import write_report
from torchcaffe.parity.verification import Verification
from torchcaffe.parity.verify import use_recorded_params, verify
from torchcaffe.parity.verify_module import verify_module
from torchcaffe.recording import Recording, read_recording


@click.command()
@click.argument("paths", nargs=-1, metavar="NET [WEIGHTS] RECORDING", type=click.Path())
@click.option("--html", type=click.Path(), help="Write the report as one HTML file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
@click.option("--all", "show_all", is_flag=True, help="Show all rows, not only those that differ.")
@own_code_options
def command(
    paths: tuple[str, ...], html: str | None, as_json: bool, show_all: bool, allow_python: bool
) -> None:
    """Compare NET with what your Caffe did, blob by blob; exit status 1 if any differs.

    NET is a prototxt, or a folder that "torchcaffe convert" wrote. Without WEIGHTS the recorded
    ones are used. RECORDING is what record_caffe.py left (see "torchcaffe record").

    \b
    Example:
      torchcaffe verify deploy.prototxt weights.caffemodel recording/ --html report.html
    """
    if len(paths) not in (2, 3):
        raise click.UsageError("takes NET, WEIGHTS (which may be left out) and RECORDING")
    recording = read_recording(paths[-1])
    found = _verify(paths[:-1], recording, allow_python)
    if html is not None:
        write_report(found, html)
    if as_json:
        click.echo(found.to_json())
    else:
        _print(found, show_all)
        if html is not None:
            click.echo(f"report: {html}")
    sys.exit(0 if found.passed else 1)


def _verify(paths: tuple[str, ...], recording: Recording, allow_python: bool) -> Verification:
    if Path(paths[0]).is_dir():
        if len(paths) > 1:
            raise click.UsageError("a converted folder holds its own weights; leave WEIGHTS out")
        return verify_module(load_folder(paths[0]), recording)
    net = load(
        paths[0], paths[1] if len(paths) > 1 else None,
        phase=recording.phase, inputs=recording.shapes, allow_python=allow_python,
    )  # fmt: skip
    if len(paths) == 1:
        use_recorded_params(net, recording)
    return verify(net, recording)


def _print(found: Verification, show_all: bool) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "what", "layer", "blob", "shape"):
        table.add_column(heading, overflow="fold")
    for heading in ("absolute", "relative", "held to", "meets"):
        table.add_column(heading, justify="right")
    rows = [row for row in found.rows if show_all or not row.passed]
    for row in rows:
        view = _deciding(row.chained, row.local)
        table.add_row(
            "ok" if row.passed else "DIFFERS",
            row.kind,
            row.layer,
            row.name,
            shape_text(row.shape),
            f"{view.max_abs:.3g}" if view else "",
            f"{view.max_rel:.3g}" if view else "",
            str(view.allowed) if view else "",
            str(view.met) if view and view.met else (view.reason if view else "not compared"),
        )
    if rows:
        console().print(table)
        click.echo()
    for note in found.notes:
        click.echo(f"note: {note}")
    click.echo(found.verdict)


def _deciding(*views: Difference | None) -> Difference | None:
    """The first view that fails, or else the first there is."""
    present = [view for view in views if view is not None]
    return next((view for view in present if not view.passed), present[0] if present else None)
