"""``torchcaffe compute_image_mean``: the mean image of an LMDB."""

from __future__ import annotations

import click

from torchcaffe.errors import InputError


@click.command()
@click.argument("database", type=click.Path())
@click.argument("output", type=click.Path(), required=False)
@click.option("--backend", default="lmdb", show_default=True, help="lmdb; no other is read.")
def command(database: str, output: str | None, backend: str) -> None:
    """Print the mean of each channel of an LMDB's images; write the mean image to OUTPUT.

    \b
    Example:
      torchcaffe compute_image_mean train_lmdb mean.binaryproto
    """
    from torchcaffe.data import channel_means, compute_image_mean
    from torchcaffe.data.lmdb_file import LEVELDB

    if backend != "lmdb":
        raise InputError(f'--backend takes "lmdb", got "{backend}"; {LEVELDB}')
    mean = compute_image_mean(database, output)
    click.echo(f"Number of channels: {len(mean)}")
    for channel, value in enumerate(channel_means(mean)):
        click.echo(f"mean_value channel [{channel}]: {value:g}")
