"""Result files: one folder a tracker, in the layout of the got10k toolkit.

::

    results/otb/goturn/run.json                          what made them
    results/otb/goturn/Basketball/Basketball_001.txt     x,y,width,height of each frame
    results/otb/goturn/Basketball/Basketball_time.txt    its seconds
    results/vot/goturn/baseline/ball/ball_001.txt        1 start, 2 failure, 0 passed over, or a box
    results/vot/goturn/baseline/ball/ball_time.txt       a column of seconds for each repetition

A file is written under another name and renamed when it is whole. Boxes are those of our sequences:
pixels from the image's top left, which is 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goturn.errors import DataError
from goturn.evaluate.metrics import Array
from goturn.sequence import Sequence
from torchcaffe.proto import replacing

PASSED_OVER, START, FAILURE = (0.0,), (1.0,), (2.0,)
"""What stands in place of a box: not tracked, a (new) start, an overlap of 0."""

Record = tuple[float, ...]
"""A frame of a run with re-initialisation: one of the codes, or a box of four numbers."""

BASELINE = "baseline"


@dataclass(frozen=True)
class Results:
    """The results of one tracker in a folder, which is named as the tracker."""

    folder: Path

    @property
    def name(self) -> str:
        """The tracker's name."""
        return self.folder.resolve().name

    def claim(self, made_by: Mapping[str, Any]) -> None:
        """Note what makes these results; DataError if others are there that something else made."""
        path = self.folder / "run.json"
        if path.is_file():
            _refuse_others(self.folder, _read_json(path), made_by)
            return
        if any(self.folder.glob("*/*_001.txt")) or (self.folder / BASELINE).is_dir():
            raise DataError(
                f"{self.folder} holds results and no run.json that says what made them; choose "
                f"another folder to run a tracker into"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(json.dumps(dict(made_by), indent=2).encode() + b"\n")

    def has(self, sequence: Sequence, kind: str, repetition: int = 1) -> bool:
        """Whether the result file of a sequence is there and has a line for each frame."""
        path = self._file(sequence, kind, repetition)
        return path.is_file() and len(path.read_text().splitlines()) == len(sequence)

    def repetitions(self, sequence: Sequence) -> int:
        """How many repetitions with re-initialisation there are."""
        count = 0
        while self.has(sequence, BASELINE, count + 1):
            count += 1
        return count

    def identical(self, sequence: Sequence) -> bool:
        """Whether all repetitions that are there wrote the same."""
        count = self.repetitions(sequence)
        files = [self._file(sequence, BASELINE, number + 1) for number in range(count)]
        return len({path.read_text() for path in files}) == 1

    def write(
        self,
        sequence: Sequence,
        kind: str,
        records: Ordered[Ordered[float]],
        seconds: Ordered[float],
        repetition: int = 1,
    ) -> None:
        """Write one run: the times first, so that a result file is never without its times."""
        path = self._file(sequence, kind, repetition)
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = self._columns(sequence, kind)[: repetition - 1] if repetition > 1 else []
        rows = zip(*columns, [f"{value:.8f}" for value in seconds], strict=True)
        _write(self._times(sequence, kind), [",".join(row) for row in rows])
        _write(path, [_line(record) for record in records])

    def boxes(self, sequence: Sequence) -> Array:
        """The boxes of a one-pass run, (frames, 4); NaN where a tracker gave no numbers.

        Also reads ``<sequence>.txt``, as the toolkit lays out its results on OTB.
        """
        path = self._file(sequence, "one-pass", 1)
        flat = self.folder / f"{sequence.name}.txt"
        path = flat if flat.is_file() and not path.is_file() else path
        records = _read(path, sequence)
        for number, record in enumerate(records, 1):
            if len(record) != 4:
                raise DataError(f"{path}:{number}: expected x,y,width,height, got {record}")
        return np.array(records, float)

    def records(self, sequence: Sequence) -> list[list[Record]]:
        """The repetitions of a run with re-initialisation, frame by frame."""
        count = max(1, self.repetitions(sequence))
        runs = []
        for number in range(1, count + 1):
            path = self._file(sequence, BASELINE, number)
            runs.append(_read(path, sequence))
            for line, record in enumerate(runs[-1], 1):
                if len(record) != 4 and record not in (PASSED_OVER, START, FAILURE):
                    raise DataError(f"{path}:{line}: expected 0, 1, 2 or a box, got {record}")
        return runs

    def seconds(self, sequence: Sequence, kind: str) -> list[float]:
        """The seconds of every frame that was tracked, in all repetitions; [] if not noted."""
        words = [word for column in self._columns(sequence, kind) for word in column]
        try:
            values = [float(word) for word in words]
        except ValueError as error:
            raise DataError(f"{self._times(sequence, kind)}: {error}") from None
        return [value for value in values if math.isfinite(value) and value > 0]

    def _columns(self, sequence: Sequence, kind: str) -> list[tuple[str, ...]]:
        path = self._times(sequence, kind)
        if not path.is_file():
            return []
        rows = [line.split(",") for line in path.read_text().splitlines()]
        if len(rows) != len(sequence) or len({len(row) for row in rows}) > 1:
            raise DataError(
                f"{path} should have {len(sequence)} lines with as many times each; delete it, or "
                f"run the tracker again"
            )
        return list(zip(*rows, strict=True))

    def _home(self, sequence: Sequence, kind: str) -> Path:
        return self.folder / (BASELINE if kind == BASELINE else "") / sequence.name

    def _file(self, sequence: Sequence, kind: str, repetition: int) -> Path:
        return self._home(sequence, kind) / f"{sequence.name}_{repetition:03d}.txt"

    def _times(self, sequence: Sequence, kind: str) -> Path:
        return self._home(sequence, kind) / f"{sequence.name}_time.txt"


def _refuse_others(folder: Path, there: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for key in sorted({*there, *now}):
        if there.get(key) != now.get(key):
            raise DataError(
                f'{folder} holds results of another run: {key} is "{there.get(key)}" there and '
                f'"{now.get(key)}" now; choose another folder, or delete that one'
            )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); delete it with its results") from None
    return dict(found)


def _line(record: Ordered[float]) -> str:
    return str(int(record[0])) if len(record) == 1 else ",".join(f"{x:.4f}" for x in record)


def _write(path: Path, rows: list[str]) -> None:
    with replacing(path) as file:
        file.write("".join(f"{row}\n" for row in rows).encode())


def _read(path: Path, sequence: Sequence) -> list[Record]:
    if not path.is_file():
        raise DataError(f"{path} does not exist; the tracker was not run on {sequence.name}")
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            found.append(tuple(float(word) for word in line.replace(",", " ").split()))
        except ValueError:
            raise DataError(f'{path}:{number}: expected numbers, got "{line}"') from None
    if len(found) != len(sequence):
        raise DataError(f"{path} has {len(found)} lines for {len(sequence)} frames")
    return found
