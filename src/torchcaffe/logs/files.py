"""What ``--log-dir`` writes: a line of JSON for each row, TensorBoard's events, Caffe's log."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from torchcaffe.errors import InputError
from torchcaffe.logs.measures import Row, plain
from torchcaffe.proto.files import replacing

ROWS = "rows.jsonl"
"""The name of the file of JSON lines in a log folder."""


def prepare_folder(folder: Path, resuming: bool) -> Path:
    """Make a log folder; InputError if it holds another run, or cannot be made.

    A run that is resumed goes on in the folder of the run before.
    """
    if (folder / ROWS).exists() and not resuming:
        raise InputError(
            f"{folder / ROWS} exists already: the log of another run is in that folder. Choose "
            f"another folder, remove the old one, or resume the run"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{folder} cannot be made as a log folder ({reason})") from None
    return folder


class JsonLines:
    """Appends rows to a file, one JSON object a line; the file appears with the first.

    The keys are ``phase`` ("train" or "test"), ``net`` (of a test, its number), ``iter``, ``loss``,
    ``lr``, ``outputs``, ``losses`` (the outputs that have a loss weight), ``seconds`` (since the
    run began, the time before it was resumed included) and ``time``. What is None is left out; a
    number that is not finite is the string "nan", "inf" or "-inf".
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before = _last_seconds(path)

    def __call__(self, row: Row) -> None:
        """Append a row."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self._packed(row), allow_nan=False) + "\n")

    def _packed(self, row: Row) -> dict[str, Any]:
        entry: dict[str, Any] = {"phase": "train" if row.test is None else "test"}
        if row.test is not None:
            entry["net"] = row.test
        entry["iter"] = row.iteration
        rates = {"loss": row.loss, "lr": row.lr}
        entry |= {key: plain(value) for key, value in rates.items() if value is not None}
        entry["outputs"] = {name: plain(value) for name, value in row.outputs.items()}
        entry["losses"] = sorted(row.losses)
        entry["seconds"] = round(self.before + (row.seconds or 0.0), 3)
        entry["time"] = datetime.now().astimezone().isoformat(timespec="milliseconds")
        return entry


def _last_seconds(path: Path) -> float:
    """The seconds of the last row; a row that a killed run left half written is taken out."""
    if not path.exists():
        return 0.0
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        with replacing(path) as file:
            file.write(whole)
    if not whole:
        return 0.0
    try:
        return float(json.loads(whole.splitlines()[-1])["seconds"])
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{path}: its last line is not one of torchcaffe's rows; remove that line, or choose "
            f"another folder"
        ) from None


def tensorboard(folder: Path, start: int) -> Callable[[Row], None] | None:
    """What writes rows as TensorBoard events, those of before beyond iteration ``start`` replaced.

    None, with a warning, if the package is not there.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        warnings.warn(
            f"no TensorBoard events are written to {folder}, because the package tensorboard is "
            f'not there; pip install "torchcaffe[tensorboard]" adds it',
            stacklevel=2,
        )
        return None
    writer = SummaryWriter(str(folder), purge_step=start or None)

    def write(row: Row) -> None:
        part = "train" if row.test is None else f"test{row.test or ''}"
        scalars = {f"{part}/{name}": value for name, value in row.outputs.items()}
        scalars |= {f"{part}/loss (average)": row.loss} if row.loss is not None else {}
        scalars |= {"lr": row.lr} if row.lr is not None else {}
        for name, value in scalars.items():
            writer.add_scalar(name, value, row.iteration)
        writer.flush()

    return write
