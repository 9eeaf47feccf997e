"""Pictures for people: boxes on frames, sheets of frames. Images are (H, W, 3) uint8, BGR."""

from __future__ import annotations

import math
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from goturn.box import Box
from goturn.sequence import Image

Colour = tuple[int, int, int]
"""Blue, green, red."""

Mask = np.ndarray[Any, np.dtype[np.float32]]
"""(H, W), how much of each pixel is covered, 0 to 1."""

COLOURS: tuple[Colour, ...] = (
    (60, 180, 255),
    (235, 180, 60),
    (110, 205, 80),
    (150, 110, 240),
    (60, 230, 240),
    (225, 120, 200),
    (200, 215, 120),
    (90, 130, 245),
)
"""Of the objects in their order; after the last, the first again."""

TRUTH: Colour = (255, 255, 255)
DARK: Colour = (32, 28, 26)
PAPER: Colour = (248, 248, 248)
INK: Colour = (60, 56, 52)

FONT = cv2.FONT_HERSHEY_SIMPLEX
FINER = 4
"""Text is drawn so many times as large and made smaller, because OpenCV's own is jagged."""


@dataclass(frozen=True)
class Tile:
    """A picture of a sheet, and the words beneath it."""

    image: Image
    caption: str = ""


def colour_of(index: int) -> Colour:
    """The colour of object ``index``, 0 for the first."""
    return COLOURS[index % len(COLOURS)]


def annotate(
    image: Image,
    boxes: Ordered[Box | None],
    *,
    ok: Ordered[bool] | None = None,
    truth: Ordered[Box | None] = (),
    labels: Ordered[str] | None = None,
) -> Image:
    """A copy with a box for each object in its own colour; None draws none.

    ok
        False for an object that left the image: its box is dashed, and its label says "lost"
    truth
        where the objects really are: thin white boxes
    labels
        of the objects; by default their numbers, from 1, if there are several
    """
    canvas = image.copy()
    names = labels or [str(i + 1) if len(boxes) > 1 else "" for i in range(len(boxes))]
    for index, (box, name) in enumerate(zip(boxes, names, strict=True)):
        if box is None:
            continue
        here = ok is None or ok[index]
        text = name if here else f"{name} lost".strip()
        draw_box(canvas, box, colour_of(index), label=text, dashed=not here)
    for box in truth:
        if box is not None:
            draw_box(canvas, box, TRUTH, width=1)
    return canvas


def line_width(image: Image) -> int:
    """Lines that are seen on an image of this size: 2 pixels on most, 3 on 1920 x 1080."""
    side = _short_side(image)
    return 1 if side < 160 else max(2, round(side / 400))


def _short_side(image: Image) -> int:
    return int(min(image.shape[:2]))


def draw_box(
    image: Image,
    box: Box,
    colour: Colour,
    *,
    label: str = "",
    dashed: bool = False,
    width: int | None = None,
) -> None:
    """Draw a box into ``image``, and its label; wide lines have dark edges, for bright pictures."""
    if not all(map(math.isfinite, box.to_corners())):
        return
    width = width or line_width(image)
    left, right = sorted((_pixel(box.x1), _pixel(box.x2)))
    top, bottom = sorted((_pixel(box.y1), _pixel(box.y2)))
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    strokes = [(DARK, width + 2), (colour, width)] if width > 1 else [(colour, width)]
    for shade, line in strokes:
        for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
            _line(image, start, end, shade, line, width * 5 if dashed else 0)
    if label:
        _tag(image, label, left, top, colour)


def _pixel(value: float) -> int:
    """A coordinate as OpenCV draws it; far outside, as far as it can."""
    return round(max(-1e6, min(1e6, value)))


def _line(
    image: Image,
    start: tuple[int, int],
    end: tuple[int, int],
    colour: Colour,
    width: int,
    dash: int,
) -> None:
    if not dash:
        cv2.line(image, start, end, colour, width, cv2.LINE_AA)
        return
    frame = (0, 0, image.shape[1], image.shape[0])
    inside, first, last = cv2.clipLine(frame, start, end)
    length = math.dist(first, last)
    for at in np.arange(0, length, 2 * dash) if inside else ():
        ends = [min(1.0, t / length) for t in (at, at + dash)]
        a, b = (
            [round(p + (q - p) * part) for p, q in zip(first, last, strict=True)] for part in ends
        )
        cv2.line(image, a, b, colour, width, cv2.LINE_AA)


