"""One pair of arrays to a verdict: the order of the checks, the classes, the numbers."""

from typing import Any

import numpy as np
import pytest

from torchcaffe.layers._exactness import accumulated, bitwise, ulp
from torchcaffe.parity.compare import MARGIN, UNIT, Sensitivity, compare, ulp_distance

Array = np.ndarray[Any, np.dtype[Any]]
ONES = np.ones((2, 3), np.float32)


def bumped(values: Array, ulps: int, index: tuple[int, ...] = (1, 2)) -> Array:
    """One element moved up by some numbers of float32."""
    result = values.copy()
    for _ in range(ulps):
        result[index] = np.nextafter(result[index], np.float32(np.inf))
    return result


def test_equal_arrays_meet_the_strictest_class() -> None:
    found = compare("x", ONES, ONES.copy(), bitwise())
    assert found.passed
    assert (found.met, found.reason, found.error, found.share) == (bitwise(), "equal", 0, 0)
    assert found.largest == 1


def test_zeros_of_both_signs_are_equal() -> None:
    zeros = np.zeros(3, np.float32)
    assert compare("x", zeros, -zeros, bitwise()).passed


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        (np.ones((3, 2), np.float32), "shape is (3, 2), theirs is (2, 3)"),
        (np.ones((2, 3), np.float64), "dtype is float64, theirs is float32"),
        (np.full((2, 3), np.nan, np.float32), "ours is nan at (0, 0), theirs 1.0: the patterns of"),
    ],
)
def test_what_cannot_be_compared_fails_in_every_class(ours: Array, words: str) -> None:
    found = compare("x", ours, ONES, accumulated(1e9))
    assert not found.passed
    assert found.met is None
    assert found.reason.startswith(words)
    assert str(found) == f"x: {found.reason}"
    assert found.error == found.share == float("inf")


def test_what_is_not_finite_must_be_so_in_the_same_places() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 1], np.float32)
    found = compare("x", odd, odd.copy(), bitwise())
    assert found.passed
    assert found.nonfinite == 3
    assert found.largest == 1
    assert not compare("x", odd, odd[[0, 2, 1, 3]], accumulated()).passed
    assert not compare("x", np.ones(4, np.float32), odd, accumulated()).passed


def test_an_empty_pair_is_equal() -> None:
    empty = np.ones((0, 3), np.float32)
    assert compare("x", empty, empty, bitwise()).reason == "equal (empty)"


@pytest.mark.parametrize("off", [1, 2, 3])
def test_ulp(off: int) -> None:
    found = compare("x", bumped(ONES, off), ONES, ulp(2))
    assert found.passed == (off <= 2)
    assert (found.max_ulp, found.index, found.met) == (off, (1, 2), ulp(off))
    assert found.share == off / 2
    assert found.max_abs == found.max_rel == off * 2.0**-23
    assert found.spread == ((off.bit_length(), 1),)


def test_ulp_distance_counts_the_numbers_between() -> None:
    tiny = np.float32(1e-45)
    a = np.array([0, 1, -tiny, 1], np.float32)
    b = np.array([tiny, np.nextafter(np.float32(1), np.float32(2)), tiny, 1], np.float32)
    assert list(ulp_distance(a, b)) == [1, 1, 2, 0]


def test_a_bitwise_class_takes_no_other_bit() -> None:
    found = compare("x", bumped(ONES, 1), ONES, bitwise())
    assert not found.passed
    assert found.share == float("inf")
    assert "not within bitwise, ulp(1) would pass" in str(found)


def test_accumulated_counts_roundings_of_what_went_in() -> None:
    """The formula: |y - y64| <= MARGIN * k * u * (S + |y64|)."""
    exact = Sensitivity(np.array([0.0]), np.array([3.0]))
    theirs = np.zeros(1, np.float32)
    limit = MARGIN * 8 * UNIT * 3
    for factor, passes in ((0.999, True), (1.001, False)):
        ours = np.array([limit * factor], np.float32)
        found = compare("x", ours, theirs, accumulated(8), exact)
        assert found.passed == passes
        assert found.needed == pytest.approx(8 * factor)


def test_accumulated_looks_at_the_worse_of_both_sides() -> None:
    """Two answers that lie on either side of the exact one, or both far from it."""
    exact = Sensitivity(np.array([1.0]), np.array([0.0]))
    far = np.array([1 + 1e-3], np.float32)
    found = compare("x", far, bumped(far, 1, (0,)), accumulated(8), exact)
    assert not found.passed or found.met == ulp(1)
    assert compare("x", far, far, accumulated(8), exact).met == bitwise()


def test_without_a_sensitivity_an_element_is_its_own() -> None:
    ours = np.array([1e-3, 1e3], np.float32)
    assert compare("x", bumped(ours, 3, (0,)), ours, accumulated(8)).passed
    assert not compare("x", ours + np.float32(1e-6), ours, accumulated(8)).passed


def test_the_largest_need_decides_not_the_largest_difference() -> None:
    theirs = np.array([1e6, 1e-6], np.float32)
    ours = np.array([bumped(theirs, 1, (0,))[0], 1.1e-6], np.float32)
    found = compare("x", ours, theirs, accumulated(8))
    assert found.index == (1,)
    assert found.max_abs == 0.0625


def test_spread_counts_every_element_that_differs() -> None:
    generator = np.random.default_rng(1701)
    theirs = generator.standard_normal(1000).astype(np.float32)
    ours = (theirs.astype(np.float64) * (1 + 1e-6 * generator.standard_normal(1000))).astype("f4")
    found = compare("x", ours, theirs, accumulated(8))
    assert sum(count for _, count in found.spread) == (ours != theirs).sum()
    powers = [power for power, _ in found.spread]
    assert powers == sorted(powers)
    assert 2.0 ** (powers[-1] - 1) <= found.needed < 2.0 ** powers[-1]
