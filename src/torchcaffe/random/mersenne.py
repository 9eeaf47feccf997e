"""Caffe's random engine: one 32-bit Mersenne twister per thread, shared by all that draws."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchcaffe.errors import InputError

WORDS = 624
"""Words of state in the generator."""


class Mersenne:
    """A stream of 32-bit words: ``boost::mt19937``, seeded as Caffe seeds it.

    seed   0 to 2**32 - 1; without one, four bytes of the operating system's noise
    Caffe  src/caffe/common.cpp (RNG) and Boost's mersenne_twister.hpp.  Nothing is drawn ahead:
           after any draw, the stream stands where Caffe's would.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is None:
            seed = int.from_bytes(os.urandom(4), "little")
        if not 0 <= seed < 2**32:
            raise InputError(
                f"a seed is a whole number from 0 to {2**32 - 1}, got {seed}; "
                f"Caffe would keep its low 32 bits, {seed % 2**32}"
            )
        self._engine = np.random.MT19937()
        self.state = np.append(_seeded(seed), np.uint32(WORDS))

    def raw(self, n: int) -> NDArray[np.uint32]:
        """The next ``n`` words."""
        return self._engine.random_raw(n).astype(np.uint32)

    def word(self) -> int:
        """The next word."""
        return int(self._engine.random_raw())

    @property
    def state(self) -> NDArray[np.uint32]:
        """Where the stream stands, (625,): the generator's 624 words and the place among them.

        Setting it continues from there, bit for bit; a state is an array, so that any file of
        arrays can keep it.
        """
        inside: Any = self._engine.state["state"]
        return np.append(inside["key"], inside["pos"]).astype(np.uint32)

    @state.setter
    def state(self, state: NDArray[np.uint32]) -> None:
        if state.shape != (WORDS + 1,) or state.dtype != np.uint32 or state[WORDS] > WORDS:
            raise InputError(
                f"the state of a Mersenne stream is {WORDS} words and a place from 0 to {WORDS}, "
                f"uint32 ({WORDS + 1},); got {state.dtype} {state.shape} ending in {state[-1:]}"
            )
        self._engine.state = {
            "bit_generator": "MT19937",
            "state": {"key": state[:WORDS], "pos": int(state[WORDS])},
        }


def _seeded(seed: int) -> NDArray[np.uint32]:
    """The 624 words that Knuth's multiplier makes of a seed."""
    words = [seed]
    for place in range(1, WORDS):
        last = words[-1]
        words.append((1812433253 * (last ^ last >> 30) + place) % 2**32)
    return np.array(words, np.uint32)
