"""NfS: ``<sequence>/{30,240}/<sequence>/*.jpg`` and ``<sequence>.txt`` beside the frames' folder.

A line has the object's number, then ``x1 y1 x2 y2``, then flags and a label that no toolkit reads.
The boxes are taken as they are. At 30 frames a second the file may have a line for each frame of
the 240; then every eighth is taken, from the first.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from goturn.box import Box
from goturn.data._boxes import sequence, with_extent
from goturn.data._files import files, lines, numbers, subfolders
from goturn.errors import DataError
from goturn.sequence import Sequence

LINE = "a number, x1, y1, x2, y2, then flags"
SLOWER = 8


def read(folder: str | PathLike[str], *, rate: int = 30) -> list[Sequence]:
    """The sequences in the order of their names, at ``rate`` (30 or 240) frames a second."""
    if rate not in (30, 240):
        raise DataError(f"rate takes 30 or 240, got {rate}")
    return [_sequence(path / str(rate), path.name) for path in subfolders(Path(folder))]


def _sequence(folder: Path, name: str) -> Sequence:
    annotations = folder / f"{name}.txt"
    frames = files(folder / name, ".jpg")
    boxes = [_box(where, line) for where, line in lines(annotations)]
    # A line too many or too few at the end is how the data set is.
    if len(frames) and abs(len(boxes) / len(frames) - SLOWER) < 1:
        boxes = boxes[::SLOWER]
    if abs(len(boxes) - len(frames)) == 1:
        count = min(len(boxes), len(frames))
        boxes, frames = boxes[:count], frames[:count]
    return sequence(name, folder / name, frames, annotations, boxes)


def _box(where: str, line: str) -> Box | None:
    words = line.split()
    if len(words) < 5:
        raise DataError(f'{where}: expected {LINE}, got "{line}"')
    return with_extent(Box(*numbers(where, words[1:5], LINE)))
