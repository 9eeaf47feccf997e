"""The normal distribution: the vectorised one against one value at a time, bit for bit."""

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from normal_reference import box_muller_pair, exponential_value, ziggurat_value
from words import Counted, Scripted, numpy_words

from torchcaffe.errors import InputError
from torchcaffe.random import BoostVersion, Mersenne, gaussian, normal, ziggurat

F = np.float32
LAST = 2**32 - 1
Curve = Callable[[float], float]
VERSIONS: list[BoostVersion] = [">=1.64", "1.56-1.63", "<1.56"]


def reference(word: Counted, n: int, boost: BoostVersion) -> np.ndarray:
    if boost == "<1.56":
        pairs = [box_muller_pair(word) for _ in range((n + 1) // 2)]
        return np.array(pairs, F).reshape(-1)[:n]
    return np.array([ziggurat_value(word, squeeze=boost == ">=1.64") for _ in range(n)], F)


def assert_same_bits(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.dtype == theirs.dtype == F
    np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32))


def test_vector() -> None:
    stream = Mersenne(1)
    values = [0.974820256, -1.82086086, 3.11321855e-05, 0.306857675]
    values += [-0.25786078, -0.131605655, 0.607993066, -0.186048612]
    assert_same_bits(gaussian(stream, 0, 1, 8), np.array(values, F))
    assert stream.word() == numpy_words(1, 14)[13]


@pytest.mark.parametrize("seed", [1, 1701, 4294967295])
@pytest.mark.parametrize("boost", VERSIONS)
def test_many_values_are_those_drawn_one_at_a_time(boost: BoostVersion, seed: int) -> None:
    n = 150_001
    word = Counted(iter(numpy_words(seed, 170_000)))
    stream = Mersenne(seed)
    values = gaussian(stream, 0, 1, n, boost)
    # Adding the mean 0 makes -0 a 0, as it does in Caffe.
    assert_same_bits(values, reference(word, n, boost) + F(0))
    assert stream.word() == word()


def rare(upper: st.SearchStrategy[int], lower: st.SearchStrategy[int]) -> st.SearchStrategy[int]:
    return st.builds(lambda high, low: high << 8 | low, upper, lower)


high = st.integers(2**24 - 2**21, 2**24 - 1)
any_byte, tail_byte = st.integers(0, 255), st.integers(0, 1)
hard_words = st.one_of(
    rare(high, any_byte),
    rare(high, tail_byte),
    rare(st.just(2**24 - 1), any_byte),
    rare(st.integers(0, 2**24 - 1), st.integers(250, 255)),
    st.integers(LAST - 127, LAST),
    st.integers(0, LAST),
)


@pytest.mark.parametrize("boost", VERSIONS)
@given(script=st.lists(hard_words, max_size=60), chunk=st.integers(1, 40), n=st.integers(0, 50))
def test_rare_words_wherever_a_chunk_ends(
    boost: BoostVersion, script: list[int], chunk: int, n: int
) -> None:
    word = Counted(iter(script + numpy_words(1, 2000)))
    stream = Scripted(script)
    with pytest.MonkeyPatch.context() as patch:
        # A Box-Muller pair must not be cut by a chunk, so its size is even.
        patch.setattr(normal, "CHUNK", 2 * chunk if boost == "<1.56" else chunk)
        values = gaussian(stream, 0, 1, n, boost)
    assert_same_bits(values, reference(word, n, boost) + F(0))
    assert stream.given == word.given


def words_at_the_curve(tables: ziggurat.Ziggurat, shift: int, curve: Curve) -> list[int]:
    """Words in pairs: in each layer, places from its inner edge on, and heights about the curve.

    ``shift`` is where the layer's number begins in the low byte.
    """
    words = []
    for layer in range(len(tables.x) - 1):
        inner = int(tables.x[layer + 1] / tables.x[layer] * 2**24)
        beyond = np.linspace(inner + 3, 2**24 - 1, 8).astype(int).tolist()
        words += [max(m, 0) << 8 | layer << shift for m in (inner - 1, inner, inner + 1)]
        for place, step in product(beyond, (-512, -256, -128, 0, 128, 256, 512)):
            x = place * 2.0**-24 * tables.x[layer]
            rise = tables.y[layer + 1] - tables.y[layer]
            height = int((curve(x) - tables.y[layer]) / rise * 2**32) + step
            words += [place << 8 | layer << shift, min(max(height, 0), LAST)]
    return words


@pytest.mark.parametrize("boost", VERSIONS[:2])
def test_points_on_the_curve_fall_on_the_same_side(boost: BoostVersion) -> None:
    script = words_at_the_curve(ziggurat.normal(), 1, lambda x: math.exp(-x * x / 2))
    n = len(script)
    word, stream = Counted(iter(script + numpy_words(1, n))), Scripted(script)
    assert_same_bits(gaussian(stream, 0, 1, n, boost), reference(word, n, boost) + F(0))
    assert stream.given == word.given


def test_points_on_the_curve_of_the_tail() -> None:
    script = words_at_the_curve(ziggurat.exponential(), 0, lambda x: math.exp(-x))
    word, stream = Counted(iter(script + numpy_words(1, 1000))), Scripted(script)
    rest = normal._Reader(stream, np.empty(0, np.uint32), 0)
    while stream.script:
        assert normal._exponential(rest) == exponential_value(word)
        assert stream.given == word.given


def test_the_whole_number_test_is_the_comparison_with_the_double() -> None:
    tables, limits = ziggurat.normal(), normal._buckets().limit
    assert (limits % 256 == 0).all()
    for bucket, limit in enumerate((limits >> 8).tolist()):
        edge, inner = F(tables.x[bucket >> 1]), tables.x[(bucket >> 1) + 1]
        places = [float(F(m) * F(2.0**-24) * edge) for m in (limit - 1, limit)]
        assert places[1] >= inner
        assert places[0] < inner or limit == 0


def test_mean_and_std_are_rounded_one_after_the_other() -> None:
    unit = gaussian(Mersenne(3), 0, 1, 1000)
    values = gaussian(Mersenne(3), 0.3, 0.7, 1000)
    assert_same_bits(values, unit * F(0.7) + F(0.3))


def test_two_fills_of_box_muller_do_not_share_a_pair() -> None:
    stream = Mersenne(2)
    first, second = (gaussian(stream, 0, 1, 3, "<1.56") for _ in range(2))
    word = Counted(iter(numpy_words(2, 100)))
    assert_same_bits(first, reference(word, 3, "<1.56"))
    assert_same_bits(second, reference(word, 3, "<1.56"))


@pytest.mark.parametrize("boost", [">=1.64", "1.56-1.63"])
def test_a_fill_in_pieces_is_the_same_fill(boost: BoostVersion) -> None:
    whole, stream = gaussian(Mersenne(4), 0, 1, 3000, boost), Mersenne(4)
    pieces = [gaussian(stream, 0, 1, n, boost) for n in (1, 0, 999, 2000)]
    assert_same_bits(np.concatenate(pieces), whole)


def test_the_two_ziggurats_differ_in_the_tail_alone() -> None:
    words = numpy_words(1, 100_000)
    tails = [w for w in words if w & 255 < 2 and w >> 8 > 2**24 * 0.93]
    old, new = (gaussian(Scripted(tails[:1]), 0, 1, 1, boost)[0] for boost in VERSIONS[1::-1])
    assert old != new
    assert min(abs(old), abs(new)) > 3.44


def test_values_are_normal() -> None:
    values = gaussian(Mersenne(8), 0, 1, 400_000).astype(np.float64)
    beyond = [(np.abs(values) > sigmas).mean() for sigmas in (1, 2, 3)]
    np.testing.assert_allclose(beyond, [0.3173, 0.0455, 0.0027], atol=5 * 0.0008)
    assert values[np.abs(values) > ziggurat.normal().x[1]].size > 100


def test_overflow_flows_as_in_caffe() -> None:
    values = gaussian(Mersenne(1), 0, 3e38, 100)
    assert np.isinf(values).any()


@pytest.mark.parametrize("std", [0.0, -1.0, np.nan])
def test_std_must_be_above_zero(std: float) -> None:
    with pytest.raises(InputError, match=rf"a normal distribution needs std above 0, got {std:g}"):
        gaussian(Mersenne(1), 0, std, 1)


def test_an_unknown_boost_is_refused() -> None:
    words = r'boost must be one of >=1.64, 1.56-1.63, <1.56, got "1.74"'
    with pytest.raises(InputError, match=words):
        gaussian(Mersenne(1), 0, 1, 1, "1.74")  # type: ignore[arg-type]
