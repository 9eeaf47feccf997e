"""What readers of sequences share: numbered frames, boxes in lines, one box for each frame."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from collections.abc import Sequence as Ordered
from itertools import pairwise
from pathlib import Path

from goturn.box import Box
from goturn.data._columns import Boxes, NumberedFrames
from goturn.data._files import files, lines, numbers, subfolders
from goturn.errors import DataError
from goturn.sequence import Sequence

XYWH = "x, y, width, height"


def numbered_frames(folder: Path) -> Ordered[Path]:
    """The .jpg files of ``folder``, named by numbers, in their order.

    DataError, with the name, for a file that is not named by a number, or that is missing between
    the first and the last.
    """
    frames = files(folder, ".jpg")
    for path in frames:
        if not path.stem.isdecimal():
            raise DataError(f"{path} is not named by its number, as the frames of {folder} should")
    frames.sort(key=frame_number)
    for before, after in pairwise(frames):
        if frame_number(after) != frame_number(before) + 1:
            missing = str(frame_number(before) + 1).zfill(len(before.stem))
            raise DataError(
                f"{before.with_name(missing)}.jpg does not exist, but {after.name} does"
            )
    if not frames:
        return frames
    rule = NumberedFrames(folder, len(frames), frames[0].stem)
    holds = all(path.name == rule.file_name(index) for index, path in enumerate(frames))
    return rule if holds else frames


def frame_number(path: Path) -> int:
    """The number that names a frame."""
    return int(path.stem)


def between(frames: Ordered[Path], first: int, last: int | None) -> list[Path]:
    """The frames whose numbers are from ``first`` to ``last``, both included."""
    return [
        path
        for path in frames
        if first <= frame_number(path) and (last is None or frame_number(path) <= last)
    ]


def rows(path: Path, expected: str, counts: Collection[int]) -> Iterator[tuple[str, list[float]]]:
    """The place and the numbers of each line, separated by commas, tabs or spaces; NaN is a number.

    DataError, with the place, for anything else, and where their count is none of ``counts``.
    """
    for where, line in lines(path):
        words = re.split(r"\s*,\s*|\s+", line)
        if all(word.lower() == "nan" for word in words):
            values = [math.nan] * len(words)
        else:
            values = numbers(where, words, expected)
        if len(values) not in counts:
            raise DataError(f'{where}: expected {expected}, got {len(values)} numbers: "{line}"')
        yield where, values


def read_boxes(path: Path) -> Boxes:
    """The box of each line ``x, y, width, height``; None where it has no extent or is NaN."""
    return Boxes([values for _, values in rows(path, XYWH, {4})])


def with_extent(box: Box) -> Box | None:
    """The box, or None if nothing is in it: how data sets say that the object is not there."""
    return box if box.is_usable else None


def read_labels(path: Path) -> list[float]:
    """The numbers of a file of labels, in lines or in one line."""
    return [
        value
        for where, line in lines(path)
        for value in numbers(where, re.split(r"[\s,]+", line), "labels, which are numbers")
    ]


def sequence(
    name: str,
    folder: Path,
    frames: Ordered[Path],
    annotations: Path,
    boxes: Ordered[Box | None],
    visible: Ordered[bool] | None = None,
) -> Sequence:
    """A sequence whose frames lie in ``folder`` and whose ``annotations`` have a box for each.

    DataError, with both names, if there are no frames or the counts differ.
    """
    if not frames:
        raise DataError(f"{folder} has no frames")
    if len(boxes) != len(frames):
        raise DataError(
            f"{annotations} has {len(boxes)} box{'es' * (len(boxes) != 1)} for the {len(frames)} "
            f"frames in {folder}"
        )
    if visible is not None and len(visible) != len(frames):
        raise DataError(
            f"the labels beside {annotations} are {len(visible)} for {len(frames)} frames"
        )
    return Sequence(name, frames, boxes, visible)


def first_alone(boxes: Boxes, frames: Ordered[Path]) -> Boxes:
    """The boxes of a test set, of which only the first frame's is public."""
    hidden = len(frames) - 1
    return Boxes([*boxes.rows, *[[math.nan] * 4] * hidden]) if len(boxes) == 1 else boxes


def sequence_folders(folder: Path, listing: Path) -> list[Path]:
    """The folders that ``listing`` names, one a line; without such a file, all in ``folder``.

    DataError, with the place in the file, for a folder that is not there.
    """
    if not listing.is_file():
        return subfolders(folder)
    found = []
    for where, line in lines(listing):
        if not (folder / line).is_dir():
            raise DataError(f"{where}: there is no sequence {line} in {folder}")
        found.append(folder / line)
    return found
