"""rand() and the shuffle on it, beside the real ones."""

import ctypes
import platform

import numpy as np
import pytest

from torchcaffe.errors import InputError
from torchcaffe.random import LibcRand, random_shuffle

SEEDS = [1, 0, 2, 1701, 127773, 2**31 - 1, 2**31, 2**32 - 1]

needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the C library here is not glibc"
)


@pytest.mark.parametrize("seed", SEEDS)
@needs_glibc
def test_numbers_are_those_of_the_c_library(seed: int) -> None:
    libc = ctypes.CDLL(None)
    libc.srand(ctypes.c_uint(seed))
    expected = [libc.rand() for _ in range(5000)]
    stream = LibcRand(seed)
    parts = [stream.rand(n) for n in (1, 0, 30, 31, 992, 993, 2)]
    numbers = np.concatenate(parts).tolist() + [stream.number() for _ in range(2951)]
    assert numbers == expected


def test_first_numbers() -> None:
    assert LibcRand().rand(3).tolist() == [1804289383, 846930886, 1681692777]


def test_numbers_fill_their_range() -> None:
    numbers = LibcRand(3).rand(100_000)
    assert numbers.dtype == np.int64
    assert 0 <= numbers.min() < 10**6
    assert 2**31 - 10**6 < numbers.max() < 2**31


@pytest.mark.parametrize("used", [0, 5, 992, 1500])
def test_a_restored_stream_goes_on(used: int) -> None:
    stream, other = LibcRand(4), LibcRand()
    stream.rand(used)
    other.state = stream.state
    assert stream.state.shape == (31,)
    assert other.rand(2000).tolist() == stream.rand(2000).tolist()
    np.testing.assert_array_equal(other.state, stream.state)


@pytest.mark.parametrize("state", [np.zeros(30, np.uint32), np.zeros(31, np.int32)])
def test_a_state_that_is_none_is_refused(state: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"a rand\(\) stream is uint32 \(31,\), got"):
        LibcRand().state = state


@pytest.mark.parametrize("n", [0, 1, 2, 50])
def test_random_shuffle_swaps_from_the_front(n: int) -> None:
    numbers = iter(LibcRand(9).rand(100).tolist())
    expected = list(range(n))
    for i in range(1, n):
        j = next(numbers) % (i + 1)
        expected[i], expected[j] = expected[j], expected[i]
    stream, items = LibcRand(9), list(range(n))
    random_shuffle(stream, items)
    assert items == expected
    assert stream.number() == next(numbers)
