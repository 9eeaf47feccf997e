"""Logs of training runs, read back: Caffe's own, torchcaffe's, and the JSON lines of a log folder.

A log that a resumed run was appended to holds some iterations twice; the later ones count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from torchcaffe.errors import ParseError
from torchcaffe.logs.files import ROWS
from torchcaffe.logs.measures import Row, unique
from torchcaffe.proto.files import open_error

PREFIX = re.compile(r"([IWEF])(\d{4})?(\d\d)(\d\d) (\d\d):(\d\d):(\d\d\.\d+)\s+\d+ [^\s\]]+\] ?")
"""glog's; the year is there in glog 0.6 and later, and not in that of Caffe's time."""

_NUMBER = r"([-+]?(?:\d[\d.eE+-]*|\.\d+|nan|inf))"
_LOSS = re.compile(rf"Iteration (\d+)(?: \([^)]*\))?, loss = {_NUMBER}")
_RATE = re.compile(rf"Iteration (\d+), lr = {_NUMBER}")
_TESTING = re.compile(r"Iteration (\d+), Testing net \(#(\d+)\)")
_TEST_LOSS = re.compile(rf"Test loss: {_NUMBER}")
_OUTPUT = re.compile(rf"(Train|Test) net output #\d+: (.+) = {_NUMBER}( \(\* .* loss\))?\s*$")
_WANTED = "a log of Caffe's or torchcaffe's, or a folder that --log-dir wrote"


@dataclass
class RunLog:
    """A run's rows: those of the displays, and of each test net's passes."""

    name: str
    train: list[Row] = field(default_factory=list)
    tests: dict[int, list[Row]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Append a row, which replaces what earlier rows say of its iteration and later ones."""
        rows = self.train if row.test is None else self.tests.setdefault(row.test, [])
        while rows and rows[-1].iteration >= row.iteration:
            rows.pop()
        rows.append(row)


def read_log(path: str | Path) -> RunLog:
    """The rows of a log; ParseError if it has none or cannot be read."""
    path = Path(path)
    file = path / ROWS if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise open_error(file, _WANTED, error) from None
    log = RunLog(path.name if path.name else str(path.resolve().name))
    rows = _json_rows(file, text) if text.startswith("{") else _GlogRows(text, _year(file)).rows()
    for row in rows:
        log.add(row)
    if not log.train and not log.tests:
        raise ParseError(
            f'{file} has no iterations: no line like "Iteration 100, loss = 0.5" or '
            f'"Iteration 100, Testing net (#0)"; {_WANTED} was expected there'
        )
    return log


def _year(file: Path) -> int:
    return datetime.fromtimestamp(file.stat().st_mtime).year


def _json_rows(file: Path, text: str) -> Iterator[Row]:
    # Without its newline, the last line is one that a killed run left half written.
    whole = text[: text.rfind("\n") + 1]
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            entry = json.loads(line)
            yield _row(entry)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ParseError(f"{file}:{number}: this is no row of torchcaffe's log") from None


def _row(entry: dict[str, Any]) -> Row:
    def single(key: str) -> float | None:
        return float(entry[key]) if key in entry else None

    return Row(
        int(entry["iter"]),
        int(entry["net"]) if entry["phase"] == "test" else None,
        single("loss"),
        single("lr"),
        single("seconds"),
        {name: float(value) for name, value in entry["outputs"].items()},
        frozenset(entry["losses"]),
    )


class _GlogRows:
    """Rows of a log in glog's form, one line after the other."""

    def __init__(self, text: str, year: int) -> None:
        self.text = text
        self.clock = _Clock(year)
        self.row: Row | None = None
        self.outputs: list[tuple[str, float, bool]] = []

    def rows(self) -> Iterator[Row]:
        for line in self.text.splitlines():
            self.clock.read(line)
            yield from self._line(line)
        yield from self._close()

    def _line(self, line: str) -> Iterator[Row]:
        if found := _TESTING.search(line):
            yield from self._open(Row(int(found[1]), int(found[2]), seconds=self.clock.seconds))
        elif found := _LOSS.search(line):
            row = Row(int(found[1]), loss=float(found[2]), seconds=self.clock.seconds)
            yield from self._open(row)
        elif self.row is None:
            return
        elif found := _RATE.search(line):
            if self.row.test is None and self.row.iteration == int(found[1]):
                self.row = replace(self.row, lr=float(found[2]))
                yield from self._close()
        elif found := _TEST_LOSS.search(line):
            self.row = replace(self.row, loss=float(found[1]))
        elif (found := _OUTPUT.search(line)) and (found[1] == "Train") == (self.row.test is None):
            if not self.outputs:
                self.row = replace(self.row, seconds=self.clock.seconds)
            self.outputs.append((found[2], float(found[3]), found[4] is not None))

    def _open(self, row: Row) -> Iterator[Row]:
        yield from self._close()
        self.row = row

    def _close(self) -> Iterator[Row]:
        """The row that is complete; an interrupted test pass has no numbers, and is none."""
        row, outputs = self.row, self.outputs
        self.row, self.outputs = None, []
        if row is None or (row.test is not None and not outputs and row.loss is None):
            return
        names = unique([name for name, _, _ in outputs])
        pairs = list(zip(names, outputs, strict=True))
        yield replace(
            row,
            outputs={name: value for name, (_, value, _) in pairs},
            losses=frozenset(name for name, (_, _, is_loss) in pairs if is_loss),
        )


class _Clock:
    """Seconds since the line that says "Solving", or else since the first line."""

    def __init__(self, year: int) -> None:
        self.year = year
        self.now: datetime | None = None
        self.start: datetime | None = None
        self.solving = False

    def read(self, line: str) -> None:
        found = PREFIX.search(line)
        if not found:
            return
        now = self._time(found.groups())
        # Without a year, a month that goes back is the next year's.
        if self.now is not None and not found[2] and now.month < self.now.month:
            self.year += 1
            now = self._time(found.groups())
        self.now = now
        if self.start is None or (not self.solving and "] Solving " in line):
            self.start, self.solving = now, "] Solving " in line

    def _time(self, groups: Sequence[str | None]) -> datetime:
        _, year, month, day, hour, minute, seconds = groups
        whole, _, part = str(seconds).partition(".")
        text = f"{year or self.year}-{month}-{day} {hour}:{minute}:{whole}.{part[:6]:0<6}"
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            # The 29th of February, in a year that has none.
            return datetime.fromisoformat(text.replace(text[:4], "2024", 1))

    @property
    def seconds(self) -> float | None:
        if self.now is None or self.start is None:
            return None
        return (self.now - self.start).total_seconds()
