"""glibc's ``rand()``, and the shuffle that libstdc++ builds on it.

Caffe never seeds it, so HDF5Data's order is the same in every run; the original GOTURN samples its
training examples from it.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchcaffe.errors import InputError

Words = NDArray[np.uint32]

RAND_MAX = 2**31 - 1
DEGREE = 31
"""Words of state; each new word is the sum of those 3 and 31 places before it."""

STRIDE = 992
"""Words made at a time."""

DISCARDED = 310
"""Words that srand draws and throws away."""


class LibcRand:
    """The stream of ``rand()``: additive feedback of degree 31 (glibc's TYPE_3, its default).

    seed   what ``srand`` was given, taken modulo 2**32; 1 in a program that never calls srand
    """

    def __init__(self, seed: int = 1) -> None:
        self._place = DEGREE
        self._words = _seeded(seed)
        self.rand(DISCARDED)

    def rand(self, n: int) -> NDArray[np.int64]:
        """The next ``n`` numbers, from 0 to RAND_MAX; (n,) int64."""
        out = np.empty(n, np.int64)
        filled = 0
        while filled < n:
            self._need_words()
            part = self._words[self._place : self._place + n - filled]
            out[filled : filled + part.size] = part >> np.uint32(1)
            self._place += part.size
            filled += part.size
        return out

    def number(self) -> int:
        """The next number."""
        self._need_words()
        self._place += 1
        return int(self._words[self._place - 1]) >> 1

    @property
    def state(self) -> Words:
        """Where the stream stands: the last 31 words, (31,). Setting it continues from there."""
        return self._words[self._place - DEGREE : self._place].copy()

    @state.setter
    def state(self, state: Words) -> None:
        if state.shape != (DEGREE,) or state.dtype != np.uint32:
            raise InputError(
                f"the state of a rand() stream is uint32 ({DEGREE},), "
                f"got {state.dtype} {state.shape}"
            )
        self._words, self._place = state.copy(), DEGREE

    def _need_words(self) -> None:
        """Make the next words if all are used; the last 31 stay in front of them, as the state."""
        if self._place == self._words.size:
            past = self._words[-DEGREE:]
            self._words, self._place = np.append(past, _stride() @ past), DEGREE


def _seeded(seed: int) -> Words:
    """The words that srand leaves: a minimal-standard generator, as C divides signed numbers."""
    word = seed % 2**32 or 1
    word -= 2**32 if word > RAND_MAX else 0
    words = [word]
    for _ in range(DEGREE - 1):
        quotient = abs(word) // 127773 * (1 if word >= 0 else -1)
        word = 16807 * (word - 127773 * quotient) - 2836 * quotient
        word += RAND_MAX if word < 0 else 0
        words.append(word)
    # The first words are added to those 3 places later before they are to those 31 later.
    return np.array(words[3:] + words[:3], np.int64).astype(np.uint32)


@cache
def _stride() -> Words:
    """The next STRIDE words as sums of the last 31, modulo 2**32: (STRIDE, 31)."""
    rows = list(np.eye(DEGREE, dtype=np.uint32))
    for _ in range(STRIDE):
        rows.append(rows[-3] + rows[-DEGREE])
    return np.array(rows[DEGREE:])


def random_shuffle(stream: LibcRand, items: MutableSequence[Any]) -> None:
    """Put ``items`` in the order in which ``std::random_shuffle`` of libstdc++ leaves them."""
    places = np.arange(1, len(items))
    for place, other in enumerate((stream.rand(places.size) % (places + 1)).tolist(), 1):
        items[place], items[other] = items[other], items[place]
