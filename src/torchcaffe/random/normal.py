"""Boost's normal distribution on Caffe's stream, bit for bit, in its three historical forms.

All arithmetic is float32 with each operation rounded, unless a function says otherwise. exp, log,
sin and cos are taken in double and rounded. For the ziggurat of today that gives Boost's very bits.
The older forms carry the last bits of whichever C library computed them: beside glibc 2.36, one
tail value in 6000 of the older ziggurat differs by 1 ulp, and 15 Box-Muller values in 1000 by up to
3. The place in the stream is exact in all three.

A value takes one word in 97 of 100 cases, and otherwise as many as it needs. So a chunk of words is
first read as if each began a value; those few that do not make one by themselves are then taken in
order, as the words that they use up begin nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from torchcaffe.errors import InputError
from torchcaffe.random.boost import WORD_UNIT, unit
from torchcaffe.random.mersenne import Mersenne
from torchcaffe.random.ziggurat import exponential, normal

Floats = NDArray[np.float32]
Bits = NDArray[np.bool_]

BoostVersion = Literal[">=1.64", "1.56-1.63", "<1.56"]
"""The Boost that Caffe was built with: its normal distribution changed twice."""

CURRENT: BoostVersion = ">=1.64"

CHUNK = 1 << 16
"""Words handled at a time, so that temporaries stay in the cache."""

REDRAWN = 2**32 - 128
"""The first word that is 1 as a float of the unit interval, and so is passed over."""

MANTISSA_UNIT = np.float32(2.0**-24)
ONE, TWO = np.float32(1), np.float32(2)


def gaussian(
    stream: Mersenne, mean: float, std: float, n: int, boost: BoostVersion = CURRENT
) -> Floats:
    """``n`` normal values, (n,) float32; raises InputError unless std > 0.

    Caffe  caffe_rng_gaussian, over the boost::normal_distribution<float> of the version ``boost``.
           One call is one distribution: of an odd number of Box-Muller values, the last one's twin
           is lost.
    """
    centre, spread = np.float32(mean), np.float32(std)
    if not spread > 0:
        raise InputError(f"a normal distribution needs std above 0, got {spread:g}")
    if boost not in get_args(BoostVersion):
        known = ", ".join(get_args(BoostVersion))
        raise InputError(f'boost must be one of {known}, got "{boost}"')
    out = np.empty(n, np.float32)
    filled = 0
    with np.errstate(over="ignore", invalid="ignore"):
        while filled < n:
            # As no value takes less than a word, this many words never hold a value too many.
            share = min(n - filled, CHUNK)
            values = (
                _box_muller(stream, share)
                if boost == "<1.56"
                else _ziggurat(stream, stream.raw(share), boost)
            )
            values *= spread
            values += centre
            out[filled : filled + values.size] = values
            filled += values.size
    return out


def _box_muller(stream: Mersenne, n: int) -> Floats:
    """``n`` unit normals, two from each pair of words; an odd ``n`` loses the last."""
    units = unit(stream, n + n % 2)
    log = np.log((ONE - units[1::2]).astype(np.float64)).astype(np.float32)
    length = np.sqrt(-TWO * log)
    # Two pi is a float before the unit is multiplied in.
    angle = (np.float32(2 * np.pi) * units[0::2]).astype(np.float64)
    both = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    both *= length[:, None]
    return both.reshape(-1)[:n]


@dataclass(frozen=True, eq=False)
class _Buckets:
    """What the low byte of a word decides: the sign (its lowest bit) and the layer (the rest)."""

    slope: Floats
    """By what the word's upper 24 bits are multiplied to give a signed place in the layer."""
    limit: NDArray[np.uint32]
    """The first word whose place lies beyond the next layer's edge."""


@cache
def _buckets() -> _Buckets:
    tables = normal()
    edges = tables.x32[:-1]
    # Near where the comparison turns, try it, as it is between a rounded product and a double.
    near = np.floor(tables.x[1:] / edges * 2**24)[:, None] + np.arange(-8, 8)
    places = (near * 2.0**-24).astype(np.float32) * edges[:, None]
    inside = places.astype(np.float64) < tables.x[1:, None]
    limit = (near[:, 0] + inside.sum(axis=1)).astype(np.uint32) << np.uint32(8)
    signs = np.array([-1, 1], np.float32)
    return _Buckets(np.outer(edges * MANTISSA_UNIT, signs).reshape(-1), np.repeat(limit, 2))


def _ziggurat(stream: Mersenne, words: NDArray[np.uint32], boost: BoostVersion) -> Floats:
    """The unit normals that begin in ``words``; what the last one lacks comes from the stream."""
    buckets = _buckets()
    bucket = (words & np.uint32(255)).astype(np.intp)
    values = (words >> np.uint32(8)).astype(np.float32)
    values *= buckets.slope.take(bucket)
    accepted = words < buckets.limit.take(bucket)
    open_places = np.flatnonzero(~accepted)
    plain = _settle_in_order(stream, words, values, accepted, open_places, boost)
    accepted[plain + 1] = False
    unit = words[plain + 1].astype(np.float32) * WORD_UNIT
    accepted[plain] = _under_curve(np.abs(values[plain]), bucket[plain] >> 1, unit, boost)
    return values[accepted]


