"""WindowData: windows of images, foreground and background, as R-CNN samples them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np

from torchcaffe.data.feed import Setting, State, TransformedFeed, stream_at, stream_state
from torchcaffe.data.pictures import read_picture
from torchcaffe.data.transformer import Transformer
from torchcaffe.errors import InputError, ParseError
from torchcaffe.proto.files import read_bytes
from torchcaffe.proto.schema import WindowDataParameter
from torchcaffe.random import Mersenne

Array = np.ndarray[Any, np.dtype[Any]]
F = np.float32
N = TypeVar("N", int, float)


@dataclass(frozen=True)
class Window:
    """A labelled part of an image, corners included."""

    image: str
    label: int
    box: tuple[int, int, int, int]
    """x1, y1, x2, y2"""


@dataclass(frozen=True)
class Placed:
    """Which part of an image is warped to which size, and where in the crop that goes."""

    box: tuple[int, int, int, int]
    height: int
    width: int
    top: int
    left: int


class Windows(TransformedFeed):
    """Random windows warped to one size: first those of the background, then of the foreground.

    Of the transformer only crop_size, mirror and the mean are used; the scale is the layer's own.
    Caffe  src/caffe/layers/window_data_layer.cpp
    """

    def __init__(
        self, param: WindowDataParameter, setting: Setting, transformer: Transformer
    ) -> None:
        super().__init__(setting, transformer)
        self.param = param
        self.size = transformer.crop
        self.foreground, self.background = read_windows(param)
        for what, windows in (("fore", self.foreground), ("back", self.background)):
            if not windows:
                raise InputError(f"{param.source} has no {what}ground windows; it needs some")
        self.stream: Mersenne | None = None
        self.shapes = [(self.batch_size, 3, self.size, self.size), (self.batch_size,)]
        self.mean = self._crop_mean(transformer.mean)

    def _crop_mean(self, mean: Array | None) -> Array:
        """The mean for a crop: Caffe takes it at the offset of the columns for the rows too."""
        if mean is None:
            return np.zeros((1, 1, 1), np.float32)
        if mean.shape == (len(mean), 1, 1):
            if len(mean) not in (1, 3):
                raise InputError(f"there are {len(mean)} mean values for 3 channels; give 1 or 3")
            return mean
        offset = (mean.shape[2] - self.size) // 2
        part = mean[:, offset : offset + self.size, offset : offset + self.size]
        if offset < 0 or part.shape != (3, self.size, self.size):
            raise InputError(
                f"the mean is {'x'.join(map(str, mean.shape))}, too small for crop_size "
                f"{self.size} in 3 channels"
            )
        return part

    def draw(self, stream: Mersenne) -> None:
        """The seed of the stream that chooses windows."""
        self.stream = Mersenne(stream.word())

    def batch(self) -> tuple[Array, ...]:
        """See Feed."""
        assert self.stream is not None
        data = np.zeros(self.shapes[0], np.float32)
        labels = np.empty(self.batch_size, np.float32)
        foreground = int(F(self.batch_size) * F(self.param.fg_fraction))
        for place in range(self.batch_size):
            within = place >= self.batch_size - foreground
            windows = self.foreground if within else self.background
            window = windows[self.stream.word() % len(windows)]
            mirrored = self.transformer.mirror and bool(self.stream.word() % 2)
            self._put(window, mirrored, data[place])
            labels[place] = window.label
        return data, labels

    def _put(self, window: Window, mirrored: bool, out: Array) -> None:
        """Warp a window into ``out`` (3, size, size); what it does not reach stays 0."""
        image = read_picture(window.image).transpose(1, 2, 0)
        height, width = image.shape[:2]
        placed = Placed(window.box, self.size, self.size, 0, 0)
        if self.param.context_pad or self.param.crop_mode == "square":
            placed = self._in_context(window.box, height, width, mirrored)
        x1, y1, x2, y2 = placed.box
        inside = 0 <= x1 <= x2 < width and 0 <= y1 <= y2 < height
        if not inside or min(placed.height, placed.width) < 1:
            raise InputError(
                f"{self.param.source}: window {window.box} does not lie in {window.image}, which "
                f"is {height} high and {width} wide"
            )
        warped = cv2.resize(image[y1 : y2 + 1, x1 : x2 + 1], (placed.width, placed.height))
        warped = warped[:, ::-1] if mirrored else warped
        rows = slice(placed.top, placed.top + placed.height)
        columns = slice(placed.left, placed.left + placed.width)
        mean = self.mean if self.mean.shape[1] == 1 else self.mean[:, rows, columns]
        out[:, rows, columns] = (warped.transpose(2, 0, 1) - mean) * F(self.param.scale)

    def _in_context(
        self, box: tuple[int, int, int, int], height: int, width: int, mirrored: bool
    ) -> Placed:
        """The window with context around it, or made square; cut off where the image ends.

        All in float32, as Caffe computes it.
        """
        size = self.size
        grow = F(size) / F(size - 2 * self.param.context_pad)
        x1, y1, x2, y2 = box
        half_x, half_y = F(F(x2 - x1 + 1) / 2.0), F(F(y2 - y1 + 1) / 2.0)
        middle_x, middle_y = F(x1) + half_x, F(y1) + half_y
        if self.param.crop_mode == "square":
            half_x = half_y = max(half_x, half_y)
        x = _cut(middle_x, half_x * grow, width, size)
        y = _cut(middle_y, half_y * grow, height, size)
        left = x.after if mirrored else x.before
        return Placed(
            (x.first, y.first, x.last, y.last),
            height=min(y.length, size - y.before),
            width=min(x.length, size - left),
            top=y.before,
            left=left,
        )

    def state(self) -> State:
        """See Feed."""
        return super().state() | {"windows": stream_state(self.stream)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See Feed."""
        super().restore(state)
        self.stream = stream_at(state["windows"])


