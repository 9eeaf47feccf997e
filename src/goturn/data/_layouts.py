"""Writing videos and stills as data sets lie on disk, for programs that read them from there."""

from __future__ import annotations

from collections.abc import Sequence as Ordered
from pathlib import Path
from xml.etree import ElementTree

import cv2

from goturn.box import Box
from goturn.sequence import Image, Sequence
from goturn.still import Still
from torchcaffe.proto import replacing

CATEGORY = "01-Drawn"
QUALITY = 95


def write_alov(folder: Path, videos: Ordered[Sequence]) -> None:
    """``images/`` and ``gt/`` as ALOV300++ has them, in one category; pixels counted from 1."""
    for video in videos:
        images = folder / "images" / CATEGORY / video.name
        images.mkdir(parents=True, exist_ok=True)
        for frame in range(len(video)):
            _write_image(images / f"{frame + 1:08d}.jpg", video.image(frame))
        lines = [f"{frame} {_corners(box)}\n" for frame, box in enumerate(video.boxes, 1) if box]
        annotations = folder / "gt" / CATEGORY / f"{video.name}.ann"
        annotations.parent.mkdir(parents=True, exist_ok=True)
        _write(annotations, "".join(lines).encode())


def write_imagenet_det(folder: Path, stills: Ordered[Still], name: str = "drawn") -> None:
    """``images/`` and ``gt/`` as ImageNet DET has them, in one folder; whole pixels."""
    for part in ("images", "gt"):
        (folder / part / name).mkdir(parents=True, exist_ok=True)
    for number, still in enumerate(stills):
        file = f"still{number:05d}"
        _write_image(folder / "images" / name / f"{file}.JPEG", still.image())
        root = ElementTree.Element("annotation")
        _add(root, folder=name, filename=file)
        _add(ElementTree.SubElement(root, "size"), width=still.width, height=still.height)
        for box in still.boxes:
            corners = ElementTree.SubElement(ElementTree.SubElement(root, "object"), "bndbox")
            xmin, ymin, xmax, ymax = map(round, box.to_corners())
            _add(corners, xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax)
        _write(folder / "gt" / name / f"{file}.xml", ElementTree.tostring(root))


def _corners(box: Box) -> str:
    """The four corners, clockwise from the lower left."""
    x1, y1, x2, y2 = (value + 1 for value in box.to_corners())
    return " ".join(f"{value:g}" for value in (x1, y2, x1, y1, x2, y1, x2, y2))


def _add(element: ElementTree.Element, **texts: object) -> None:
    for tag, text in texts.items():
        ElementTree.SubElement(element, tag).text = str(text)


def _write_image(path: Path, image: Image) -> None:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    _write(path, data.tobytes())


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as file:
        file.write(data)
