"""Data drawn by a program: videos of one moving object, and stills, the same for the same seed.

There is no folder to read: it serves training and measuring where there is no data set. What is
drawn has the statistics that a tracker's training depends on: videos of very unequal lengths, and
stills with one large object beside stills crowded with small ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from goturn.box import Box
from goturn.sequence import Image, Sequence
from goturn.still import Still

Floats = np.ndarray[Any, np.dtype[Any]]

SHAPES = ("ellipse", "rectangle", "polygon", "blob")
TEXTURES = ("clouds", "stripes", "checks", "spots")
UNSEEN_SHAPES = ("star", "ring")
"""Shapes that are drawn only where they are asked for, so that a tracker can be new to them."""

SPRITE = 96
"""Pixels of an object's picture along each side, before it is set into a frame."""

SHORTEST, LONGEST = 4, 120
"""Frames of a video; there are about as many between 4 and 8 as between 60 and 120."""


@dataclass(frozen=True)
class Look:
    """What an object looks like: ``colour`` (S, S, 3) from 0 to 255, ``alpha`` (S, S) 0 to 1."""

    colour: Floats
    alpha: Floats


@dataclass(frozen=True)
class Track:
    """Where an object is, frame by frame: its centre, half its extents in pixels, its angle."""

    x: Floats
    y: Floats
    half_width: Floats
    half_height: Floats
    angle: Floats


@dataclass(frozen=True)
class Scene:
    """A video before it is drawn: a background that moves, objects of which the first is followed.

    ``light`` is what each frame's brightness is multiplied by.
    """

    width: int
    height: int
    background: Floats
    view: Ordered[tuple[float, float]]
    objects: Ordered[tuple[Look, Track]]
    light: Floats

    def draw(self, frame: int, objects: int | None = None) -> tuple[Image, Box]:
        """A frame and the box of its first object; ``objects`` draws only so many, or none.

        The first object is drawn last, above all others. Its box is the smallest around the pixels
        that it covers by half or more.
        """
        x, y = self.view[frame]
        window = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
        size = (self.width, self.height)
        canvas = cv2.warpAffine(self.background, window, size, flags=cv2.INTER_LINEAR)
        box = Box(0, 0, 0, 0)
        for look, track in reversed(self.objects[:objects]):
            box = _set_into(canvas, look, track, frame)
        picture = np.clip(canvas * self.light[frame], 0, 255).astype(np.uint8)
        return picture, box


def videos(
    count: int,
    seed: int,
    *,
    width: int = 160,
    height: int = 120,
    frames: tuple[int, int] = (SHORTEST, LONGEST),
    shapes: Ordered[str] = SHAPES,
) -> list[Sequence]:
    """``count`` videos of one object each, every frame with its box, the images in memory.

    frames    the smallest and largest number of frames; short videos are more frequent
    shapes    of SHAPES and UNSEEN_SHAPES, what the followed objects may be
    """
    made = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        low, high = np.log(frames[0]), np.log(frames[1] + 1)
        length = int(np.exp(rng.uniform(low, high)))
        film = scene(rng, length, width=width, height=height, shapes=shapes)
        drawn = [film.draw(frame) for frame in range(length)]
        images, boxes = [image for image, _ in drawn], [box for _, box in drawn]
        made.append(Sequence(f"video{number:04d}", images, boxes))
    return made


def stills(count: int, seed: int, *, width: int = 160, height: int = 120) -> list[Still]:
    """``count`` stills, in turn one with a single large object and one crowded with small ones."""
    return [
        _still(np.random.default_rng([seed, number, 1]), number % 2 == 1, width, height)
        for number in range(count)
    ]


def scene(
    rng: np.random.Generator,
    length: int,
    *,
    width: int = 160,
    height: int = 120,
    shapes: Ordered[str] = SHAPES,
    distractors: int | None = None,
) -> Scene:
    """A scene of ``length`` frames, with up to three distractors unless their number is given.

    One distractor in two has the followed object's shape and colours.
    """
    margin = 40
    background = texture(rng, height + 2 * margin, width + 2 * margin, coarse=True)
    drift = [margin + _walk(rng, length, 1.2, margin * 0.9) for _ in range(2)]
    shape = str(rng.choice(list(shapes)))
    look = _look(rng, shape)
    objects = [(look, _track(rng, length, width, height, rng.uniform(9, 26)))]
    for _ in range(int(rng.integers(4)) if distractors is None else distractors):
        other = look if rng.random() < 0.5 else _look(rng, str(rng.choice(list(SHAPES))))
        objects.append((other, _track(rng, length, width, height, rng.uniform(7, 20))))
    light = np.exp(_walk(rng, length, 0.02, 0.25))
    view = list(zip(drift[0].tolist(), drift[1].tolist(), strict=True))
    return Scene(width, height, background, view, objects, light.astype(np.float32))