def _tag(image: Image, text: str, left: int, top: int, colour: Colour) -> None:
    """A label above a box's corner, or as near to it as the image allows."""
    size = text_size(image)
    mask = text_mask(text, size)
    pad = max(2, size // 4)
    height, width = mask.shape[0] + 2 * pad, mask.shape[1] + 2 * pad
    x = min(max(0, left), max(0, image.shape[1] - width))
    y = min(max(0, top - height), max(0, image.shape[0] - height))
    cv2.rectangle(image, (x, y), (x + width - 1, y + height - 1), colour, cv2.FILLED)
    _blend(image, mask, x + pad, y + pad, DARK)


def text_size(image: Image) -> int:
    """The height of capitals that are read on an image of this size, in pixels."""
    return max(9, round(_short_side(image) / 36))


def text_mask(text: str, size: int) -> Mask:
    """The text's cover of each pixel, 0 to 1: ``size`` is the height of its capitals."""
    scale = size * FINER / 21.0  # OpenCV's capitals are 21 pixels high at scale 1
    stroke = max(1, round(size * FINER / 8))
    (width, height), below = cv2.getTextSize(text, FONT, scale, stroke)
    large = np.zeros((height + below + stroke, width + stroke), np.uint8)
    cv2.putText(large, text, (stroke // 2, height + stroke // 2), FONT, scale, 255, stroke)
    shape = (max(1, large.shape[1] // FINER), max(1, large.shape[0] // FINER))
    small = cv2.resize(large, shape, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)


def draw_text(image: Image, text: str, x: int, y: int, size: int, colour: Colour = INK) -> None:
    """Write into ``image``; (x, y) is the text's top left. What does not fit is cut off."""
    if text:
        _blend(image, text_mask(text, size), x, y, colour)


def _blend(
    image: Image,
    mask: Mask,
    x: int,
    y: int,
    colour: Colour,
) -> None:
    part = image[y : y + mask.shape[0], x : x + mask.shape[1]]
    cover = mask[: part.shape[0], : part.shape[1], None]
    ink = np.array(colour, np.float32)
    part[:] = np.rint(part * (1 - cover) + ink * cover).astype(np.uint8)


def fit(image: Image, width: int, height: int, colour: Colour = (0, 0, 0)) -> Image:
    """The whole image in (height, width, 3), as large as it goes, with bars where it is short."""
    if image.shape[:2] == (height, width):
        return image
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = (
        max(1, min(width, round(image.shape[1] * scale))),
        max(1, min(height, round(image.shape[0] * scale))),
    )
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.full((height, width, 3), colour, np.uint8)
    x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas[y : y + inner[1], x : x + inner[0]] = cv2.resize(image, inner, interpolation=method)
    return canvas


def shrink(image: Image, boxes: Ordered[Box], width: int) -> tuple[Image, list[Box]]:
    """The image at a width, and the boxes with it: lines drawn then are not made thinner."""
    height = max(1, round(width * image.shape[0] / image.shape[1]))
    x, y = width / image.shape[1], height / image.shape[0]
    scaled = [Box(box.x1 * x, box.y1 * y, box.x2 * x, box.y2 * y) for box in boxes]
    return fit(image, width, height), scaled


def sheet(
    tiles: Ordered[Tile], *, title: str = "", columns: int | None = None, width: int = 320
) -> Image:
    """The tiles in rows on one page, each ``width`` wide and as high as the first one asks."""
    if not tiles:
        raise ValueError("a sheet needs at least one tile")
    columns = min(len(tiles), columns or _columns(tiles))
    first = tiles[0].image
    height = max(1, round(width * first.shape[0] / first.shape[1]))
    gap, size = 12, 11
    below = 2 * size if any(tile.caption for tile in tiles) else 0
    head = 4 * size if title else gap
    rows = math.ceil(len(tiles) / columns)
    page = np.full(
        (head + rows * (height + below + gap), gap + columns * (width + gap), 3), PAPER, np.uint8
    )
    draw_text(page, title, gap, size + 4, 15)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        x, y = gap + column * (width + gap), head + row * (height + below + gap)
        page[y : y + height, x : x + width] = fit(tile.image, width, height, PAPER)
        draw_text(page[:, : x + width], tile.caption, x, y + height + size // 2, size)
    return page


def _columns(tiles: Ordered[Tile]) -> int:
    """So many that the page is a little wider than high, and its last row as full as can be."""
    height, width = tiles[0].image.shape[:2]
    best = math.sqrt(len(tiles) * 1.4 * height / width)
    near = range(max(1, math.ceil(best) - 1), math.ceil(best) + 2)
    return min(near, key=lambda columns: (-len(tiles) % columns, abs(columns - best)))
