"""ImageNet DET: stills with the boxes of the objects in them.

``<annotations>/<folder>/*.xml`` and ``<images>/<folder>/<filename>.JPEG``, where folder and
filename of the image are those that the annotation names.
"""

from __future__ import annotations

from collections import Counter
from os import PathLike
from pathlib import Path
from xml.etree import ElementTree

from goturn.box import Box
from goturn.data._files import files, passing_over, subfolders
from goturn.errors import DataError
from goturn.still import Still

LARGEST = 0.66
"""Boxes that fill more of the image, along either axis, leave no room to move in."""


def read(
    images: str | PathLike[str],
    annotations: str | PathLike[str],
    *,
    bad: Counter[str] | None = None,
) -> list[Still]:
    """The stills that have a box left, folder by folder.

    As in the original, boxes are left out that are too large, have negative coordinates, or no
    extent. ``bad`` passes over annotations that cannot be used, and counts them; otherwise they are
    a DataError, as are folders that are not there.
    """
    found = []
    for folder in subfolders(Path(annotations)):
        for path in files(folder, ".xml"):
            with passing_over(bad):
                still = _still(path, Path(images))
                if still.boxes:
                    found.append(still)
    return found


def _still(path: Path, images: Path) -> Still:
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        line = error.position[0]
        raise DataError(f"{path}:{line}: not well-formed XML ({error})") from None
    width, height = (_integer(path, root, f"size/{side}") for side in ("width", "height"))
    if width < 1 or height < 1:
        raise DataError(f"{path}: the image's size is {width} x {height}")
    objects = root.findall("object")
    boxes = [_box(path, entry) for entry in objects]
    image = images / _text(path, root, "folder") / f"{_text(path, root, 'filename')}.JPEG"
    return Still(image, [box for box in boxes if _is_used(box, width, height)], width, height)


def _box(path: Path, entry: ElementTree.Element) -> Box:
    names = ("xmin", "ymin", "xmax", "ymax")
    return Box(*(float(_integer(path, entry, f"bndbox/{name}")) for name in names))


def _is_used(box: Box, width: int, height: int) -> bool:
    fits = box.width <= LARGEST * width and box.height <= LARGEST * height
    return fits and box.x1 >= 0 and box.y1 >= 0 and box.width > 0 and box.height > 0


def _text(path: Path, element: ElementTree.Element, name: str) -> str:
    text = element.findtext(name)
    if text is None or not text.strip():
        raise DataError(f"{path}: <{element.tag}> has no <{name.replace('/', '><')}>")
    return text.strip()


def _integer(path: Path, element: ElementTree.Element, name: str) -> int:
    text = _text(path, element, name)
    try:
        return int(text)
    except ValueError:
        raise DataError(
            f"{path}: <{name.replace('/', '><')}> is not a whole number: {text}"
        ) from None