@dataclass(frozen=True)
class Cut:
    """A stretch along one axis: its first and last pixel in the image, and in the crop its length
    and the empty pixels before and after it."""

    first: int
    last: int
    length: int
    before: int
    after: int


def _cut(middle: F, half: F, extent: int, size: int) -> Cut:
    first, last = _round(middle - half), _round(middle + half)
    scale = F(size) / F(last - first + 1)
    before, after = max(0, -first), max(0, last - extent + 1)
    first, last = first + before, last - after
    return Cut(
        first,
        last,
        _round(F(last - first + 1) * scale),
        _round(F(before) * scale),
        _round(F(after) * scale),
    )


def _round(value: F) -> int:
    """To the nearest whole number, halves away from 0, as C's round."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), value))


def read_windows(param: WindowDataParameter) -> tuple[list[Window], list[Window]]:
    """The foreground and background windows of a window file.

    For each image it has: # index, path, channels, height, width, how many windows, and for each
    window class, overlap, x1, y1, x2, y2. Raises ParseError where it does not.
    """
    text = read_bytes(param.source, "a window file").decode(errors="surrogateescape")
    reader = _Reader(param.source, text)
    foreground: list[Window] = []
    background: list[Window] = []
    images: list[str] = []
    found: list[tuple[int, int, float, tuple[int, int, int, int]]] = []
    while reader.more():
        reader.expect("#")
        index = reader.whole("an image's number")
        images.append(param.root_folder + reader.word("an image's path"))
        channels = reader.whole("channels")
        if channels != 3:
            raise reader.error(f"{channels} channels: Caffe reads images in colour; write 3")
        reader.whole("height"), reader.whole("width")
        for _ in range(reader.whole("the number of windows")):
            label, overlap = reader.whole("a class"), reader.number("an overlap")
            x1, y1, x2, y2 = (reader.whole(name) for name in ("x1", "y1", "x2", "y2"))
            found.append((index, label, overlap, (x1, y1, x2, y2)))
    if not images:
        raise InputError(f"{param.source} is empty; it must list windows")
    for index, label, overlap, box in found:
        if not 0 <= index < len(images):
            raise InputError(
                f"{param.source} has windows of image # {index}, and {len(images)} images; number "
                f"them from 0 in order"
            )
        if F(overlap) >= F(param.fg_threshold):
            if label <= 0:
                raise InputError(
                    f"{param.source}: window {box} of image # {index} overlaps by {overlap:g}, so "
                    f"its class must be above 0, got {label}"
                )
            foreground.append(Window(images[index], label, box))
        elif F(overlap) < F(param.bg_threshold):
            background.append(Window(images[index], 0, box))
    return foreground, background


class _Reader:
    """The words of a window file, one after the other."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.words = [
            (number, word)
            for number, line in enumerate(text.splitlines(), 1)
            for word in line.split()
        ]
        self.place = 0

    def more(self) -> bool:
        return self.place < len(self.words)

    def word(self, what: str) -> str:
        if not self.more():
            raise self.error(f"{what} was expected, and the file ends")
        self.place += 1
        return self.words[self.place - 1][1]

    def expect(self, what: str) -> None:
        found = self.word(f'"{what}"')
        if found != what:
            raise self.error(f'"{what}" was expected, got "{found}"')

    def whole(self, what: str) -> int:
        return self._parsed(int, what)

    def number(self, what: str) -> float:
        return self._parsed(float, what)

    def _parsed(self, kind: type[N], what: str) -> N:
        found = self.word(what)
        try:
            return kind(found)
        except ValueError:
            raise self.error(f'{what} was expected, got "{found}"') from None

    def error(self, words: str) -> ParseError:
        line = self.words[self.place - 1][0] if self.place else 1
        return ParseError(f"{self.path}:{line}: {words}")
