"""What readers of data sets share: folders and files in order, numbers in lines."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from goturn.errors import DataError


def subfolders(folder: Path) -> list[Path]:
    """The folders in ``folder``, sorted by the bytes of their names; DataError if it is none."""
    return _sorted(path for path in _entries(folder) if path.is_dir())


def files(folder: Path, *suffixes: str) -> list[Path]:
    """The files in ``folder`` with one of the suffixes, sorted; DataError if it is no folder."""
    return _sorted(path for path in _entries(folder) if path.suffix in suffixes)


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Where each line of a text file is ("file:line"), and the line; empty ones left out."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text ({_reason(error)})") from None
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield f"{path}:{number}", line.strip()


def numbers(where: str, words: list[str], expected: str) -> list[float]:
    """The words of a line as finite numbers; DataError, with the place, if one is none."""
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = [math.nan]
    if not all(map(math.isfinite, values)):
        raise DataError(f'{where}: expected {expected}, got "{" ".join(words)}"')
    return values


@contextmanager
def passing_over(bad: Counter[str] | None) -> Iterator[None]:
    """Count a DataError by its words and go on behind the block; without a counter, let it out."""
    try:
        yield
    except DataError as error:
        if bad is None:
            raise
        bad[str(error)] += 1


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} is not a folder that can be read ({_reason(error)})") from None


def _sorted(paths: Iterator[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.name.encode(errors="surrogateescape"))


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).lower()