def _settle_in_order(
    stream: Mersenne,
    words: NDArray[np.uint32],
    values: Floats,
    accepted: Bits,
    open_places: NDArray[np.intp],
    boost: BoostVersion,
) -> NDArray[np.intp]:
    """Give those of ``open_places`` that begin a value and use just one word more.

    Those that begin a value and may use several are settled here, in ``values`` and ``accepted``.
    """
    following = np.append(words[1:], np.uint32(REDRAWN))[open_places]
    in_tail = (words[open_places] & np.uint32(255)) < 2
    several = in_tail | (following >= REDRAWN)
    plain = []
    free = 0
    for place, uses_several in zip(open_places.tolist(), several.tolist(), strict=True):
        if place < free:
            continue
        if not uses_several:
            plain.append(place)
            free = place + 2
            continue
        rest = _Reader(stream, words, place + 1)
        sign = np.float32(1 if words[place] & 1 else -1)
        value = _settle_one(rest, int(words[place] & 255) >> 1, np.abs(values[place]), boost)
        free = rest.place
        accepted[place + 1 : free] = False
        if value is not None:
            values[place], accepted[place] = value * sign, True
    return np.array(plain, np.intp)


class _Reader:
    """Words one by one: those of a chunk from ``place`` on, and then the stream's."""

    def __init__(self, stream: Mersenne, words: NDArray[np.uint32], place: int) -> None:
        self.stream = stream
        self.words = words
        self.place = place

    def word(self) -> int:
        self.place += 1
        if self.place <= self.words.size:
            return int(self.words[self.place - 1])
        return self.stream.word()

    def unit(self) -> np.float32:
        """A float in [0, 1)."""
        while True:
            value = np.float32(self.word()) * WORD_UNIT
            if value < ONE:
                return value


def _settle_one(rest: _Reader, layer: int, x: np.float32, boost: BoostVersion) -> Any:
    """The size of a value that begins in ``layer`` at ``x``; None if it is refused."""
    if layer == 0:
        return _tail(rest, boost)
    one = np.array([x]), np.array([layer]), np.array([rest.unit()])
    return x if _under_curve(*one, boost)[0] else None


def _under_curve(x: Floats, layer: NDArray[np.intp], unit: Floats, boost: BoostVersion) -> Bits:
    """Whether a point at ``x``, ``unit`` of the way up its layer, lies under exp(-x*x/2).

    From Boost 1.64 on, a chord and a tangent decide first: rounding makes them differ from the
    curve in a few points, so they are not only a short cut.
    """
    tables = normal()
    edge, height = tables.x32[layer], tables.y32[layer]
    y = height + unit * tables.rise[layer]
    under = y < _exp(-(x * x / TWO))
    if boost == "1.56-1.63":
        return np.asarray(under)
    chord = tables.run[layer] * unit - (edge - x)
    tangent = y - (height + (edge - x) * height * edge)
    # Where the curve bends outward, left of x = 1, chord and tangent change places.
    outer = tables.x[layer] >= 1
    upper, lower = np.where(outer, chord, tangent), np.where(outer, tangent, chord)
    return np.asarray((upper < 0) & ((lower < 0) | under))


def _tail(rest: _Reader, boost: BoostVersion) -> np.float32:
    """A value beyond the edge of the lowest layer."""
    draw = _exponential if boost == CURRENT else _exponential_by_log
    start = normal().x32[1]
    while True:
        beyond = draw(rest) / start
        height = draw(rest)
        if TWO * height > beyond * beyond:
            return np.float32(beyond + start)


def _exponential_by_log(rest: _Reader) -> np.float32:
    return np.float32(-np.log(np.float64(ONE - rest.unit())))


def _exponential(rest: _Reader) -> np.float32:
    """A value of density exp(-x), by a ziggurat of 256 layers."""
    tables = exponential()
    shift = np.float32(0)
    while True:
        word = rest.word()
        layer = word & 255
        x = np.float32(word >> 8) * MANTISSA_UNIT * tables.x32[layer]
        if x < tables.x32[layer + 1]:
            return np.float32(shift + x)
        if layer == 0:
            shift += tables.x32[1]
        elif _under_decay(x, layer, rest.unit()):
            return np.float32(x + shift)


def _under_decay(x: np.float32, layer: int, unit: np.float32) -> bool:
    tables = exponential()
    height, inner_edge, inner_height = (
        tables.y32[layer],
        tables.x32[layer + 1],
        tables.y32[layer + 1],
    )
    y = height + unit * tables.rise[layer]
    upper = tables.run[layer] * unit - (tables.x32[layer] - x)
    lower = y - (inner_height + (inner_edge - x) * inner_height)
    return bool(upper < 0 and (lower < 0 or y < _exp(-x)))


def _exp(x: Any) -> Any:
    return np.exp(np.asarray(x, np.float64)).astype(np.float32)
