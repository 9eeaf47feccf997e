import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from torchcaffe.cli import main
from torchcaffe.data import copy_leveldb, read_lmdb
from torchcaffe.errors import InputError

RECORDS = [(b"00000000", b"first"), (b"00000001", b"second")]


class Busy(Exception):
    """What plyvel raises when another process has the database."""


class Stored(list[tuple[bytes, bytes]]):
    """A database as plyvel opens it."""

    def __enter__(self) -> "Stored":
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


@pytest.fixture
def leveldb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a LevelDB, and what stands for plyvel."""
    fake = ModuleType("plyvel")
    fake.__dict__.update(vars(SimpleNamespace(DB=lambda *_, **__: Stored(RECORDS), Error=Busy)))
    monkeypatch.setitem(sys.modules, "plyvel", fake)
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "CURRENT").write_text("MANIFEST-000002\n")
    return folder


def test_records_are_copied(leveldb: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = leveldb.with_name("new")
    main(["convert_leveldb", str(leveldb), str(new)])
    assert capsys.readouterr().out == f"{new}: 2 records\n"
    assert list(read_lmdb(new)) == RECORDS


def test_no_leveldb(leveldb: Path) -> None:
    (leveldb / "CURRENT").unlink()
    with pytest.raises(InputError, match="old is no LevelDB: it has no file CURRENT"):
        copy_leveldb(leveldb, "new")


def test_one_in_use(leveldb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Busy("lock old/LOCK: already held by process")

    monkeypatch.setattr("plyvel.DB", refuse)
    with pytest.raises(InputError, match=r"old cannot be read as a LevelDB: lock .* already held"):
        copy_leveldb(leveldb, "new")


def test_without_plyvel(leveldb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plyvel", None)
    with pytest.raises(InputError, match=r'"pip install plyvel" \(Linux, Python up to 3.12\)'):
        copy_leveldb(leveldb, "new")
