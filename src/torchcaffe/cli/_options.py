"""Arguments that several verbs take, and what they mean."""

from __future__ import annotations

from collections.abc import Callable
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
