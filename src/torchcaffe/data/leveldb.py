"""LevelDB, Caffe's default database: its records are copied into an LMDB, which is read.

It is not read itself, because its one well-known binding, plyvel, is built for Linux and Python up
to 3.12 only, and because only one process at a time may open a LevelDB.
"""

from __future__ import annotations

import os
from pathlib import Path

from torchcaffe.data.lmdb_file import write_lmdb
from torchcaffe.errors import InputError


def copy_leveldb(source: str | os.PathLike[str], database: str | os.PathLike[str]) -> int:
    """Write the records of a LevelDB into a new LMDB, key by key; returns their number.

    Raises InputError without plyvel, or if ``source`` is no LevelDB or in use.
    """
    try:
        import plyvel
    except ImportError:
        raise InputError(
            'a LevelDB is opened by plyvel, which is not installed: "pip install plyvel" (Linux, '
            "Python up to 3.12)"
        ) from None
    if not (Path(source) / "CURRENT").is_file():
        raise InputError(f"{source} is no LevelDB: it has no file CURRENT")
    try:
        with plyvel.DB(os.fspath(source), create_if_missing=False) as records:
            return write_lmdb(database, records)
    except plyvel.Error as error:
        raise InputError(f"{source} cannot be read as a LevelDB: {error}") from None
