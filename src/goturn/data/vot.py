"""VOT: ``list.txt``, ``<sequence>/groundtruth.txt``, frames beside it or in ``color``.

A line has 4 numbers, ``x,y,width,height``, or 8, the corners of a polygon. A polygon stays with its
sequence as an outline; its box is the smallest around it, as in the original's loader. (The got10k
toolkit starts trackers at another box: with the polygon's centre and area, and a pixel added.)
Masks, which later years have, are refused.
"""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path

from goturn.box import Box
from goturn.data._boxes import numbered_frames, rows, sequence, sequence_folders, with_extent
from goturn.data._files import lines
from goturn.errors import DataError
from goturn.sequence import Outline, Sequence

LINE = "x, y, width, height or the x and y of four corners"


def read(folder: str | PathLike[str], *, first_pixel: int = 0) -> list[Sequence]:
    """The sequences that ``list.txt`` names, in its order; without one, all folders.

    first_pixel
        what the files call the first column and row. The toolkits take the numbers as they are,
        which is 0; the original's loader of training data takes 1 off them, which is 1.
    """
    root = Path(folder)
    folders = sequence_folders(root, root / "list.txt")
    return [_sequence(path, first_pixel) for path in folders]


def _sequence(folder: Path, first_pixel: int) -> Sequence:
    annotations = folder / "groundtruth.txt"
    color = folder / "color"
    place = color if color.is_dir() else folder
    for where, line in lines(annotations):
        if line.startswith("m"):
            raise DataError(f"{where}: masks are not read; boxes or polygons were expected")
    regions = [_region(values, first_pixel) for _, values in rows(annotations, LINE, {4, 8})]
    boxes = [box for box, _ in regions]
    outlines = [outline for _, outline in regions]
    found = sequence(folder.name, place, numbered_frames(place), annotations, boxes)
    return replace(found, outlines=outlines) if any(outlines) else found


def _region(values: list[float], first_pixel: int) -> tuple[Box | None, Outline | None]:
    if len(values) == 4:
        box = Box.from_xywh(*values).shifted(-first_pixel, -first_pixel)
        return with_extent(box), None
    xs, ys = ([value - first_pixel for value in values[start::2]] for start in (0, 1))
    box = Box(min(xs), min(ys), max(xs), max(ys))
    return with_extent(box), tuple(zip(xs, ys, strict=True)) if box.is_usable else None
