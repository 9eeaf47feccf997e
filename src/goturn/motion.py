"""How far an object moves from frame to frame: the law by which training shifts its boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from goturn.box import Box
from goturn.crop import CONTEXT

RAND_MAX = 2**31 - 1
TRIES = 10
"""Draws of a centre, of which the last is taken as it is."""


class Stream(Protocol):
    """Where random numbers come from: ``torchcaffe.random.LibcRand`` is one."""

    def number(self) -> int:
        """The next whole number, uniform from 0 to RAND_MAX."""


class GroupStream:
    """The random numbers of one group of examples alone, whatever else is drawn and where."""

    def __init__(self, seed: int, group: int, rank: int = 0) -> None:
        self._generator = np.random.Generator(
            np.random.Philox(key=[seed, rank], counter=[0, 0, 0, group])
        )

    def number(self) -> int:
        """The next number, from 0 to RAND_MAX."""
        return int(self._generator.integers(RAND_MAX, endpoint=True))


@dataclass(frozen=True)
class Motion:
    """The law: both factors are Laplace's, the larger lambda the smaller moves.

    lambda_shift    of the centre's move, in sizes of the box
    lambda_scale    of the relative change of width and height
    min_scale, max_scale    between which that change is kept
    """

    lambda_shift: float = 5.0
    lambda_scale: float = 15.0
    min_scale: float = -0.4
    max_scale: float = 0.4

    def shift(self, box: Box, width: int, height: int, stream: Stream) -> Box:
        """A box moved at random inside an image of ``width`` x ``height``.

        The draws are, in this order: width, height, centre x, centre y.
        """
        new_width = self._resized(box.width, width, stream)
        new_height = self._resized(box.height, height, stream)
        x = self._moved(box.center_x, box.width, new_width, width, stream)
        y = self._moved(box.center_y, box.height, new_height, height, stream)
        return Box.from_center(x, y, new_width, new_height)

    def _resized(self, size: float, image: int, stream: Stream) -> float:
        change = max(self.min_scale, min(self.max_scale, laplace(self.lambda_scale, stream)))
        return max(1.0, min(image - 1.0, size * (1 + change)))

    def _moved(
        self, center: float, size: float, new_size: float, image: int, stream: Stream
    ) -> float:
        reach = size * CONTEXT / 2
        for _ in range(TRIES):
            moved = center + size * laplace(self.lambda_shift, stream)
            moved = min(image - new_size / 2, max(new_size / 2, moved))
            near = center - reach <= moved <= center + reach
            if near and moved - new_size / 2 >= 0 and moved + new_size / 2 <= image:
                break
        return moved


def unit(stream: Stream) -> float:
    """A number between 0 and 1, without the ends."""
    return (stream.number() + 1) / (RAND_MAX + 2)


def laplace(rate: float, stream: Stream) -> float:
    """A number of density ``rate / 2 * exp(-rate * |x|)``: one draw for its sign, one for |x|."""
    sign = 1.0 if stream.number() % 2 == 0 else -1.0
    return math.log(unit(stream)) / rate * sign
