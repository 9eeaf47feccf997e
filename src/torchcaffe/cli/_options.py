"""Arguments that several verbs take, and what they mean."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import rich.console

from torchcaffe.errors import InputError

Decorated = Callable[..., Any]


def net_arguments(function: Decorated) -> Decorated:
    """NET and the optional WEIGHTS."""
    function = click.argument("weights", required=False, type=click.Path())(function)
    return click.argument("net", type=click.Path())(function)


def phase_option(function: Decorated) -> Decorated:
    """--phase, --level and --stage: Caffe's state."""
    for option in (
        click.option("--stage", "stages", multiple=True, help="A stage of the net's state."),
        click.option("--level", default=0, show_default=True, help="The level of the net's state."),
        click.option(
            "--phase",
            type=click.Choice(["TRAIN", "TEST"], case_sensitive=False),
            default="TEST",
            show_default=True,
            help="Which layers belong to the net, and how they work.",
        ),
    ):
        function = option(function)
    return function


def shape_option(function: Decorated) -> Decorated:
    """--shape NAME=N,C,H,W."""
    return click.option(
        "--shape",
        "shapes",
        multiple=True,
        metavar="NAME=N,C,H,W",
        help="An input's shape, in place of the prototxt's (or of a data layer's top).",
    )(function)


def own_code_options(function: Decorated) -> Decorated:
    """--layers and --allow-python: code that is not torchcaffe's."""
    function = click.option(
        "--layers",
        multiple=True,
        metavar="FILE",
        expose_value=False,
        is_eager=True,
        callback=_import_layers,
        help="A Python file (or module) that registers layer types of your own.",
    )(function)
    return click.option(
        "--allow-python",
        is_flag=True,
        help="Let Python layers import the modules that the prototxt names: this runs their code.",
    )(function)


def _import_layers(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> None:
    for value in values:
        path = Path(value)
        if path.suffix == ".py":
            _import_file(path)
            continue
        try:
            importlib.import_module(value)
        except ModuleNotFoundError as error:
            if error.name != value:
                raise
            raise InputError(
                f'--layers "{value}": there is no such module on Python\'s path; a file is given '
                f"as {value}.py"
            ) from None


def _import_file(path: Path) -> None:
    """Import a file under its own name, so that converted code can import it likewise."""
    if not path.is_file():
        raise InputError(f'--layers "{path}": there is no such file')
    sys.path.insert(0, str(path.parent.resolve()))
    module = sys.modules.get(path.stem) or importlib.import_module(path.stem)
    home = getattr(module, "__file__", None)
    if home is None or not path.samefile(home):
        raise InputError(
            f'--layers "{path}": another module is called "{path.stem}" ({home or "built in"}); '
            f"rename the file"
        )


def parse_shapes(values: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """``--shape`` options as shapes by name."""
    shapes = {}
    for value in values:
        name, _, dims = value.partition("=")
        parts = dims.replace("x", ",").split(",")
        if not name or not all(part.strip().isdigit() for part in parts):
            raise InputError(f'--shape takes NAME=N,C,H,W, got "{value}"')
        shapes[name] = tuple(int(part) for part in parts)
    return shapes


def split_assignment(option: str, value: str) -> tuple[str, str]:
    """``NAME=FILE`` as its two parts."""
    name, equals, rest = value.partition("=")
    if not name or not equals or not rest:
        raise InputError(f'{option} takes NAME=FILE, got "{value}"')
    return name, rest


def console() -> rich.console.Console:
    """Where tables go; as wide as they need where nobody watches."""
    result = rich.console.Console(highlight=False)
    if not result.is_terminal:
        result.width = 200
    return result
