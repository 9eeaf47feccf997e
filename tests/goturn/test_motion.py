"""The law of motion: its draws, its bounds, its distribution."""

import math

import numpy as np

from goturn.box import Box
from goturn.motion import RAND_MAX, GroupStream, Motion, laplace, unit
from torchcaffe.random import LibcRand


class Given:
    """A stream of given numbers."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)

    def number(self) -> int:
        return self.numbers.pop(0)


EVEN, HALF = 0, RAND_MAX // 2
"""A sign of +1, and a unit of 1/2."""


def test_units_never_reach_their_ends() -> None:
    assert unit(Given(0)) == 1 / (2**31 + 1)
    assert unit(Given(RAND_MAX)) == 2**31 / (2**31 + 1)


def test_a_laplace_draw_takes_the_sign_and_then_the_size() -> None:
    half = (HALF + 1) / (RAND_MAX + 2)
    assert laplace(5, Given(EVEN, HALF)) == math.log(half) / 5
    assert laplace(5, Given(1, HALF)) == -math.log(half) / 5


def test_laplace_s_quantiles() -> None:
    stream = LibcRand()
    draws = np.sort([laplace(5, stream) for _ in range(20000)])
    theory = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
    wanted = np.sign(theory - 0.5) * -np.log(1 - 2 * np.abs(theory - 0.5)) / 5
    np.testing.assert_allclose(np.quantile(draws, theory), wanted, atol=0.01)


def test_draws_are_width_height_x_y() -> None:
    # Only the y is moved: a unit near 1 has a logarithm near 0.
    still = (EVEN, RAND_MAX)
    box = Box.from_xywh(40, 40, 20, 20)
    moved = Motion().shift(box, 200, 200, Given(*still, *still, *still, 1, HALF))
    np.testing.assert_allclose(moved.to_corners()[::2], (40, 60), atol=1e-6)
    assert abs(moved.center_y - (50 + 20 * math.log(2) / 5)) < 1e-6


def test_a_centre_too_far_away_is_drawn_again() -> None:
    still, far = (EVEN, RAND_MAX), (1, 0)
    box = Box.from_xywh(90, 90, 20, 20)
    stream = Given(*still, *still, *far, *still, *still)
    moved = Motion().shift(box, 200, 200, stream)
    assert abs(moved.center_x - 100) < 1e-6 and not stream.numbers


def test_after_ten_tries_the_last_is_taken() -> None:
    still, far = (EVEN, RAND_MAX), (1, 0)
    box = Box.from_xywh(90, 90, 20, 20)
    stream = Given(*still, *still, *far * 10, *still)
    moved = Motion().shift(box, 200, 200, stream)
    assert moved.center_x > 120 and not stream.numbers


def test_moved_boxes_stay_inside_and_within_the_scales() -> None:
    stream, box = LibcRand(), Box.from_xywh(5, 60, 30, 25)
    for _ in range(2000):
        moved = Motion().shift(box, 120, 90, stream)
        assert moved.x1 >= -1e-9 and moved.y1 >= -1e-9
        assert moved.x2 <= 120 + 1e-9 and moved.y2 <= 90 + 1e-9
        assert 0.6 * 30 - 1e-9 <= moved.width <= 1.4 * 30 + 1e-9


def test_a_group_s_stream_is_its_own() -> None:
    def draws(*key: int) -> list[int]:
        stream = GroupStream(*key)
        return [stream.number() for _ in range(8)]

    assert draws(1, 7) == draws(1, 7)
    different = [draws(1, 7), draws(1, 8), draws(2, 7), draws(1, 7, 1)]
    assert len({tuple(numbers) for numbers in different}) == 4
    assert all(0 <= number <= RAND_MAX for numbers in different for number in numbers)
