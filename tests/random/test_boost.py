"""Uniform, Bernoulli and whole numbers: Boost's values, and just its draws."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from words import Counted, Scripted, numpy_words

from torchcaffe.errors import InputError
from torchcaffe.random import Mersenne, bernoulli, boost, dropout_mask, integer, shuffle, uniform

F = np.float32
FLOAT_MAX = float(np.finfo(F).max)
LAST = 2**32 - 1

any_words = st.lists(st.sampled_from([0, 1, 2**31, LAST - 256, LAST - 128, LAST - 127, LAST]))


def uniform_reference(word: Callable[[], int], low: float, high: float) -> np.float32:
    top = np.nextafter(F(high), F(FLOAT_MAX))
    while True:
        value = F(word()) / F(2.0**32) * (top - F(low)) + F(low)
        if value < top:
            return value


def integer_reference(word: Callable[[], int], top: int) -> int:
    bucket = LAST // (top + 1) + (LAST % (top + 1) == top)
    while True:
        value = word() // bucket
        if value <= top:
            return value


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (0, 1, [0.417022049, 0.997184932, 0.720324576, 0.932557464, 0.000114381095]),
        (-0.1, 0.1, [-0.0165955946, 0.099436976, 0.0440649167]),
    ],
)
def test_uniform_vectors(low: float, high: float, values: list[float]) -> None:
    got = uniform(Mersenne(1), low, high, len(values))
    assert got.dtype == F
    np.testing.assert_array_equal(got, np.array(values, F))


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-0.3, 0.7), (0, 0), (1, 1), (5, 5.000001), (-1e-44, 1e-44), (-2, -1)]
)
@given(script=any_words)
def test_uniform_draws_again_at_the_top(low: float, high: float, script: list[int]) -> None:
    word = Counted(iter(script + numpy_words(1, 2000)))
    stream = Scripted(script)
    expected = [uniform_reference(word, low, high) for _ in range(20)]
    np.testing.assert_array_equal(uniform(stream, low, high, 20), expected)
    assert stream.given == word.given


def test_uniform_reaches_both_ends() -> None:
    assert uniform(Scripted([0, LAST - 255]), 0, 0.25, 2).tolist() == [0, 0.25]


def test_a_range_that_is_no_float_is_halved() -> None:
    values = uniform(Scripted([0, 2**31, LAST - 255]), -FLOAT_MAX, FLOAT_MAX, 3)
    assert values.tolist() == [-FLOAT_MAX, 0, float(F(FLOAT_MAX) * (1 - F(2.0**-23)))]


def test_unit_passes_over_a_word_that_rounds_to_one() -> None:
    stream = Scripted([LAST - 127, LAST, LAST - 128, 0])
    assert boost.unit(stream, 2).tolist() == [1 - 2.0**-24, 0]
    assert stream.given == 4


@pytest.mark.parametrize(
    ("low", "high"),
    [(1, 0), (np.nan, 1), (0, np.nan), (0, np.inf), (-np.inf, 0), (FLOAT_MAX, FLOAT_MAX)],
)
def test_bounds_without_floats_between_are_refused(low: float, high: float) -> None:
    with pytest.raises(InputError, match=r"needs min <= max, both finite, got min .+ and"):
        uniform(Mersenne(1), low, high, 1)


def test_bernoulli_vector() -> None:
    got = bernoulli(Mersenne(1), 0.5, 10)
    assert got.dtype == np.bool_
    assert got.astype(int).tolist() == [1, 0, 0, 0, 1, 1, 1, 0, 1, 1]


@pytest.mark.parametrize("p", [0.5, 0.3, 1e-9, 2.0**-32, 1 - 2.0**-30, 1.0])
def test_bernoulli_compares_in_the_type_it_is_given(p: float) -> None:
    edges = [int(p * LAST) + step for step in (-200, -1, 0, 1, 200)]
    words = [min(max(word, 0), LAST) for word in edges] + numpy_words(3, 2000)
    double = [word <= p * float(LAST) for word in words]
    single = [F(word) <= F(p) * F(LAST) for word in words]
    assert bernoulli(Scripted(words), p, len(words)).tolist() == double
    assert bernoulli(Scripted(words), p, len(words), F).tolist() == single


def test_single_and_double_differ_near_the_threshold() -> None:
    word = [int(0.3 * LAST) + 10]
    assert not bernoulli(Scripted(word), 0.3, 1)[0]
    assert bernoulli(Scripted(word), 0.3, 1, F)[0]


def test_nothing_is_drawn_for_what_never_happens() -> None:
    stream = Scripted([])
    assert not bernoulli(stream, 0, 5).any()
    assert not dropout_mask(stream, 1, 5).any()
    assert stream.given == 0


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan])
def test_a_probability_outside_its_range_is_refused(p: float) -> None:
    with pytest.raises(InputError, match=rf"a probability lies between 0 and 1, got {p}"):
        bernoulli(Mersenne(1), p, 1)


def test_dropout_takes_the_ratio_as_a_float() -> None:
    stream = Mersenne(1)
    assert dropout_mask(stream, 0.5, 5).tolist() == [True, False, False, False, True]
    assert stream.word() == numpy_words(1, 6)[5]
    # 0.7 as a float is less than 0.7: a word between the two thresholds is kept.
    between = int((1 - 0.7) * LAST) + 30
    assert dropout_mask(Scripted([between]), 0.7, 1)[0]
    assert not bernoulli(Scripted([between]), 1 - 0.7, 1)[0]
    assert dropout_mask(Scripted([LAST]), 0, 1)[0]


@pytest.mark.parametrize("top", [1, 2, 9, 2**31 - 1, 2**31, 3 * 2**30, 2**32 - 2, 2**32 - 1])
@given(script=any_words)
def test_integers(top: int, script: list[int]) -> None:
    word = Counted(iter(script + numpy_words(1, 2000)))
    stream = Scripted(script)
    assert [integer(stream, top) for _ in range(9)] == [
        integer_reference(word, top) for _ in range(9)
    ]
    assert stream.given == word.given


def test_the_only_whole_number_up_to_zero_needs_no_draw() -> None:
    stream = Scripted([])
    assert integer(stream, 0) == 0
    assert stream.given == 0


@pytest.mark.parametrize("top", [-1, 2**32])
def test_whole_numbers_wider_than_a_word_are_refused(top: int) -> None:
    with pytest.raises(InputError, match=rf"from 0 to at most 4294967295, not {top}"):
        integer(Mersenne(1), top)


def test_shuffle_vector() -> None:
    items = list(range(10))
    shuffle(Mersenne(1), items)
    assert items == [3, 9, 2, 1, 7, 0, 6, 5, 8, 4]


@pytest.mark.parametrize("n", [0, 1, 2, 7, 40])
@pytest.mark.parametrize("chunk", [1, 3, 1 << 16])
@given(script=any_words)
def test_shuffle_draws_again_and_stops_where_caffe_does(
    n: int, chunk: int, script: list[int]
) -> None:
    word = Counted(iter(script + numpy_words(1, 2000)))
    expected = list(range(n))
    for i in range(n - 1, 0, -1):
        j = integer_reference(word, i)
        expected[i], expected[j] = expected[j], expected[i]
    stream, items = Scripted(script), list(range(n))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boost, "CHUNK", chunk)
        shuffle(stream, items)
    assert items == expected
    assert stream.given == word.given


@given(n=st.integers(0, 50), chunk=st.integers(1, 20))
def test_chunks_do_not_show(n: int, chunk: int) -> None:
    def draw() -> list[object]:
        stream = Mersenne(11)
        drawn = [
            uniform(stream, 0, 1, n).tolist(),
            bernoulli(stream, 0.4, n).tolist(),
            bernoulli(stream, 0.4, n, F).tolist(),
        ]
        return [*drawn, stream.word()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boost, "CHUNK", chunk)
        chunked = draw()
    assert chunked == draw()
