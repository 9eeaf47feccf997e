"""OTB: ``<sequence>/img/%04d.jpg`` and ``groundtruth_rect.txt``, ``x y width height``.

Numbers are separated by commas, tabs or spaces, differently from file to file. A sequence with two
targets has ``groundtruth_rect.1.txt`` and ``.2.txt``; an empty one of these is passed over, as
Human4 has it. The boxes come from a program that counts pixels from 1, but no toolkit shifts them,
and so neither does this, unless it is told to.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from goturn.data._boxes import between, numbered_frames, read_boxes, sequence
from goturn.data._columns import Boxes
from goturn.data._files import files, subfolders
from goturn.errors import DataError
from goturn.sequence import Sequence

RANGES = {
    "BlurCar1": (247, None),
    "BlurCar3": (3, None),
    "BlurCar4": (18, None),
    "David": (300, 770),
    "Diving": (1, 215),
    "Football1": (1, 74),
    "Freeman3": (1, 460),
    "Freeman4": (1, 283),
}
"""The frames that the boxes belong to, by their numbers, where these are not all of the folder."""

OTB2013 = """
    Basketball Bolt Boy Car4 CarDark CarScale Coke Couple Crossing David David2 David3 Deer Dog1
    Doll Dudek FaceOcc1 FaceOcc2 Fish FleetFace Football Football1 Freeman1 Freeman3 Freeman4 Girl
    Ironman Jogging Jumping Lemming Liquor Matrix Mhyang MotorRolling MountainBike Shaking Singer1
    Singer2 Skating1 Skiing Soccer Subway Suv Sylvester Tiger1 Tiger2 Trellis Walking Walking2 Woman
"""
"""The 50 folders of OTB-2013; Jogging has two targets."""


def read(
    folder: str | PathLike[str], *, version: str = "all", first_pixel: int = 0
) -> list[Sequence]:
    """The sequences in the order of their names, a second target after the first.

    version
        "2013" for the sequences of OTB-2013, "all" for every folder, which is OTB-2015 (also called
        OTB-100) where all of it is there
    first_pixel
        what the files call the first column and row; 1 makes 0 of it

    Names are the toolkit's: ``Jogging.1`` and ``Jogging.2`` where there are two targets.
    """
    if version not in ("2013", "all"):
        raise DataError(f'version takes "2013" or "all", got "{version}"')
    root = Path(folder)
    folders = [root / name for name in OTB2013.split()] if version == "2013" else subfolders(root)
    return [item for path in folders for item in _targets(path, first_pixel)]


def _targets(folder: Path, first_pixel: int) -> list[Sequence]:
    found = [path for path in files(folder, ".txt") if path.name.startswith("groundtruth_rect")]
    if not found:
        raise DataError(f"{folder} has no groundtruth_rect.txt")
    used = [path for path in found if path.read_bytes().strip()]
    names = [folder.name]
    if len(used) != 1:
        names = [f"{folder.name}.{number}" for number in range(1, len(used) + 1)]
    return [_target(*pair, first_pixel) for pair in zip(names, used, strict=True)]


def _target(name: str, annotations: Path, first_pixel: int) -> Sequence:
    folder = annotations.parent / "img"
    first, last = RANGES.get(annotations.parent.name, (0, None))
    frames = between(numbered_frames(folder), first, last)
    boxes = Boxes(read_boxes(annotations).rows - (first_pixel, first_pixel, 0, 0))
    return sequence(name, folder, frames, annotations, boxes)
