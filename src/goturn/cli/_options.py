"""Options that several verbs take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Decorated = Callable[..., Any]

WEIGHTS = (
    "--weights is missing: the file of a trained GOTURN. That is the original's "
    "tracker.caffemodel (https://github.com/davheld/GOTURN tells where it is), or what "
    '"goturn train" saved.'
)


def network_options(function: Decorated) -> Decorated:
    """--weights, --model, --device, --precision and --threads: which network, and where it runs."""
    for option in (
        click.option(
            "--threads",
            type=click.IntRange(min=1),
            help="Cores of the processor to use.  [default: all]",
        ),
        click.option(
            "--precision",
            type=click.Choice(["float32", "bf16", "exact"]),
            default="float32",
            show_default=True,
            help="bf16 is faster and moves the boxes a little; exact has the bits of the Caffe net "
            "and is slower.",
        ),
        click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ..."),
        click.option(
            "--model",
            metavar="PROTOTXT",
            help="The net, where the weights do not tell it: any that is shaped as GOTURN.",
        ),
        click.option(
            "--weights",
            metavar="FILE",
            help="A trained GOTURN: .caffemodel or .safetensors.",
        ),
    ):
        function = option(function)
    return function


def required_weights(weights: str | None) -> str:
    """The file of --weights; without one, wrong usage that says where they come from."""
    if weights is None:
        raise click.UsageError(WEIGHTS)
    return weights
