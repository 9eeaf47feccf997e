"""Records in an LMDB: pairs of key and value in the order of the keys' bytes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import RLock
from typing import Any

import lmdb

from torchcaffe.errors import InputError


class Database:
    """An LMDB that is open for reading.

    The library allows one such object a process, so that all readers of a folder share it; see
    ``open_lmdb``. Readers come and go in several threads: the last one to leave closes it.
    """

    def __init__(self, path: str) -> None:
        self.readers = 0
        try:
            self.environment = lmdb.open(
                path, subdir=Path(path).is_dir(), readonly=True, lock=False, max_readers=1024
            )
        except lmdb.Error as error:
            raise InputError(f"{path} cannot be read as an LMDB: {error}") from None

    def leave(self) -> None:
        """Be told that a reader is done."""
        with _LOCK:
            self.readers -= 1
            if not self.readers:
                for key in [key for key, database in _OPEN.items() if database is self]:
                    del _OPEN[key]
                self.environment.close()


_OPEN: dict[tuple[Any, ...], Database] = {}
# Garbage collection may let a reader leave in the midst of another's opening, in the same thread.
_LOCK = RLock()


def open_lmdb(path: str) -> Database:
    """The LMDB at ``path``, a folder with data.mdb or the file itself; InputError if it is none.

    The caller is a reader of it until ``leave``.
    """
    inside = Path(path) / "data.mdb"
    file = inside if Path(path).is_dir() else Path(path)
    if not file.is_file():
        if (Path(path) / "CURRENT").is_file():
            raise InputError(f"{path} is a LevelDB, not an LMDB; {LEVELDB}")
        raise InputError(f"{file} does not exist; an LMDB was expected there")
    found = file.stat()
    # A forked process must not use what its parent has opened.
    key = (os.getpid(), found.st_dev, found.st_ino)
    with _LOCK:
        while True:
            database = _OPEN.get(key) or _OPEN.setdefault(key, Database(path))
            database.readers += 1
            if _OPEN.get(key) is database:
                return database


LEVELDB = 'make an LMDB of it: "torchcaffe convert_leveldb OLD NEW", or run convert_imageset again'


class Cursor:
    """A place among the records of an LMDB; after the last comes the first again."""

    def __init__(self, path: str, key: bytes | None = None) -> None:
        """Stand at ``key``, or at the first record; InputError if there is none."""
        self.database = open_lmdb(path)
        self.transaction = self.database.environment.begin()
        self.cursor = self.transaction.cursor()
        if not (self.cursor.first() if key is None else self.cursor.set_key(key)):
            missing = "holds no records" if key is None else f"has no record {key_text(key)} now"
            raise InputError(f"{path} {missing}, so it was perhaps not written to the end")

    def __del__(self) -> None:
        # The transaction must end before its database is closed.
        if hasattr(self, "transaction"):
            self.transaction.abort()
        if hasattr(self, "database"):
            self.database.leave()

    def item(self) -> tuple[bytes, bytes]:
        """The record's key and value."""
        key, value = self.cursor.item()
        return bytes(key), bytes(value)

    def key(self) -> bytes:
        """The record's key."""
        return bytes(self.cursor.key())

    def advance(self) -> None:
        """Go to the next record."""
        if not self.cursor.next():
            self.cursor.first()


def key_text(key: bytes) -> str:
    """A key in quotes, bytes that are no text escaped."""
    return f'"{key.decode(errors="backslashreplace")}"'


def read_lmdb(path: str | os.PathLike[str]) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of key and value of an LMDB, in the order of the keys' bytes."""
    cursor = Cursor(os.fspath(path))
    while True:
        yield cursor.item()
        if not cursor.cursor.next():
            return


def write_lmdb(path: str | os.PathLike[str], pairs: Iterable[tuple[bytes, bytes]]) -> int:
    """Write pairs of key and value as a new LMDB in the folder ``path``; returns their number.

    The folder appears when the last pair is written. Raises InputError if it exists already.
    """
    target = Path(path)
    if target.exists():
        raise InputError(f"{target} exists already; remove it or choose another name")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    count = 0
    try:
        with lmdb.open(str(temporary), map_size=1 << 24) as environment:
            for chunk in _chunks(pairs):
                _put(environment, chunk)
                count += len(chunk)
        temporary.replace(target)
    except (OSError, lmdb.Error) as error:
        raise InputError(f"{target} cannot be written ({error})") from None
    finally:
        for name in ("data.mdb", "lock.mdb"):
            (temporary / name).unlink(missing_ok=True)
        if temporary.is_dir():
            temporary.rmdir()
    return count


def _chunks(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    """Pairs for one transaction each, as many as Caffe's tools write at once."""
    chunk: list[tuple[bytes, bytes]] = []
    for pair in pairs:
        chunk.append(pair)
        if len(chunk) == 1000:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _put(environment: lmdb.Environment, chunk: list[tuple[bytes, bytes]]) -> None:
    """Write a chunk, with twice the room as often as it does not fit."""
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, value in chunk:
                    transaction.put(key, value)
            return
        except lmdb.MapFullError:
            environment.set_mapsize(environment.info()["map_size"] * 2)
