"""``torchcaffe convert``: PyTorch source that a person owns."""

from __future__ import annotations

import click

from torchcaffe.cli._options import (
    net_arguments,
    own_code_options,
    parse_shapes,
    phase_option,
    shape_option,
)
from torchcaffe.convert import convert
from torchcaffe.load import load


@click.command()
@net_arguments
@click.option("-o", "--output", required=True, type=click.Path(), help="The folder to write.")
@click.option("--name", help="The class's name; without it, made of the net's own.")
@click.option("--force", is_flag=True, help="Write into a folder that holds other files.")
@own_code_options
@phase_option
@shape_option
@click.option("--seed", type=int, help="Fill what WEIGHTS does not hold from this seed, as Caffe.")
def command(
    net: str,
    weights: str | None,
    output: str,
    name: str | None,
    force: bool,
    phase: str,
    level: int,
    stages: tuple[str, ...],
    shapes: tuple[str, ...],
    allow_python: bool,
    seed: int | None,
) -> None:
    """Write NET as readable PyTorch source with its weights, and prove that it is the same.

    OUTPUT gets model.py (which does not need torchcaffe), model.safetensors and a README.md. The
    written module is imported and run beside the net before anything is left there.

    \b
    Example:
      torchcaffe convert deploy.prototxt weights.caffemodel -o resnet/
    """
    loaded = load(
        net,
        weights,
        phase=phase,
        level=level,
        stages=stages,
        inputs=parse_shapes(shapes),
        seed=seed,
        allow_python=allow_python,
    )
    report = convert(loaded, output, class_name=name, force=force)
    click.echo(
        f"{report.folder}/model.py: class {report.class_name}, {report.lines} lines, "
        f"{report.parameters:,} numbers in model.safetensors"
    )
    click.echo(
        f"largest difference from the net on {len(report.differences)} "
        f"output{'s' * (len(report.differences) > 1)}: {report.largest_difference:g}"
    )
