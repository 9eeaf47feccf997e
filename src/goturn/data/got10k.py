"""GOT-10k: ``{train,val,test}/list.txt``, ``<sequence>/%08d.jpg`` and ``groundtruth.txt``.

A line is ``x,y,width,height``. The boxes are taken as they are: the toolkit does not shift them
either. A sequence of the test set has its first box alone. ``cover.label`` says for each frame how
much of the object is to be seen, from 0 (nothing) to 8, and ``absence.label`` whether it is gone.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from goturn.data._boxes import (
    first_alone,
    numbered_frames,
    read_boxes,
    read_labels,
    sequence,
    sequence_folders,
)
from goturn.errors import DataError
from goturn.sequence import Sequence

SUBSETS = ("train", "val", "test")


def read(folder: str | PathLike[str], *, subset: str = "") -> list[Sequence]:
    """The sequences that ``list.txt`` names, in its order; without one, all folders.

    subset
        "train", "val" or "test", where ``folder`` holds these; "" where it is one of them

    A frame counts as visible where its cover is above 0, as in the toolkit's evaluation; without
    ``cover.label``, where ``absence.label`` is 0.
    """
    if subset not in ("", *SUBSETS):
        raise DataError(f'subset takes "train", "val" or "test", got "{subset}"')
    root = Path(folder) / subset
    if not subset and any((root / name).is_dir() for name in SUBSETS):
        raise DataError(f"{root} has several subsets; choose one with subset=train, val or test")
    return [_sequence(path) for path in sequence_folders(root, root / "list.txt")]


def _sequence(folder: Path) -> Sequence:
    annotations = folder / "groundtruth.txt"
    frames = numbered_frames(folder)
    boxes = first_alone(read_boxes(annotations), frames)
    return sequence(folder.name, folder, frames, annotations, boxes, _visible(folder))


def _visible(folder: Path) -> list[bool] | None:
    cover, absence = folder / "cover.label", folder / "absence.label"
    if cover.is_file():
        return [value > 0 for value in read_labels(cover)]
    if absence.is_file():
        return [value == 0 for value in read_labels(absence)]
    return None
