"""LaSOT: ``<class>/<class>-N/img/%08d.jpg`` and ``groundtruth.txt``, ``x,y,width,height``.

The boxes are taken as they are: no toolkit shifts them. ``full_occlusion.txt`` and
``out_of_view.txt`` hold one row of 0 and 1 for the frames.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from goturn.data._boxes import numbered_frames, read_boxes, read_labels, sequence
from goturn.data._files import lines, subfolders
from goturn.errors import DataError
from goturn.sequence import Sequence

ABSENT = ("full_occlusion.txt", "out_of_view.txt")


def read(folder: str | PathLike[str], *, names: str = "") -> list[Sequence]:
    """The sequences, class by class, or those that a file names.

    names
        a file with a sequence's name on each line, as LaSOT's own testing_set.txt

    A frame counts as visible where both labels are 0 and the box has an extent.
    """
    root = Path(folder)
    if names:
        return [_sequence(_find(root, where, name)) for where, name in lines(Path(names))]
    found = []
    for path in subfolders(root):
        flat = (path / "groundtruth.txt").is_file()
        found += [_sequence(inner) for inner in ([path] if flat else subfolders(path))]
    return found


def _find(root: Path, where: str, name: str) -> Path:
    for path in (root / name.rpartition("-")[0] / name, root / name):
        if path.is_dir():
            return path
    raise DataError(f"{where}: there is no sequence {name} in {root}")


def _sequence(folder: Path) -> Sequence:
    annotations = folder / "groundtruth.txt"
    frames = numbered_frames(folder / "img")
    boxes = read_boxes(annotations)
    visible = [box is not None for box in boxes]
    for path in (folder / name for name in ABSENT):
        labels = read_labels(path)
        if len(labels) != len(boxes):
            raise DataError(f"{path} has {len(labels)} labels for {len(boxes)} boxes")
        visible = [seen and label == 0 for seen, label in zip(visible, labels, strict=True)]
    return sequence(folder.name, folder / "img", frames, annotations, boxes, visible)
