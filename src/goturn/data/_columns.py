"""Frames and boxes by the million: held as a rule and an array, made one by one when asked for."""

from __future__ import annotations

from collections.abc import Sequence as Ordered
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np

from goturn.box import Box

T = TypeVar("T")


class Column(Ordered[T]):
    """A sequence whose items ``_item`` makes."""

    def _item(self, index: int) -> T:
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        places = range(len(self))[index]
        return self._item(places) if isinstance(places, int) else [*map(self._item, places)]


class NumberedFrames(Column[Path]):
    """The .jpg files of a folder by their numbers: ``count`` from ``first``, as it is padded."""

    def __init__(self, folder: Path, count: int, first: str) -> None:
        self.folder, self.size = folder, count
        self.first, self.digits = int(first), len(first)

    def __len__(self) -> int:
        return self.size

    def file_name(self, index: int) -> str:
        """The name of one file."""
        return f"{self.first + index:0{self.digits}d}.jpg"

    def _item(self, index: int) -> Path:
        return self.folder / self.file_name(index)


class Boxes(Column["Box | None"]):
    """Boxes of an array (N, 4) of x, y, width, height; None where there is NaN or no extent.

    No extent is how most data sets say that the object is not there.
    """

    def __init__(self, rows: Ordered[Ordered[float]] | np.ndarray[Any, Any]) -> None:
        self.rows = np.array(rows, float).reshape(-1, 4)

    def __len__(self) -> int:
        return len(self.rows)

    def _item(self, index: int) -> Box | None:
        box = Box.from_xywh(*self.rows[index].tolist())
        return box if box.is_usable else None
