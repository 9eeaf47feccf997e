"""TrackingNet: ``TRAIN_0`` to ``TRAIN_11`` and ``TEST``, each with ``frames`` and ``anno``.

``frames/<video>/N.jpg`` from 0, not padded, so that the order is that of the numbers;
``anno/<video>.txt`` has ``x,y,width,height`` on each line. The boxes are taken as they are. A video
of ``TEST`` has its first box alone.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from goturn.data._boxes import first_alone, numbered_frames, read_boxes, sequence
from goturn.data._files import files, subfolders
from goturn.errors import DataError
from goturn.sequence import Sequence


def read(folder: str | PathLike[str], *, part: str = "train") -> list[Sequence]:
    """The videos of one part, in the order of its annotation files.

    part
        "train" for every TRAIN_N, "test" for TEST, or one of these folders by its own name; without
        a meaning where ``folder`` is such a folder itself
    """
    root = Path(folder)
    if (root / "anno").is_dir():
        return _videos(root)
    parts = [path for path in subfolders(root) if (path / "anno").is_dir()]
    chosen = [path for path in parts if _belongs(path.name, part)]
    if not chosen:
        there = ", ".join(path.name for path in parts) or "none"
        raise DataError(f'{root} has no part "{part}"; parts with an anno folder there: {there}')
    chosen.sort(key=lambda path: (len(path.name), path.name))
    return [video for path in chosen for video in _videos(path)]


def _belongs(name: str, part: str) -> bool:
    return name == part or (part == "train" and name.startswith("TRAIN_")) or name == part.upper()


def _videos(root: Path) -> list[Sequence]:
    return [_video(path, root / "frames" / path.stem) for path in files(root / "anno", ".txt")]


def _video(annotations: Path, folder: Path) -> Sequence:
    frames = numbered_frames(folder)
    boxes = first_alone(read_boxes(annotations), frames)
    return sequence(annotations.stem, folder, frames, annotations, boxes)
