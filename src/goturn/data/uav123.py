"""UAV123: ``anno/UAV123/<sequence>.txt``, ``data_seq/UAV123/<folder>/%06d.jpg``; UAV20L likewise.

A line is ``x,y,width,height``, and NaN where the object is absent. The boxes are taken as they are:
no toolkit shifts them. A sequence may be a part of a folder's frames: bird1_2 is the second part of
bird1. Which frames a part has stands in no file of the data set; RANGES is that table, as the
got10k toolkit 0.1.3 and pytracking both have it.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from goturn.data._boxes import between, numbered_frames, read_boxes, sequence
from goturn.data._files import files
from goturn.errors import DataError
from goturn.sequence import Sequence

RANGES = {
    "bird1": ((1, 253), (775, 1477), (1573, 2437)),
    "car1": ((1, 751), (751, 1627), (1627, 2629)),
    "car6": ((1, 487), (487, 1807), (1807, 2953), (2953, 3925), (3925, 4861)),
    "car8": ((1, 1357), (1357, 2575)),
    "car16": ((1, 415), (415, 1993)),
    "group1": ((1, 1333), (1333, 2515), (2515, 3925), (3925, 4873)),
    "group2": ((1, 907), (907, 1771), (1771, 2683)),
    "group3": ((1, 1567), (1567, 2827), (2827, 4369), (4369, 5527)),
    "person2": ((1, 1189), (1189, 2623)),
    "person4": ((1, 1501), (1501, 2743)),
    "person5": ((1, 877), (877, 2101)),
    "person7": ((1, 1249), (1249, 2065)),
    "person8": ((1, 1075), (1075, 1525)),
    "person12": ((1, 601), (601, 1621)),
    "person14": ((1, 847), (847, 1813), (1813, 2923)),
    "person17": ((1, 1501), (1501, 2347)),
    "person19": ((1, 1243), (1243, 2791), (2791, 4357)),
    "truck4": ((1, 577), (577, 1261)),
    "uav1": ((1, 1555), (1555, 2377), (2473, 3469)),
}
"""First and last frame, from 1, of the parts of each folder that UAV123 has in parts."""


def read(folder: str | PathLike[str], *, part: str = "UAV123") -> list[Sequence]:
    """The sequences in the order of their annotation files.

    part
        "UAV123" or "UAV20L", whose sequences are whole folders
    """
    if part not in ("UAV123", "UAV20L"):
        raise DataError(f'part takes "UAV123" or "UAV20L", got "{part}"')
    root = Path(folder)
    images = root / "data_seq" / "UAV123"
    return [
        _part(path, images) if part == "UAV123" else _whole(path, images / path.stem)
        for path in files(root / "anno" / part, ".txt")
    ]


def _part(annotations: Path, images: Path) -> Sequence:
    name, _, number = annotations.stem.rpartition("_")
    if name not in RANGES or not number.isdecimal():  # car1_s is a folder of its own
        return _whole(annotations, images / annotations.stem)
    if not 1 <= int(number) <= len(RANGES[name]):
        raise DataError(f"{annotations}: {name} has parts 1 to {len(RANGES[name])}")
    first, last = RANGES[name][int(number) - 1]
    frames = between(numbered_frames(images / name), first, last)
    return sequence(annotations.stem, images / name, frames, annotations, read_boxes(annotations))


def _whole(annotations: Path, folder: Path) -> Sequence:
    boxes = read_boxes(annotations)
    frames = numbered_frames(folder)
    return sequence(annotations.stem, folder, frames, annotations, boxes)
