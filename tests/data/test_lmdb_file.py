import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_sources import write_database
from torchcaffe.data import read_lmdb, write_lmdb
from torchcaffe.data.lmdb_file import Cursor
from torchcaffe.errors import InputError


def test_keys_come_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    assert (
        write_lmdb(tmp_path / "db", [(b"b", b"1"), (b"a", b"2"), (b"10", b"3"), (b"9", b"")]) == 4
    )
    assert list(read_lmdb(tmp_path / "db")) == [
        (b"10", b"3"),
        (b"9", b""),
        (b"a", b"2"),
        (b"b", b"1"),
    ]


def test_grows_with_what_is_written(tmp_path: Path) -> None:
    value = bytes(100_000)
    assert write_lmdb(tmp_path / "db", ((b"%04d" % i, value) for i in range(300))) == 300
    assert sum(len(value) for _, value in read_lmdb(tmp_path / "db")) == 30_000_000


def test_a_cursor_begins_again_at_the_end(tmp_path: Path) -> None:
    write_database(str(tmp_path / "db"), 2)
    cursor = Cursor(str(tmp_path / "db"))
    keys = []
    for _ in range(5):
        keys.append(cursor.key())
        cursor.advance()
    assert keys == [b"000", b"001", b"000", b"001", b"000"]


def test_the_file_itself_may_be_named(tmp_path: Path) -> None:
    write_database(str(tmp_path / "db"), 1)
    assert len(list(read_lmdb(tmp_path / "db" / "data.mdb"))) == 1


def test_nothing_is_written_beside_what_is_read(tmp_path: Path) -> None:
    write_database(str(tmp_path / "db"), 1)
    (tmp_path / "db" / "lock.mdb").unlink()
    list(read_lmdb(tmp_path / "db"))
    assert [path.name for path in (tmp_path / "db").iterdir()] == ["data.mdb"]


def test_a_leveldb_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "CURRENT").touch()
    with pytest.raises(
        InputError,
        match=r'LevelDB, not an LMDB; make an LMDB of it: "torchcaffe convert_leveldb OLD NEW"',
    ):
        next(read_lmdb(tmp_path / "db"))


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="db cannot be written"):
        write_lmdb(tmp_path / "db", [(b"x" * 600, b"")])
    assert not list(tmp_path.iterdir())


def test_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"x" * 8192)
    with pytest.raises(InputError, match="cannot be read as an LMDB"):
        next(read_lmdb(tmp_path))


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty")
def test_readers_come_and_go_in_several_threads(tmp_path: Path) -> None:
    """The last reader closes the database while another one opens it."""
    write_lmdb(tmp_path / "db", [(b"0", b"value")])

    def read(_: int) -> bytes:
        return Cursor(str(tmp_path / "db")).item()[1]

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(read, range(2000))) == {b"value"}
