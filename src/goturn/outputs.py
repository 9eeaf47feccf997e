"""What tracking leaves: boxes as a table, a video, a contact sheet.

Each takes steps as they come, and writes when it is closed, so that whatever was tracked until
then is kept. A file appears under its name when it is whole.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import cv2

from goturn.box import Box
from goturn.draw import Tile, annotate, fit, sheet, shrink
from goturn.errors import DataError
from goturn.sequence import Image
from goturn.sources import quiet_opencv
from goturn.track import Step
from torchcaffe.proto import replacing

NOWHERE = Box(math.nan, math.nan, math.nan, math.nan)


class Output(Protocol):
    """Takes steps, then is closed; without a step it writes nothing."""

    def add(self, step: Step) -> None:
        """Take the next step."""

    def close(self) -> list[Path]:
        """Write; the files that there are now."""


class BoxFile:
    """Every box, as the file's ending says.

    ``.csv``
        a line for each frame and object: ``frame,name,object,x,y,width,height,ok``. Frames count
        from 0, objects from 1; ok is 1, or 0 where the object left the image.
    ``.json``
        ``source``, ``names`` of the frames, and for each of the ``objects`` its ``boxes`` and
        ``ok``, one entry a frame; null before an object was pointed out.
    ``.txt``
        ``x,y,width,height``, one line a frame, as tracking benchmarks read them; ``nan`` four times
        before an object was pointed out. Of several objects, each has its file: ``name.1.txt``,
        ``name.2.txt``, ...

    x and y are the top left corner, in pixels from the image's top left, which is 0. Corners that
    have changed places are put in order, as the original does when it writes.
    """

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self.source = source
        self.steps: list[tuple[str, list[Box], list[bool]]] = []
        self._write = by_ending(
            path, {".csv": self._csv, ".json": self._json, ".txt": self._txt}, "--boxes"
        )
        _check_folder(path)

    def add(self, step: Step) -> None:
        """Take the next step's boxes."""
        self.steps.append((step.name, list(step.boxes), list(step.ok)))

    def close(self) -> list[Path]:
        """Write what was taken."""
        return self._write() if self.steps else []

    def _csv(self) -> list[Path]:
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(["frame", "name", "object", "x", "y", "width", "height", "ok"])
        for frame, (name, boxes, oks) in enumerate(self.steps):
            for number, (box, ok) in enumerate(zip(boxes, oks, strict=True), 1):
                values = [f"{value:.4f}" for value in box.ordered().to_xywh()]
                lines.writerow([frame, name, number, *values, int(ok)])
        return self._put(self.path, text.getvalue())

    def _json(self) -> list[Path]:
        found = [[_finite(box) for box in boxes] for _, boxes, _ in self.steps]
        oks = [oks for _, _, oks in self.steps]
        objects = [
            {"boxes": _column(found, index), "ok": _column(oks, index)}
            for index in range(max(map(len, found)))
        ]
        names = [name for name, _, _ in self.steps]
        content = {"source": self.source, "names": names, "objects": objects}
        return self._put(self.path, json.dumps(content, indent=1) + "\n")

    def _txt(self) -> list[Path]:
        count = max(len(boxes) for _, boxes, _ in self.steps)
        paths = []
        for index in range(count):
            each = _column([boxes for _, boxes, _ in self.steps], index)
            lines = [_line(box or NOWHERE) for box in each]
            path = self.path if count == 1 else self.path.with_suffix(f".{index + 1}.txt")
            paths += self._put(path, "".join(lines))
        return paths

    @staticmethod
    def _put(path: Path, text: str) -> list[Path]:
        with replacing(path) as file:
            file.write(text.encode())
        return [path]


def _column(rows: list[list[Any]], index: int) -> list[Any]:
    """Entry ``index`` of every row, None where it has none."""
    return [row[index] if index < len(row) else None for row in rows]


def _finite(box: Box) -> list[float] | None:
    """A box for JSON, which has no NaN."""
    return list(box.ordered().to_xywh()) if box.is_finite else None


