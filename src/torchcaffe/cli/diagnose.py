"""``torchcaffe diagnose``: where a port differs from Caffe, and why."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from torchcaffe.cli._options import own_code_options, parse_shapes, shape_option, split_assignment
from torchcaffe.diagnosis import Diagnosis, diagnose
from torchcaffe.diagnosis.port import find_port, load_port
from torchcaffe.diagnosis.report import write_page
from torchcaffe.errors import InputError
from torchcaffe.images import Array
from torchcaffe.recording import read_recording


@click.command()
@click.argument("port")
@click.option("--net", "net", type=click.Path(), help="The prototxt that the port was made from.")
@click.option("--weights", type=click.Path(), help="Its weights.")
@click.option("--recording", type=click.Path(), help="What your own Caffe did, in place of both.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=FILE", help="An input, .npy.")
@click.option("--html", type=click.Path(), help="Write the story as one HTML page.")
@click.option("--training", is_flag=True, help="Compare how it is trained, too; needs --solver.")
@click.option("--solver", type=click.Path(), help="The solver prototxt, for --training.")
@click.option("--iterations", type=int, help="Side by side: 6, or 3 of large nets.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
@shape_option
@own_code_options
def command(
    port: str,
    net: str | None,
    weights: str | None,
    recording: str | None,
    inputs: tuple[str, ...],
    html: str | None,
    training: bool,
    solver: str | None,
    iterations: int | None,
    as_json: bool,
    shapes: tuple[str, ...],
    allow_python: bool,
) -> None:
    """Say where PORT, a module written by hand, differs from Caffe's net, and why.

    PORT is file.py:name or package.module:name: a function (or class) that returns your nn.Module
    with its weights loaded, or the module itself. It is run in the mode that it is in, and left as
    it was. With --training, the function may return an optimizer, a scheduler, a loss and more: see
    docs/diagnose-training.md. Exit status 0 if nothing differs, 1 if something does.

    \b
    Example:
      torchcaffe diagnose my_port.py:build --net deploy.prototxt --weights weights.caffemodel
    """
    if training != (solver is not None):
        raise click.UsageError("--training and --solver PROTOTXT are given together")
    if net is None and recording is None and solver is None:
        raise click.UsageError("give --net PROTOTXT, or --recording DIR")
    with _progress() as say:
        found = diagnose(
            find_port(port) if training else load_port(port),
            net,
            weights=weights,
            recording=None if recording is None else read_recording(recording),
            inputs=_arrays(inputs),
            shapes=parse_shapes(shapes),
            solver=solver,
            iterations=iterations,
            allow_python=allow_python,
            say=say,
        )
    if html is not None:
        write_page(found, html)
    if as_json:
        click.echo(found.to_json())
    else:
        _print(found)
        if html is not None:
            click.echo(f"page: {html}")
    sys.exit(0 if found.passed else 1)


def _arrays(inputs: tuple[str, ...]) -> dict[str, Array]:
    found = {}
    for name, path in (split_assignment("--input", value) for value in inputs):
        try:
            found[name] = np.asarray(np.load(path, allow_pickle=False), np.float32)
        except (OSError, ValueError) as error:
            raise InputError(f"--input {name}={path}: cannot be read as .npy: {error}") from None
    return found


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A line that says which layer is looked at, on a terminal; nothing in a log."""
    screen = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with (
        warnings.catch_warnings(),
        Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar,
    ):
        task = bar.add_task("running both nets")
        yield lambda layer: bar.update(task, description=f"looking at {layer}")


def _print(found: Diagnosis) -> None:
    wrong = [cause for cause in found.causes if not cause.harmless]
    for number, cause in enumerate(wrong, 1):
        click.echo(f"{number}. {cause.words}\n")
    for cause in found.causes:
        if cause.harmless:
            click.echo(f"no defect: {cause.words}\n")
    for part in found.unexplained:
        click.echo(f"{part.words}\n")
    if found.error:
        click.echo(f"{found.error}\n")
    for note in found.notes:
        click.echo(f"note: {note}")
    click.echo(found.verdict)
