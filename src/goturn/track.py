"""Following objects through a source: one step a frame, for whoever draws or writes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from typing import Protocol

from goturn.box import Box
from goturn.errors import DataError
from goturn.sequence import Image
from goturn.sources import Source

Corners = tuple[float, float, float, float]


class Follower(Protocol):
    """What is needed of a tracker of several objects; ``goturn.MultiTracker`` is one."""

    def init(self, image: Image, boxes: Ordered[Box]) -> None:
        """Begin with the objects at ``boxes``."""

    def update(self, image: Image) -> Ordered[tuple[bool, Corners]]:
        """For each object, whether it is still in the image, and (x, y, width, height)."""


@dataclass(frozen=True)
class Step:
    """A frame, and where the objects are in it.

    number    from 0, for the frame in which the boxes were given
    name      the frame's file, or its number in the video
    ok        False for an object that left the image or has no extent
    """

    number: int
    name: str
    image: Image
    boxes: Ordered[Box]
    ok: Ordered[bool]
    seconds: float
    """What the tracker took for it."""


Begin = Callable[[Image], Ordered[Box]]
"""Says where the objects are in the first frame."""

Again = Callable[[Step], "Ordered[Box] | None"]
"""Looks at a step, and may say where the objects really are; None leaves them alone."""


def steps(
    source: Source, tracker: Follower, begin: Begin, again: Again | None = None
) -> Iterator[Step]:
    """The objects that ``begin`` points out in the first frame, step by step through the source.

    Where ``again`` answers boxes, the tracker begins anew with them, at that very frame.

    Raises BoxError for a box that nothing can be tracked with, and DataError where the source has
    no frame or breaks; the steps until then have been given.
    """
    number = -1
    for number, (name, image) in enumerate(source):
        start = time.perf_counter()
        if number == 0:
            first = begin(image)
            start = time.perf_counter()
            tracker.init(image, first)
            found: Ordered[tuple[bool, Corners]] = [(True, box.to_xywh()) for box in first]
        else:
            found = tracker.update(image)
        step = _step(number, name, image, found, time.perf_counter() - start)
        boxes = again(step) if again is not None else None
        if boxes is not None:
            tracker.init(image, boxes)
            step = _step(number, name, image, [(True, b.to_xywh()) for b in boxes], step.seconds)
        yield step
    if number < 0:
        raise DataError(f"{source.name} has no frames")


def _step(
    number: int, name: str, image: Image, found: Ordered[tuple[bool, Corners]], seconds: float
) -> Step:
    boxes = [Box.from_xywh(*corners) for _, corners in found]
    return Step(number, name, image, boxes, [ok for ok, _ in found], seconds)
