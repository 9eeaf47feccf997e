"""The stream of words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from words import numpy_words

from torchcaffe.errors import InputError
from torchcaffe.random import Mersenne, gaussian, mersenne


@pytest.mark.parametrize(
    ("seed", "words"),
    [
        (1, [1791095845, 4282876139, 3093770124, 4005303368, 491263]),
        (1701, [384112814, 2227967492, 495543390]),
    ],
)
def test_first_words(seed: int, words: list[int]) -> None:
    assert Mersenne(seed).raw(len(words)).tolist() == words


@pytest.mark.parametrize("seed", [0, 1, 1701, 2**31, 2**32 - 1])
def test_words_are_those_of_the_classic_seeding(seed: int) -> None:
    assert Mersenne(seed).raw(3000).tolist() == numpy_words(seed, 3000)


@given(parts=st.lists(st.integers(0, 700), max_size=8))
def test_words_do_not_depend_on_how_they_are_asked_for(parts: list[int]) -> None:
    stream = Mersenne(7)
    got: list[int] = []
    for n in parts:
        got += stream.raw(n).tolist()
        got.append(stream.word())
    assert got == numpy_words(7, len(got))


def test_words_are_uint32() -> None:
    words = Mersenne(1).raw(2)
    assert words.dtype == np.uint32
    assert words.shape == (2,)


@pytest.mark.parametrize("used", [0, 1, 623, 624, 1000])
def test_a_restored_stream_goes_on_bit_for_bit(used: int) -> None:
    stream, other = Mersenne(5), Mersenne(6)
    stream.raw(used)
    kept = stream.state
    other.state = kept
    assert kept.shape == (625,)
    assert kept.dtype == np.uint32
    expected = gaussian(stream, 0, 1, 5000)
    np.testing.assert_array_equal(gaussian(other, 0, 1, 5000), expected)
    np.testing.assert_array_equal(other.state, stream.state)
    stream.state = kept
    np.testing.assert_array_equal(gaussian(stream, 0, 1, 5000), expected)


def test_without_a_seed_the_system_gives_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mersenne.os, "urandom", lambda n: (1701).to_bytes(n, "little"))
    assert Mersenne().word() == 384112814
    monkeypatch.undo()
    assert Mersenne().raw(4).tolist() != Mersenne().raw(4).tolist()


@pytest.mark.parametrize(("seed", "low_bits"), [(-1, 4294967295), (2**32, 0), (2**32 + 5, 5)])
def test_a_seed_that_is_no_word_is_refused(seed: int, low_bits: int) -> None:
    words = rf"from 0 to 4294967295, got {seed}; Caffe would keep its low 32 bits, {low_bits}$"
    with pytest.raises(InputError, match=words):
        Mersenne(seed)


@pytest.mark.parametrize(
    "state",
    [
        np.zeros(624, np.uint32),
        np.zeros(625, np.int64),
        np.full(625, 625, np.uint32),
    ],
    ids=["short", "type", "place"],
)
def test_a_state_that_is_none_is_refused(state: np.ndarray) -> None:
    with pytest.raises(
        InputError, match=r"624 words and a place from 0 to 624, uint32 \(625,\); got"
    ):
        Mersenne(1).state = state
