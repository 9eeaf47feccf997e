"""A person's own data: ``images/`` and ``boxes.txt``, once, or in each of several folders.

A line of ``boxes.txt`` belongs to an image, in the order of the images' names, in which 2 comes
before 10. It is ``x, y, width, height`` in pixels from the image's top left, which is 0; commas,
tabs or spaces stand between the numbers. Where the object is not to be seen the line is ``-``.
"""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

from goturn.box import Box
from goturn.data._boxes import XYWH, sequence
from goturn.data._files import files, lines, numbers, subfolders
from goturn.errors import DataError
from goturn.sequence import Sequence
from goturn.sources import IMAGES, natural_order


def read(folder: str | PathLike[str]) -> list[Sequence]:
    """One sequence, named as the folder, or one for each folder in it, in the order of the names.

    DataError for a box without an extent: a line that is ``-`` says that there is none.
    """
    root = Path(folder)
    if (root / "images").is_dir() or (root / "boxes.txt").is_file():
        return [_sequence(root)]
    return [_sequence(path) for path in subfolders(root)]


def _sequence(folder: Path) -> Sequence:
    annotations = folder / "boxes.txt"
    images = files(folder / "images", *IMAGES, *map(str.upper, IMAGES))
    frames = sorted(images, key=lambda path: natural_order(path.name))
    boxes = [_box(where, line) for where, line in lines(annotations)]
    name = folder.resolve().name
    return sequence(name, folder / "images", frames, annotations, boxes)


def _box(where: str, line: str) -> Box | None:
    if line == "-":
        return None
    expected = f'{XYWH}, or "-"'
    values = numbers(where, re.split(r"\s*,\s*|\s+", line), expected)
    if len(values) != 4 or min(values[2:]) <= 0:
        raise DataError(f'{where}: expected {expected}, got "{line}"')
    return Box.from_xywh(*values)
