"""Overlaps, distances and curves, of many boxes at once; the only place with their geometry.

Boxes are arrays (N, 4) of x, y, width, height, in doubles; NaN where there is no box, which then
overlaps nothing and is infinitely far away.
"""

from __future__ import annotations

from collections.abc import Sequence as Ordered
from typing import Any

import numpy as np

from goturn.box import Box
from goturn.sequence import Outline

Array = np.ndarray[Any, np.dtype[Any]]
Size = tuple[int, int]
"""An image's width and height."""

SUCCESS_THRESHOLDS: Array = np.linspace(0, 1, 21)
"""Overlaps of OTB's success curve."""
PRECISION_THRESHOLDS: Array = np.arange(0.0, 51.0)
"""Distances of OTB's precision curve, in pixels."""
PRECISION_AT = 20
"""The distance at which OTB reads its precision curve."""

EPSILON = np.finfo(float).eps
"""Keeps two boxes without an extent from being divided by nothing, as the toolkit does it."""


def to_array(boxes: Ordered[Box | None]) -> Array:
    """Boxes as an array (N, 4); NaN where there is none."""
    rows = [(np.nan,) * 4 if box is None else box.to_xywh() for box in boxes]
    return np.array(rows, float).reshape(-1, 4)


def overlaps(first: Array, second: Array) -> Array:
    """Intersection over union of each pair, (N,); 0 where either is NaN or has no extent."""
    with np.errstate(invalid="ignore"):
        low = np.maximum(first[:, :2], second[:, :2])
        high = np.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
        common = np.maximum(high - low, 0).prod(axis=1)
        union = first[:, 2:].prod(axis=1) + second[:, 2:].prod(axis=1) - common
        found: Array = np.nan_to_num(np.clip(common / (union + EPSILON), 0, 1), nan=0.0)
    return found


def center_distances(first: Array, second: Array) -> Array:
    """Pixels between the centres of each pair, (N,); infinite where either is NaN.

    A box's centre is x + (width - 1) / 2, as OTB has it.
    """
    centers = [boxes[:, :2] + (boxes[:, 2:] - 1) / 2 for boxes in (first, second)]
    distances: Array = np.sqrt(((centers[0] - centers[1]) ** 2).sum(axis=1))
    distances[np.isnan(distances)] = np.inf
    return distances


def bounded(boxes: Array, size: Size) -> Array:
    """The boxes cut to an image as the got10k toolkit cuts them.

    A corner left of the image or above it moves to 0 and the box keeps its size, where a true
    intersection would shrink it; what sticks out at the right and below is cut off.
    """
    limits = np.array(size, float)
    corners = np.clip(boxes[:, :2], 0, limits)
    sizes = np.clip(boxes[:, 2:], 0, limits - corners)
    return np.concatenate([corners, sizes], axis=1)


def success_curve(found: Array, thresholds: Array = SUCCESS_THRESHOLDS) -> Array:
    """For each threshold, the part of the overlaps that are above it (and not equal)."""
    curve: Array = (found[:, None] > thresholds).mean(axis=0)
    return curve


def precision_curve(distances: Array, thresholds: Array = PRECISION_THRESHOLDS) -> Array:
    """For each threshold, the part of the distances that are at most as large."""
    curve: Array = (distances[:, None] <= thresholds).mean(axis=0)
    return curve


def region_overlap(truth: Outline, box: Ordered[float], size: Size) -> float:
    """Intersection over union of a polygon and a box (x, y, width, height) inside an image.

    Both are cut to the image first, as VOT does it. 0 if the box is not of finite numbers.
    """
    x, y, width, height = box
    if not np.isfinite([x, y, width, height]).all():
        return 0.0
    image = ((0.0, 0.0), (float(size[0]), float(size[1])))
    low = (min(x, x + width), min(y, y + height))
    high = (max(x, x + width), max(y, y + height))
    region, found = _cut(truth, *image), _cut(rectangle(box), *image)
    common = _area(_cut(region, low, high))
    return min(1.0, common / (_area(region) + _area(found) - common + float(EPSILON)))


def rectangle(box: Ordered[float]) -> Outline:
    """The four corners of a box (x, y, width, height)."""
    x, y, width, height = box
    return ((x, y), (x + width, y), (x + width, y + height), (x, y + height))


def _cut(outline: Outline, low: Ordered[float], high: Ordered[float]) -> Outline:
    """The part of a polygon inside an upright rectangle: cut at its four sides in turn."""
    for axis in (0, 1):
        for limit, sign in ((low[axis], 1.0), (high[axis], -1.0)):
            outline = _cut_at(outline, axis, limit, sign)
    return outline


def _cut_at(outline: Outline, axis: int, limit: float, sign: float) -> Outline:
    """The part of a polygon where ``sign * (coordinate - limit)`` is not negative."""
    kept: list[tuple[float, float]] = []
    for before, after in zip((*outline[-1:], *outline[:-1]), outline, strict=True):
        start, end = (sign * (corner[axis] - limit) for corner in (before, after))
        if (start < 0) != (end < 0):
            part = start / (start - end)
            kept.append(
                (
                    before[0] + part * (after[0] - before[0]),
                    before[1] + part * (after[1] - before[1]),
                )
            )
        if end >= 0:
            kept.append(after)
    return tuple(kept)


def _area(outline: Outline) -> float:
    """The area of a polygon that does not cross itself, however it turns."""
    pairs = zip((*outline[-1:], *outline[:-1]), outline, strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2
