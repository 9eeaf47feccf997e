"""The rows of a log as tables: CSV files as Caffe's parse_log.py writes them, and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torchcaffe.logs.measures import Row, plain
from torchcaffe.logs.reading import RunLog
from torchcaffe.proto.files import replacing


def write_csv(log: RunLog, folder: Path) -> list[Path]:
    """Write ``<name>.train``, ``<name>.test`` and of further test nets ``<name>.test1`` and so on.

    The columns are parse_log.py's: NumIters, Seconds, LearningRate, then the outputs. The rate is
    that of the row's own iteration; parse_log.py gives that of the display before. Test rows have
    the rate that was displayed last. Rows without outputs are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"train": log.train} | {
        f"test{test or ''}": rows for test, rows in sorted(log.tests.items())
    }
    paths = []
    for part, rows in parts.items():
        path = folder / f"{log.name}.{part}"
        with replacing(path) as file:
            file.write(_csv([row for row in rows if row.outputs], log.train).encode())
        paths.append(path)
    return paths


def _csv(rows: Sequence[Row], train: Sequence[Row]) -> str:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row.outputs))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["NumIters", "Seconds", "LearningRate", *names])
    for row in rows:
        values = [_rate(row, train), *(row.outputs.get(name) for name in names)]
        numbers = ["" if value is None else str(plain(value)) for value in (row.seconds, *values)]
        writer.writerow([str(float(row.iteration)), *numbers])
    return text.getvalue()


def _rate(row: Row, train: Sequence[Row]) -> float | None:
    if row.lr is not None:
        return row.lr
    rates = [other.lr for other in train if other.lr and other.iteration <= row.iteration]
    return rates[-1] if rates else None


def as_json(log: RunLog) -> dict[str, Any]:
    """A log as plain dictionaries and lists; numbers that are not finite are strings."""
    return {
        "name": log.name,
        "train": [_packed(row) for row in log.train],
        "tests": {str(test): [_packed(row) for row in rows] for test, rows in log.tests.items()},
    }


def _packed(row: Row) -> dict[str, Any]:
    entry = {key: value for key, value in asdict(row).items() if key != "test"}
    entry["losses"] = sorted(row.losses)
    entry["outputs"] = {name: plain(value) for name, value in row.outputs.items()}
    return {
        key: plain(value) if isinstance(value, float) else value for key, value in entry.items()
    }
