"""Streams whose words a test chooses, or reads beside the one under test."""

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from torchcaffe.random import Mersenne


def numpy_words(seed: int, n: int) -> list[int]:
    """The first words after ``seed``, from numpy's own seeding."""
    return RandomState(seed).randint(0, 2**32, n, np.uint32).tolist()


class Scripted(Mersenne):
    """A stream that gives the words of a script, and then those of seed 1; counts what it gave."""

    def __init__(self, script: Sequence[int]) -> None:
        super().__init__(1)
        self.script = deque(script)
        self.given = 0

    def word(self) -> int:
        self.given += 1
        return self.script.popleft() if self.script else super().word()

    def raw(self, n: int) -> NDArray[np.uint32]:
        return np.array([self.word() for _ in range(n)], np.uint32)


class Counted:
    """An iterator that counts what it gave."""

    def __init__(self, words: Iterator[int]) -> None:
        self.words = words
        self.given = 0

    def __call__(self) -> int:
        self.given += 1
        return next(self.words)