def texture(rng: np.random.Generator, height: int, width: int, *, coarse: bool = False) -> Floats:
    """A picture (height, width, 3) of one of TEXTURES in two colours, from 0 to 255."""
    kind = rng.choice(list(TEXTURES))
    period = rng.uniform(16, 40) if coarse else rng.uniform(8, 30)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.uniform(0, math.pi)
    along = columns * math.cos(angle) + rows * math.sin(angle)
    across = rows * math.cos(angle) - columns * math.sin(angle)
    turn = 2 * math.pi / period
    if kind == "stripes":
        pattern = np.sin(along * turn)
    elif kind == "checks":
        pattern = np.sign(np.sin(along * turn) * np.sin(across * turn))
    elif kind == "spots":
        pattern = np.cos(along * turn) + np.cos(across * turn) - 0.6
    else:
        pattern = 2 * _clouds(rng, height, width, period / 2)
    pattern = 0.7 * np.clip(pattern, -1, 1) + 0.5 * _clouds(rng, height, width, 3)
    first, second = rng.uniform(0, 255, (2, 3))
    mixed = (first + second) / 2 + (first - second) / 2 * pattern[..., None]
    return np.asarray(np.clip(mixed, 0, 255), np.float32)


def _clouds(rng: np.random.Generator, height: int, width: int, grain: float) -> Floats:
    """Smooth noise of mean 0 and deviation 0.5, its hills about ``grain`` pixels apart."""
    size = (max(2, int(width / grain)), max(2, int(height / grain)))
    noise = rng.standard_normal((size[1], size[0])).astype(np.float32) / 2
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _look(rng: np.random.Generator, shape: str) -> Look:
    """An object's picture; its outline is a little darker than the rest."""
    mask = np.zeros((SPRITE, SPRITE), np.uint8)
    cv2.fillPoly(mask, [_outline(rng, shape)], 255, cv2.LINE_AA)
    if shape == "ring":
        cv2.circle(mask, (SPRITE // 2, SPRITE // 2), SPRITE // 5, 0, -1, cv2.LINE_AA)
    alpha = mask.astype(np.float32) / 255
    edge = cv2.GaussianBlur(alpha, (0, 0), 4)
    colour = texture(rng, SPRITE, SPRITE) * (0.4 + 0.6 * edge[..., None])
    return Look(colour.astype(np.float32), alpha)


def _outline(rng: np.random.Generator, shape: str) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Corners (N, 2) of a shape that fills a sprite but for a border."""
    if shape == "rectangle":
        points = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    else:
        corners = {"polygon": int(rng.integers(3, 7)), "star": 10}.get(shape, 48)
        angles = np.arange(corners) * 2 * math.pi / corners
        radius = np.ones(corners)
        if shape == "star":
            radius[1::2] = 0.45
        if shape == "blob":
            waves, phase = rng.integers(2, 5), rng.uniform(0, 6)
            radius += 0.25 * np.sin(waves * angles + phase)
        points = np.stack([radius * np.cos(angles), radius * np.sin(angles)], 1)
    points = points / np.abs(points).max()
    return np.asarray(np.rint((points * 0.44 + 0.5) * SPRITE), np.int32)


def _walk(rng: np.random.Generator, length: int, step: float, reach: float) -> Floats:
    """A smooth walk that begins at 0, steps about ``step`` a frame, and stays within ``reach``."""
    place, speed, places = 0.0, float(rng.normal(0, step)), []
    for push in rng.normal(0, step, length):
        places.append(place)
        speed = 0.85 * speed + 0.5 * float(push)
        place += speed
        if abs(place) > reach:
            place, speed = math.copysign(reach, place), -speed / 2
    return np.array(places, np.float32)


def _track(rng: np.random.Generator, length: int, width: int, height: int, half: float) -> Track:
    """A way through the frame for an object of about ``2 * half`` pixels."""
    ratio = math.exp(rng.uniform(-0.4, 0.4))
    growth = np.exp(_walk(rng, length, 0.02, 0.5))
    half_width, half_height = half * ratio * growth, half / ratio * growth
    ways = []
    for extent in (width, height):
        start = rng.uniform(0.25, 0.75) * extent
        way = start + _walk(rng, length, 0.12 * half, 0.6 * extent)
        ways.append(np.clip(way, 0.12 * extent, 0.88 * extent))
    angle = rng.uniform(-0.5, 0.5) + _walk(rng, length, 0.03, 0.8)
    return Track(*(np.asarray(v, np.float32) for v in (*ways, half_width, half_height, angle)))


def _set_into(canvas: Floats, look: Look, track: Track, frame: int) -> Box:
    """Draw an object as it is in a frame; the box of what is to be seen of it."""
    cos, sin = math.cos(track.angle[frame]), math.sin(track.angle[frame])
    scale_x = track.half_width[frame] / (0.44 * SPRITE)
    scale_y = track.half_height[frame] / (0.44 * SPRITE)
    linear = np.array([[cos * scale_x, -sin * scale_y], [sin * scale_x, cos * scale_y]])
    center = np.array([track.x[frame], track.y[frame]])
    reach = int(math.hypot(track.half_width[frame], track.half_height[frame]) * 1.2) + 2
    left, top = (int(v) - reach for v in center)
    move = center - [left, top] - linear @ np.full(2, SPRITE / 2)
    matrix = np.column_stack([linear, move]).astype(np.float32)
    side = (2 * reach, 2 * reach)
    # Where a sprite shrinks to less than half, its pixels are averaged first.
    shrink = 1 / max(float(scale_x), float(scale_y), 0.05)
    blur = 0.3 * max(0.0, shrink - 1)
    colour, alpha = look.colour, look.alpha
    if blur > 0.2:
        colour, alpha = (cv2.GaussianBlur(picture, (0, 0), blur) for picture in (colour, alpha))
    colour = cv2.warpAffine(colour, matrix, side, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(alpha, matrix, side)
    x1, y1 = max(0, left), max(0, top)
    x2, y2 = min(canvas.shape[1], left + side[0]), min(canvas.shape[0], top + side[1])
    if x2 <= x1 or y2 <= y1:
        return Box(0, 0, 0, 0)
    part = (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))
    ink, opacity = colour[part], alpha[part][..., None]
    canvas[y1:y2, x1:x2] += (ink - canvas[y1:y2, x1:x2]) * opacity
    return _tight(alpha[part], x1, y1)


def _tight(alpha: Floats, left: int, top: int) -> Box:
    rows, columns = (np.flatnonzero((alpha >= 0.5).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return Box(left, top, left, top)
    return Box(
        float(left + columns[0]),
        float(top + rows[0]),
        float(left + columns[-1] + 1),
        float(top + rows[-1] + 1),
    )


def _still(rng: np.random.Generator, crowded: bool, width: int, height: int) -> Still:
    """One object of a quarter to 0.6 of the height, or 8 to 16 of about a tenth, side by side."""
    canvas = texture(rng, height, width, coarse=True)
    columns, rows = (6, 4) if crowded else (1, 1)
    count = int(rng.integers(8, 17)) if crowded else 1
    boxes = []
    for cell in rng.choice(columns * rows, count, replace=False):
        half = rng.uniform(4, 8) if crowded else rng.uniform(0.15, 0.3) * height
        ratio = math.exp(rng.uniform(-0.2, 0.2))
        room = np.array([width / columns, height / rows])
        corner = np.array([cell % columns, cell // columns]) * room
        x, y = corner + room * rng.uniform(0.42, 0.58, 2)
        values = (x, y, half * ratio, half / ratio, rng.uniform(-0.5, 0.5))
        track = Track(*(np.array([value], np.float32) for value in values))
        box = _set_into(canvas, _look(rng, str(rng.choice(list(SHAPES)))), track, 0)
        if box.is_usable:
            boxes.append(box)
    return Still(np.clip(canvas, 0, 255).astype(np.uint8), boxes, width, height)
