"""``torchcaffe plot``: curves and tables of training runs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from torchcaffe.logs import as_json, plot, read_log, write_csv


@click.command()
@click.argument("logs", nargs=-1, required=True, type=click.Path())
@click.option("-o", "--output", type=click.Path(), help="Draw the curves to this image file.")
@click.option("--csv", type=click.Path(), help="Write the tables of parse_log.py to this folder.")
@click.option("--json", "to_json", is_flag=True, help="Print the numbers as JSON.")
@click.option(
    "--against",
    type=click.Choice(["iterations", "seconds"]),
    default="iterations",
    show_default=True,
    help="What the x axis shows.",
)
def command(
    logs: tuple[str, ...], output: str | None, csv: str | None, to_json: bool, against: str
) -> None:
    """Draw loss, accuracy and learning rate of one or several runs, or write them as tables.

    LOGS are logs of Caffe's or torchcaffe's, or folders that --log-dir wrote.

    \b
    Example:
      torchcaffe plot caffe.log logs/ -o curves.png
    """
    if not (output or csv or to_json):
        raise click.UsageError("give -o IMAGE, --csv FOLDER or --json")
    found = [read_log(log) for log in logs]
    if output:
        plot(found, Path(output), against=against)
        click.echo(output)
    for log in found if csv else ():
        for path in write_csv(log, Path(str(csv))):
            click.echo(path)
    if to_json:
        click.echo(json.dumps([as_json(log) for log in found], indent=1))