def _line(box: Box) -> str:
    return ",".join(f"{value:.4f}" for value in box.ordered().to_xywh()) + "\n"


CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
"""By a video's ending. mp4v (MPEG-4 part 2) plays in desktop players; browsers play .webm."""


class VideoFile:
    """The frames with the boxes on them, as a video.

    Every frame has the size of the first; one of another size is fitted in, with black bars.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path = path
        self.fps = fps
        self.codec = by_ending(path, CODECS, "--video")
        _check_folder(path)
        self._temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
        self._writer: Any = None
        self._size = (0, 0)

    def add(self, step: Step) -> None:
        """Draw and write a frame."""
        picture = annotate(step.image, step.boxes, ok=step.ok)
        if self._writer is None:
            self._size = (picture.shape[1], picture.shape[0])
            self._writer = self._open()
        self._writer.write(fit(picture, *self._size))

    def _open(self) -> Any:
        with quiet_opencv():
            code = cv2.VideoWriter.fourcc(*self.codec)
            writer = cv2.VideoWriter(str(self._temporary), code, self.fps, self._size)
        if not writer.isOpened():
            self._temporary.unlink(missing_ok=True)
            raise DataError(
                f"{self.path} cannot be written: this OpenCV has no {self.codec} encoder for it; "
                f"try another ending of {', '.join(CODECS)}"
            )
        return writer

    def close(self) -> list[Path]:
        """End the video and give it its name."""
        if self._writer is None:
            return []
        self._writer.release()
        self._writer = None
        try:
            self._temporary.replace(self.path)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DataError(f"{self.path} cannot be written ({reason}).") from None
        finally:
            self._temporary.unlink(missing_ok=True)
        return [self.path]


class Sheet:
    """A contact sheet: evenly spaced frames up to the last one, ``most`` and one at the most.

    How many frames come need not be known: when there are too many, every second is forgotten.
    """

    WIDTH = 320

    def __init__(self, path: Path, source: str, most: int = 16) -> None:
        self.path = path
        self.source = source
        self.most = most
        if not cv2.haveImageWriter(str(path)):
            raise DataError(f'--sheet takes an image such as sheet.png, got "{path}"')
        _check_folder(path)
        self._tiles: list[Tile] = []
        self._every = 1
        self._last: Step | None = None

    def add(self, step: Step) -> None:
        """Keep the step, if it is one of those that the sheet may show."""
        self._last = step
        if step.number % self._every:
            return
        self._tiles.append(self._tile(step))
        if len(self._tiles) > self.most:
            self._tiles = self._tiles[::2]
            self._every *= 2

    def _tile(self, step: Step) -> Tile:
        image, boxes = shrink(step.image, step.boxes, self.WIDTH)
        return Tile(annotate(image, boxes, ok=step.ok), step.name)

    def close(self) -> list[Path]:
        """Draw the sheet."""
        if self._last is None:
            return []
        beyond = self._last.number % self._every
        if 0 < beyond < self._every / 2:
            self._tiles.pop()
        if beyond:
            self._tiles.append(self._tile(self._last))
        title = f"{Path(self.source).name}: {self._last.number + 1} frames"
        write_image(self.path, sheet(self._tiles, title=title, width=self.WIDTH))
        return [self.path]


def write_image(path: Path, image: Image) -> None:
    """Write an image, encoded as its name's ending says."""
    done, data = cv2.imencode(path.suffix, image)
    assert done
    with replacing(path) as file:
        file.write(data.tobytes())


def by_ending(path: Path, choices: Mapping[str, Any], option: str) -> Any:
    """What the path's ending chooses; DataError if there is no such choice."""
    choice = choices.get(path.suffix.lower())
    if choice is None:
        raise DataError(f'{option} takes a file that ends in {", ".join(choices)}, got "{path}"')
    return choice


def _check_folder(path: Path) -> None:
    """DataError at once, rather than when all the work is done."""
    if not path.absolute().parent.is_dir():
        raise DataError(f"{path} cannot be written: there is no folder {path.parent}")
