"""Where frames come from: a video, a folder of images, a pattern, a stream or a camera."""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from goturn.errors import DataError
from goturn.sequence import Image, read_image

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""The endings of image files, in any case."""

KINDS = 'a video, a folder of images, a pattern such as "images/*.jpg", or a camera\'s number'


class Frame(NamedTuple):
    """A frame, and what it is called: its file, or its number in the video."""

    name: str
    image: Image


@dataclass(frozen=True)
class Source:
    """Frames in order. Iterating reads them, each when its turn comes.

    A frame that cannot be read is a DataError when its turn comes. A video that ends before the
    number of frames that it announces ends with a warning: it may be broken there, or have been
    miscounted.
    """

    name: str
    count: int | None
    """How many frames there are, if that is known; a video only announces it."""
    fps: float | None
    """Frames per second, if there is a speed to them."""
    read: Callable[[], Iterator[Frame]]

    def __iter__(self) -> Iterator[Frame]:
        return self.read()


def open_source(text: str) -> Source:
    """The frames that a text means; DataError, which says what was expected, if it means none.

    text
        a video file, a folder of images, a pattern with ``*``, ``?`` or ``[``, the address of a
        stream, or the number of a camera, 0 for the first. Images come in the order of their
        names, in which 2 is before 10.
    """
    path = Path(text)
    if path.is_dir():
        files = [file for file in path.iterdir() if file.suffix.lower() in IMAGES]
        return _images(text, files, f"with one of the endings {', '.join(IMAGES)}")
    if path.is_file():
        if path.suffix.lower() in IMAGES:
            raise DataError(f"{text} is a single image; give its folder, or {KINDS}")
        return _video(text)
    if text.isdecimal():
        return _camera(int(text))
    if "://" in text:
        return _stream(text)
    if glob.has_magic(text):
        found = glob.glob(text, recursive=True)  # noqa: PTH207, for pathlib takes no absolute ones
        return _images(text, [Path(file) for file in found], "of that pattern")
    raise DataError(f"{text} does not exist; {KINDS} was expected")


def natural_order(name: str) -> list[tuple[int, str]]:
    """A key under which the numbers in names come in their own order: 2 before 10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _images(name: str, files: list[Path], which: str) -> Source:
    if not files:
        raise DataError(f"{name} has no images {which}")
    ordered = sorted(files, key=lambda file: natural_order(str(file)))

    def read() -> Iterator[Frame]:
        for file in ordered:
            yield Frame(file.name, read_image(file))

    return Source(name, len(ordered), None, read)


def _video(path: str) -> Source:
    video = _open(path)
    if not video.isOpened():
        raise DataError(f"{path} is not a video that OpenCV can read; {KINDS} was expected")
    announced = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    fps = _speed(video)
    video.release()

    def read() -> Iterator[Frame]:
        count = 0
        for frame in _frames(_open(path)):
            count += 1
            yield frame
        if count < announced:
            warnings.warn(
                f"{path} ends after {count} of the {announced} frames that it announces; it may "
                f"be damaged or cut off",
                stacklevel=2,
            )

    return Source(path, announced if announced > 0 else None, fps, read)


def _stream(address: str) -> Source:
    video = _open(address)
    if not video.isOpened():
        raise DataError(f"{address} does not answer with a video that OpenCV can read")
    return Source(address, None, _speed(video), lambda: _frames(video))


def _camera(number: int) -> Source:
    video = _open(number)
    if not video.isOpened():
        raise DataError(f"camera {number} cannot be opened; is it there, and free?")
    return Source(f"camera {number}", None, _speed(video), lambda: _frames(video))


def _open(what: str | int) -> Any:
    with quiet_opencv():
        return cv2.VideoCapture(what)


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Without what OpenCV and FFmpeg print on standard error: our own words say what is wrong."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _speed(video: Any) -> float | None:
    fps = float(video.get(cv2.CAP_PROP_FPS))
    return fps if 0 < fps < 1000 else None


def _frames(video: Any) -> Iterator[Frame]:
    try:
        number = 0
        while True:
            there, image = video.read()
            if not there:
                return
            yield Frame(str(number), np.asarray(image, np.uint8))
            number += 1
    finally:
        video.release()
