"""What a protocol is: how a tracker is run, and which numbers are made of its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Ordered
from dataclasses import dataclass, field

import numpy as np

from goturn.errors import DataError
from goturn.evaluate.metrics import Array, Size, rectangle
from goturn.evaluate.results import Results
from goturn.sequence import Outline, Sequence


@dataclass(frozen=True)
class Curve:
    """A curve to be drawn: values over thresholds, and the one number it is known by."""

    over: str
    thresholds: list[float]
    values: list[float]
    score: float


@dataclass(frozen=True)
class Scores:
    """What a protocol says of one tracker's results."""

    overall: Mapping[str, float]
    sequences: Mapping[str, Mapping[str, float]]
    """The numbers of each sequence, by its name."""
    curves: Mapping[str, Curve] = field(default_factory=dict)


@dataclass(frozen=True)
class Protocol:
    """A way to measure trackers.

    name
        what --protocol calls it
    title
        its name in words
    follows
        the toolkit, its version and its part, whose definitions these are
    kind
        how trackers are run: "one-pass" or "baseline" (with re-initialisation)
    numbers
        what each number means, in words, by its key in ``Scores``
    measure
        the scores of results on sequences; reads result files only
    """

    name: str
    title: str
    follows: str
    kind: str
    numbers: Mapping[str, str]
    measure: Callable[[Ordered[Sequence], Results], Scores]


def counted(sequence: Sequence) -> Array:
    """Which frames count, (frames,) bool: those with a box, where the object is to be seen.

    DataError if that is the first frame alone, as in a test set whose boxes are not public.
    """
    frames = np.array([box is not None for box in sequence.boxes])
    if len(frames) > 1 and not frames[1:].any():
        raise DataError(
            f"{sequence.name} has no boxes after its first frame; results on a test set are "
            f"measured by its server"
        )
    if sequence.visible is not None:
        frames &= np.array(sequence.visible, bool)
    return frames


def image_size(sequence: Sequence) -> Size:
    """Width and height of the first frame."""
    height, width = sequence.image(0).shape[:2]
    return width, height


def truth(sequence: Sequence, index: int) -> Outline:
    """The outline of a frame's annotation: its polygon, or the corners of its box."""
    outline = sequence.outlines[index] if sequence.outlines else None
    box = sequence.boxes[index]
    if box is None:
        raise ValueError(f"{sequence.name} has no box in frame {index + 1}")
    return outline or rectangle(box.to_xywh())


def single_numbers(**values: float) -> dict[str, float]:
    """The numbers by their keys, as Python's own."""
    return {name: float(value) for name, value in values.items()}
