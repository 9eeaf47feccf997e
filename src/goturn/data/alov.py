"""ALOV300++: videos in categories, with a box in about every fifth frame.

``<annotations>/<category>/<video>.ann`` and ``<images>/<category>/<video>/*.jpg``. A line is
``frame Ax Ay Bx By Cx Cy Dx Dy``, frames and pixels counted from 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from os import PathLike
from pathlib import Path

from goturn.box import Box
from goturn.data._files import files, lines, numbers, passing_over, subfolders
from goturn.errors import DataError
from goturn.sequence import Sequence

VALIDATION = 0.2
"""The part of each category's videos, its last ones, that the original keeps for validation."""

IN_VOT2014 = (
    "01-Light_video00016",
    "01-Light_video00022",
    "01-Light_video00023",
    "02-SurfaceCover_video00012",
    "03-Specularity_video00003",
    "03-Specularity_video00012",
    "10-LowContrast_video00013",
)
"""Videos that are in VOT2014 too, as the original's page lists them."""

LINE = "a frame's number and the x and y of four corners"


def read(
    images: str | PathLike[str],
    annotations: str | PathLike[str],
    *,
    part: str = "train",
    validation: float = VALIDATION,
    without: Collection[str] = (),
    bad: Counter[str] | None = None,
) -> list[Sequence]:
    """The videos of one part, category by category.

    part
        "train", "validation" or "all". Of each category's n videos the last
        ``int(validation * n)`` are for validation.
    without
        names of videos that are left out, before the parts are made.
    bad
        passes over videos that cannot be used, and counts them by what is wrong.

    Raises DataError for folders that are not there, lines that are malformed, and frames without
    an image.
    """
    if part not in ("train", "validation", "all"):
        raise DataError(f'part takes "train", "validation" or "all", got "{part}"')
    found: list[Sequence] = []
    for category in subfolders(Path(annotations)):
        videos = [path for path in files(category, ".ann") if path.stem not in without]
        train = len(videos) - int(validation * len(videos))
        chosen = {"train": videos[:train], "validation": videos[train:], "all": videos}[part]
        for path in chosen:
            with passing_over(bad):
                found.append(_video(path, Path(images) / category.name / path.stem))
    return found


def _video(annotations: Path, folder: Path) -> Sequence:
    frames = files(folder, ".jpg")
    boxes: list[Box | None] = [None] * len(frames)
    latest = -1
    for where, line in lines(annotations):
        frame, box = _annotation(where, line)
        if frame >= len(frames):
            raise DataError(f"{where}: frame {frame + 1} of {len(frames)} images in {folder}")
        if frame <= latest:
            raise DataError(f"{where}: frame {frame + 1} comes after frame {latest + 1}")
        latest = frame
        boxes[frame] = box
    return Sequence(annotations.stem, frames, boxes)


def _annotation(where: str, line: str) -> tuple[int, Box]:
    """A line's frame, from 0, and its box, the smallest around the corners."""
    words = line.split()
    values = numbers(where, words, LINE)
    if len(values) != 9 or values[0] < 1 or values[0] % 1:
        raise DataError(f'{where}: expected {LINE}, got "{line}"')
    xs, ys = values[1::2], values[2::2]
    return int(values[0]) - 1, Box(min(xs) - 1, min(ys) - 1, max(xs) - 1, max(ys) - 1)
