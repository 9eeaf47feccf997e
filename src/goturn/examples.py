"""Training examples as the original makes them: pairs of looks at an object, crops, labels.

The steps are plain functions, and a ``Recipe`` is the choice of them: whoever wants another
sampling or another crop exchanges one.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Ordered
from dataclasses import dataclass, field
from functools import partial

from goturn.box import Box
from goturn.crop import Crop, resize
from goturn.errors import DataError
from goturn.motion import Motion, Stream
from goturn.sequence import Image, Sequence
from goturn.still import Still

SHIFTED = 10
"""Shifted examples of a pair, after the true one."""


@dataclass(frozen=True)
class Pair:
    """Two looks at one object; of a still, both are the same."""

    previous: Image
    previous_box: Box
    current: Image
    current_box: Box


@dataclass(frozen=True)
class Example:
    """What the network is shown and should answer: uint8 canvases of any size, and the label.

    The label is the object's box in the search crop's coordinates, 0 to 10.
    """

    target: Image
    search: Image
    label: Box


Draw = Callable[[Stream], Pair | None]
"""Draws a pair; None where what was drawn has none, and is passed over."""

Make = Callable[[Pair, Motion, Stream], list[Example]]
"""Makes the examples of a pair."""


def draw_still(stills: Ordered[Still], stream: Stream) -> Pair:
    """A uniform still, then a uniform box of it."""
    still = stills[stream.number() % len(stills)]
    index = stream.number() % len(still.boxes)
    image = still.image()
    box = still.box(index, image)
    return Pair(image, box, image, box)


def draw_step(videos: Ordered[Sequence], stream: Stream) -> Pair | None:
    """A uniform video, then a uniform one of its annotated frames but the last, and the next.

    None for a video with fewer than two annotated frames, as in the original.
    """
    video = videos[stream.number() % len(videos)]
    annotated = [(frame, box) for frame, box in enumerate(video.boxes) if box is not None]
    if len(annotated) < 2:
        return None
    index = stream.number() % (len(annotated) - 1)
    (previous, previous_box), (current, current_box) = annotated[index : index + 2]
    return Pair(video.image(previous), previous_box, video.image(current), current_box)


def examples_of(pair: Pair, motion: Motion, stream: Stream) -> list[Example]:
    """One true example, which searches where the object was, and ten shifted ones.

    A shifted one searches around the current box, moved at random.
    """
    target = Crop.around(pair.previous_box, pair.previous).cut(pair.previous)
    height, width = pair.current.shape[:2]
    places = [pair.previous_box]
    places += [motion.shift(pair.current_box, width, height, stream) for _ in range(SHIFTED)]
    return [_example(target, pair, place) for place in places]


def _example(target: Image, pair: Pair, place: Box) -> Example:
    crop = Crop.around(place, pair.current)
    return Example(target, crop.cut(pair.current), crop.to_crop(pair.current_box))


@dataclass(frozen=True)
class Recipe:
    """How examples are made, group by group: a group is what comes of one pair.

    draws
        are taken in turn: of the original, a still and then a step of a video.
    resize
        brings a canvas to the network's size.
    """

    draws: Ordered[Draw]
    motion: Motion = field(default_factory=Motion)
    make: Make = examples_of
    resize: Callable[[Image, int], Image] = resize

    def group(self, number: int, stream: Stream) -> list[Example]:
        """The examples of group ``number``, 0 for the first; none where the draw has no pair."""
        pair = self.draws[number % len(self.draws)](stream)
        return [] if pair is None else self.make(pair, self.motion, stream)


def original_recipe(stills: Ordered[Still], videos: Ordered[Sequence]) -> Recipe:
    """A still and a step of a video in turn, as in the original; or one alone, if it is all."""
    draws: list[Draw] = []
    if stills:
        draws.append(partial(draw_still, stills))
    if videos:
        draws.append(partial(draw_step, videos))
    if not any(sum(box is not None for box in video.boxes) > 1 for video in videos) and not stills:
        raise DataError(
            "there is nothing to train with: no image with a box, no video with two annotations"
        )
    return Recipe(draws)
