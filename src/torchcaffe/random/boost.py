"""Boost's uniform, Bernoulli and integer distributions on Caffe's stream, bit for bit.

All arithmetic is float32 with each operation rounded, unless a function says otherwise. Boost's
normal distribution is in ``normal``. These have been the same in every Boost from 1.47 to 1.74.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchcaffe.errors import InputError
from torchcaffe.random.mersenne import Mersenne

Floats = NDArray[np.float32]

CHUNK = 1 << 16
"""Words handled at a time, so that temporaries stay in the cache."""

FLOAT_MAX = np.finfo(np.float32).max
HALF = np.float32(0.5)
WORD_UNIT = np.float32(2.0**-32)
WORD_MAX = 2**32 - 1


def uniform(stream: Mersenne, low: float, high: float, n: int) -> Floats:
    """``n`` floats from ``low`` to ``high``, both attainable; (n,) float32.

    Draws one word a value, and one more for each that would lie above ``high``. Raises InputError
    unless low <= high and both are finite.
    Caffe  caffe_rng_uniform, over boost::uniform_real<float> to the float after ``high``.
    """
    first, last = np.float32(low), np.float32(high)
    top = np.nextafter(last, FLOAT_MAX) if np.isfinite(last) else last
    if not (np.isfinite(first) and np.isfinite(top) and first < top):
        raise InputError(
            f"a uniform distribution needs min <= max, both finite, "
            f"got min {first:g} and max {last:g}"
        )
    # Boost halves a range whose width is no float.
    if top * HALF - first * HALF > FLOAT_MAX * HALF:
        return _below(stream, first * HALF, top * HALF, n) * np.float32(2)
    return _below(stream, first, top, n)


def unit(stream: Mersenne, n: int) -> Floats:
    """``n`` floats in [0, 1), (n,); a word that rounds to 1 is passed over."""
    return _below(stream, np.float32(0), np.float32(1), n)


def _below(stream: Mersenne, low: np.float32, top: np.float32, n: int) -> Floats:
    """``n`` floats in [low, top)."""
    out = np.empty(n, np.float32)
    width = top - low
    filled = 0
    while filled < n:
        values = stream.raw(min(n - filled, CHUNK)).astype(np.float32)
        values *= WORD_UNIT
        values *= width
        values += low
        inside = values < top
        kept = int(np.count_nonzero(inside))
        out[filled : filled + kept] = values if kept == values.size else values[inside]
        filled += kept
    return out


def bernoulli(
    stream: Mersenne, p: float, n: int, dtype: type[np.floating[Any]] = np.float64
) -> NDArray[np.bool_]:
    """``n`` booleans that are true with probability ``p``; (n,).

    ``dtype`` is the type in which Caffe compares: float64 for Dropout, float32 for the sparse
    filler. Draws a word a value, and none when p is 0. Raises InputError unless 0 <= p <= 1.
    """
    chance = dtype(p)
    if not 0 <= chance <= 1:
        raise InputError(f"a probability lies between 0 and 1, got {p}")
    if chance == 0:
        return np.zeros(n, np.bool_)
    limit = chance * dtype(WORD_MAX)
    out = np.empty(n, np.bool_)
    for start in range(0, n, CHUNK):
        words = stream.raw(min(n - start, CHUNK))
        if dtype is np.float64:
            # Every word is a double, so the comparison is that of whole numbers.
            np.less_equal(words, np.uint32(limit), out=out[start : start + CHUNK])
        else:
            np.less_equal(words.astype(dtype), limit, out=out[start : start + CHUNK])
    return out


def dropout_mask(stream: Mersenne, ratio: float, n: int) -> NDArray[np.bool_]:
    """Which of ``n`` elements a dropout layer keeps, (n,); draws as ``bernoulli`` does.

    Caffe  dropout_layer.cpp: the ratio is a float, its complement is taken and compared in double.
    """
    return bernoulli(stream, 1.0 - float(np.float32(ratio)), n, np.float64)


def integer(stream: Mersenne, top: int) -> int:
    """A whole number from 0 to ``top``, both included; ``top`` below 2**32, and 0 draws nothing."""
    if not 0 <= top <= WORD_MAX:
        raise InputError(f"a random whole number is drawn from 0 to at most {WORD_MAX}, not {top}")
    if top == 0:
        return 0
    bucket = int(_bucket(top))
    while True:
        value = stream.word() // bucket
        if value <= top:
            return value


def _bucket(top: Any) -> Any:
    """How many words share one value of 0 to ``top``; elementwise for an array."""
    values = top + 1
    return WORD_MAX // values + (WORD_MAX % values == top)


def shuffle(stream: Mersenne, items: MutableSequence[Any]) -> None:
    """Put ``items`` in the order in which Caffe's own shuffle leaves them.

    Caffe  util/rng.hpp (shuffle), which ImageData uses: from the last item to the second, each
           changes places with one of those up to itself.
    """
    last = len(items) - 1
    while last > 0:
        picks = _picks(stream, last, min(last, CHUNK))
        for place, other in zip(range(last, 0, -1), picks, strict=False):
            items[place], items[other] = items[other], items[place]
        last -= len(picks)


def _picks(stream: Mersenne, last: int, n: int) -> list[int]:
    """``integer(last)``, ``integer(last - 1)``, ...: as many as ``n`` words make."""
    words = stream.raw(n).astype(np.int64)
    picks: list[int] = []
    while words.size:
        tops = last - len(picks) - np.arange(words.size)
        values = words // _bucket(tops)
        refused = np.flatnonzero(values > tops)
        kept = int(refused[0]) if refused.size else words.size
        picks.extend(values[:kept].tolist())
        words = words[kept + 1 :]
    return picks
