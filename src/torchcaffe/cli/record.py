"""``torchcaffe record``: a recorder for a person's own Caffe."""

from __future__ import annotations

import click

from torchcaffe.recording import write_recorder


@click.command()
@click.option(
    "-o",
    "--output",
    default="record_caffe.py",
    show_default=True,
    type=click.Path(),
    help="The file to write, or a folder to put it in.",
)
def command(output: str) -> None:
    """Write record_caffe.py, one file to run where your old Caffe runs.

    It needs pycaffe and numpy and nothing else, under Python 2.7 or 3. What it leaves, a folder,
    "torchcaffe verify" compares with.

    \b
    Example:
      torchcaffe record
      python record_caffe.py deploy.prototxt weights.caffemodel -o recording/   (beside your Caffe)
      torchcaffe verify deploy.prototxt weights.caffemodel recording/
    """
    path = write_recorder(output)
    click.echo(f"{path}: run it where your Caffe runs:")
    click.echo(f"  python {path.name} deploy.prototxt weights.caffemodel -o recording/")
