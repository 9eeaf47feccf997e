"""``torchcaffe convert_leveldb``: a LevelDB into an LMDB."""

from __future__ import annotations

import click


@click.command()
@click.argument("leveldb", type=click.Path())
@click.argument("database", type=click.Path())
def command(leveldb: str, database: str) -> None:
    """Copy the records of LEVELDB into a new LMDB, DATABASE, which data layers read.

    Then set ``backend: LMDB`` and the new source in the layer. Needs plyvel (pip install plyvel).

    \b
    Example:
      torchcaffe convert_leveldb ilsvrc12_train_leveldb ilsvrc12_train_lmdb
    """
    from torchcaffe.data import copy_leveldb

    count = copy_leveldb(leveldb, database)
    click.echo(f"{database}: {count} records")
