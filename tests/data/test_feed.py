"""Batches made ahead come in order, and nothing is lost to an error, a copy or a way back."""

import copy
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from torchcaffe.data import Ahead, Feed
from torchcaffe.errors import InputError


class Counting(Feed):
    """Counts; fails at one number once it is told to."""

    shapes = [(1,)]
    ahead = 3

    def __init__(self) -> None:
        self.place = 0
        self.bad = -1
        self.threads: set[int] = set()

    def batch(self) -> tuple[np.ndarray, ...]:
        self.threads.add(threading.get_ident())
        time.sleep(0.001)
        if self.place == self.bad:
            raise InputError(f"{self.place} is bad")
        self.place += 1
        return (np.array([self.place - 1.0]),)

    def state(self) -> dict[str, Any]:
        return {"place": self.place}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.place = state["place"]


def take(ahead: Ahead, count: int) -> list[float]:
    return [float(ahead.batch()[0][0]) for _ in range(count)]


def test_order() -> None:
    feed = Counting()
    assert take(Ahead(feed), 50) == list(range(50))
    assert len(feed.threads) == 1 and threading.get_ident() not in feed.threads


def test_state_is_that_of_what_was_delivered() -> None:
    ahead = Ahead(Counting())
    assert ahead.state() == {"place": 0}
    take(ahead, 5)
    time.sleep(0.02)
    assert ahead.state() == {"place": 5}
    ahead.restore({"place": 2})
    assert ahead.state() == {"place": 2}
    assert take(ahead, 6) == [2, 3, 4, 5, 6, 7]


def test_an_error_comes_at_its_place_and_again() -> None:
    feed = Counting()
    feed.bad = 4
    ahead = Ahead(feed)
    assert take(ahead, 4) == [0, 1, 2, 3]
    for _ in range(3):
        with pytest.raises(InputError, match="4 is bad"):
            ahead.batch()
    feed.bad = -1
    assert take(ahead, 3) == [4, 5, 6]


def test_an_error_at_the_first_batch() -> None:
    feed = Counting()
    feed.bad = 0
    ahead = Ahead(feed)
    for _ in range(2):
        with pytest.raises(InputError, match="0 is bad"):
            ahead.batch()
    assert ahead.state() == {"place": 0}


def test_a_copy_leaves_the_order_alone() -> None:
    ahead = Ahead(Counting())
    take(ahead, 3)
    twin = copy.deepcopy(ahead)
    assert take(ahead, 4) == take(twin, 4) == [3, 4, 5, 6]


def test_a_change_happens_where_the_batches_end() -> None:
    ahead = Ahead(Counting())
    take(ahead, 3)
    seen = []
    ahead.change(lambda feed: seen.append(feed.state()))
    assert seen == [{"place": 3}] and take(ahead, 2) == [3, 4]
