"""``goturn evaluate``: run a tracker over a data set, and report in the protocols of benchmarks."""

from __future__ import annotations

import json
from collections.abc import Sequence as Ordered
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import rich.console
import rich.table

from goturn.cli._options import network_options
from goturn.errors import DataError, GoturnError
from torchcaffe.proto import did_you_mean

if TYPE_CHECKING:
    from goturn.evaluate import Protocol, Report
    from goturn.sequence import Sequence

USUAL = {"vot": "vot2014", "got10k": "got10k"}
"""The protocol of a data set, where it is not OTB's."""


@click.command()
@click.argument("folders", nargs=-1)
@click.option(
    "--data",
    required=True,
    metavar="NAME=DIR[,OPTION=VALUE]",
    help="The data set, where it is, and options of its reader, as in got10k=GOT-10k,subset=val.",
)
@network_options
@click.option(
    "--protocol",
    "names",
    multiple=True,
    metavar="NAME",
    help="otb, got10k or vot2014; may be given several times.  [default: the data set's own]",
)
@click.option("--only", multiple=True, metavar="SEQUENCE", help="A sequence to use, and no others.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes, each with a tracker of its own.",
)
@click.option("--plots", metavar="DIR", help="Draw the curves of all trackers into this folder.")
@click.option("--per-sequence", is_flag=True, help="Show the numbers of each sequence as well.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(
    folders: tuple[str, ...],
    data: str,
    weights: str | None,
    model: str | None,
    device: str,
    precision: str,
    threads: int | None,
    names: tuple[str, ...],
    only: tuple[str, ...],
    jobs: int,
    plots: str | None,
    per_sequence: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure trackers on a data set, from the result files in FOLDERS, one folder a tracker.

    With --weights the tracker is run first, and its result files are written to the first of
    FOLDERS (results/DATA/WEIGHTS if there is none). Sequences whose result files are whole are not
    run again. The other folders are compared with it.

    \b
    Examples:
      goturn evaluate --data otb=OTB100 --weights tracker.caffemodel results/otb/goturn
      goturn evaluate --data otb=OTB100 results/otb/goturn results/otb/other --plots plots
    """
    from goturn.data import read_named, split_named
    from goturn.evaluate import draw, report

    if weights is None and not folders:
        raise click.UsageError("give --weights to run a tracker, or folders of result files")
    name, _, options = split_named(data)
    protocols = _protocols(names or (USUAL.get(name, "otb"),))
    sequences = _chosen(read_named(data), only)
    if weights is not None:
        variant = ",".join([name, *(f"{option}={value}" for option, value in options.items())])
        folders = folders or (f"results/{variant.replace('/', '_')}/{Path(weights).stem}",)
        network = {"model": model, "device": device, "precision": precision, "threads": threads}
        _run(sequences, folders[0], variant, weights, network, protocols, jobs=jobs, quiet=quiet)
    reports = [report(sequences, folders, protocol) for protocol in protocols]
    drawn = [path for each in reports for path in draw(each, plots)] if plots else []
    if as_json:
        values = {"data": data, "reports": [each.to_json() for each in reports]}
        click.echo(json.dumps(values, indent=2))
        return
    for each in reports:
        _show(each, len(sequences), per_sequence)
        if plots and not any(scores.curves for scores in each.scores.values()):
            click.echo(f"{each.protocol.name} has no curves to draw.")
    for path in drawn:
        click.echo(str(path))


def _protocols(names: Ordered[str]) -> list[Protocol]:
    from goturn.evaluate import PROTOCOLS

    for name in names:
        if name not in PROTOCOLS:
            hint = did_you_mean(name, PROTOCOLS) or f"; there are {', '.join(PROTOCOLS)}"
            raise GoturnError(f'there is no protocol "{name}"{hint}')
    return [PROTOCOLS[name] for name in dict.fromkeys(names)]


def _chosen(sequences: list[Sequence], only: Ordered[str]) -> list[Sequence]:
    known = [sequence.name for sequence in sequences]
    for name in only:
        if name not in known:
            raise DataError(f'--only: there is no sequence "{name}"{did_you_mean(name, known)}')
    return [sequence for sequence in sequences if not only or sequence.name in only]


def _run(
    sequences: list[Sequence],
    folder: str,
    data: str,
    weights: str,
    network: dict[str, Any],
    protocols: Ordered[Protocol],
    *,
    jobs: int,
    quiet: bool,
) -> None:
    """Run GOTURN in each way that the protocols ask for."""
    from goturn.evaluate import run
    from goturn.progress import Progress
    from goturn.tracker import Tracker

    made_by = {
        "data": data,
        "weights": _digest(weights),
        "model": _digest(network["model"]),
        "precision": network["precision"],
    }
    maker = partial(Tracker, weights, **network)
    frames = sum(map(len, sequences))
    for kind in dict.fromkeys(protocol.kind for protocol in protocols):
        # GOTURN draws nothing at random when it tracks: one repetition tells all.
        running = run(
            maker, sequences, folder, kind=kind, deterministic=True, jobs=jobs, made_by=made_by
        )
        with Progress(f"{kind}, frames", frames, quiet=quiet) as progress:
            for finished in running:
                length = len(finished.sequence)
                progress.advance(_note(finished.sequence.name, length, finished.seconds), length)


def _note(name: str, frames: int, seconds: float) -> str:
    return f"{name}: {frames / seconds:.1f} frames/s" if seconds else f"{name}: there already"


def _digest(path: str | None) -> str | None:
    """What tells a file from others: its SHA-256."""
    if path is None:
        return None
    found = sha256()
    with Path(path).open("rb") as file:
        while part := file.read(1 << 20):
            found.update(part)
    return found.hexdigest()


def _show(report: Report, count: int, per_sequence: bool) -> None:
    """A table with a line for each tracker, and what the numbers are."""
    console = rich.console.Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    table = rich.table.Table(
        title=f"{report.protocol.title} ({count} sequence{'s' * (count != 1)})",
        title_justify="left",
        box=rich.box.SIMPLE_HEAD,
    )
    table.add_column("tracker")
    for number in report.numbers:
        table.add_column(number, justify="right")
    for tracker, scores in report.scores.items():
        table.add_row(tracker, *_cells(report, report.overall(tracker)))
        if per_sequence:
            for name, numbers in scores.sequences.items():
                table.add_row(f"  {name}", *_cells(report, numbers))
    console.print(table)
    click.echo(f"Follows: {report.protocol.follows}.")
    for number, words in report.numbers.items():
        click.echo(f"{number}: {words}.")
    click.echo()


def _cells(report: Report, numbers: Any) -> list[str]:
    cells = []
    for key in report.numbers:
        value = numbers.get(key)
        cells.append("" if value is None or value != value else f"{value:.3f}")
    return cells
