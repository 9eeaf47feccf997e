"""Compare two arrays as a person would: shape, dtype, what is not finite, then values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from torchcaffe.layers._exactness import Exactness, accumulated, bitwise, ulp

Array = np.ndarray[Any, np.dtype[Any]]

UNIT = 2.0**-24
"""The unit roundoff of float32."""

MARGIN = 4
"""How far a rounding error may stray from its expected size; see ``accumulated``."""


@dataclass(frozen=True)
class Sensitivity:
    """The float64 answer, and how strongly it depends on its inputs and weights.

    ``scale`` is, for each element y, the root of the sum of squares of dy/da_i * a_i.
    """

    value: Array
    scale: Array


@dataclass(frozen=True)
class Difference:
    """The verdict on one pair of arrays.

    ``met`` is the strictest class that the pair meets, None if shapes, types or the patterns of
    NaN and infinities differ. ``index`` is the worst element; ``needed`` how much it needs
    of what ``allowed`` counts (ulp, or roundings), and ``spread`` how many elements need up to
    ``2**e`` of that, as pairs of e and the number. ``largest`` is the largest finite magnitude in
    theirs, ``nonfinite`` how many elements are NaN or infinite on both sides.
    """

    name: str
    allowed: Exactness
    met: Exactness | None
    reason: str
    max_abs: float = 0.0
    max_rel: float = 0.0
    max_ulp: int = 0
    index: tuple[int, ...] = ()
    ours: float = 0.0
    theirs: float = 0.0
    needed: float = 0.0
    largest: float = 0.0
    nonfinite: int = 0
    spread: tuple[tuple[int, int], ...] = ()

    @property
    def error(self) -> float:
        """The largest difference as a part of the largest value; infinite if not comparable."""
        if self.met is None:
            return float("inf")
        return self.max_abs / self.largest if self.largest else self.max_abs

    @property
    def share(self) -> float:
        """How much of what is allowed the worst element needs; above 1, the pair fails."""
        if self.met is None:
            return float("inf")
        if self.met == bitwise():
            return 0.0
        return self.needed / self.allowed.size if self.allowed.size else float("inf")

    @property
    def passed(self) -> bool:
        """Whether the pair meets the class it is held to."""
        return self.met is not None and self.met <= self.allowed

    def __str__(self) -> str:
        if self.met is None:
            return f"{self.name}: {self.reason}"
        at = f" at {self.index}" if self.index else ""
        verdict = "within" if self.passed else "not within"
        return (
            f"{self.name}: ours {self.ours:.9g}, theirs {self.theirs:.9g}{at}; absolute "
            f"{self.max_abs:.3g}, relative {self.max_rel:.3g}, {self.max_ulp} ulp; "
            f"{verdict} {self.allowed}, {self.met} would pass"
        )


def compare(
    name: str,
    ours: Array,
    theirs: Array,
    allowed: Exactness,
    sensitivity: Sensitivity | None = None,
) -> Difference:
    """Hold ``ours`` against ``theirs``.

    Zeros of both signs count as equal, NaNs as equal to NaNs. Where ``allowed`` is accumulated,
    ``sensitivity`` says how much a rounding of the inputs changes each element; without it, an
    element counts as its own sensitivity.
    """
    for what, mine, other in (
        ("shape", ours.shape, theirs.shape),
        ("dtype", ours.dtype, theirs.dtype),
    ):
        if mine != other:
            return Difference(name, allowed, None, f"{what} is {mine}, theirs is {other}")
    if not ours.size:
        return Difference(name, allowed, bitwise(), "equal (empty)")
    odd = ~np.isfinite(theirs)
    same = np.where(odd, (ours == theirs) | (np.isnan(ours) & np.isnan(theirs)), np.isfinite(ours))
    if not same.all():
        index = _first(~same)
        return Difference(
            name,
            allowed,
            None,
            f"ours is {ours[index]} at {index}, theirs {theirs[index]}: the patterns of NaN and "
            f"infinity differ",
            index=index,
        )
    found = _values(name, ours, theirs, ~odd, allowed, sensitivity)
    largest = np.max(np.abs(theirs), where=~odd, initial=0.0)
    return replace(found, largest=float(largest), nonfinite=int(odd.sum()))


def _first(mask: Array) -> tuple[int, ...]:
    return tuple(int(part) for part in np.unravel_index(int(mask.argmax()), mask.shape))


def _values(
    name: str,
    ours: Array,
    theirs: Array,
    finite: Array,
    allowed: Exactness,
    sensitivity: Sensitivity | None,
) -> Difference:
    places = np.flatnonzero(finite & (ours != theirs))
    if not places.size:
        return Difference(name, allowed, bitwise(), "equal")
    mine, other = ours.reshape(-1)[places], theirs.reshape(-1)[places]
    a, b = mine.astype(np.float64), other.astype(np.float64)
    gap = np.abs(a - b)
    ulps = ulp_distance(mine, other)
    roundings = _roundings(a, b, gap, sensitivity, places)
    needed = roundings if allowed.kind == "accumulated" else ulps
    worst, most = int(needed.argmax()), int(ulps.max())
    candidates = [ulp(most), accumulated(float(roundings.max()))]
    # A class is met for what it promises: a few ulp, or a few roundings of what went in.
    met = candidates[0] if allowed.kind == "ulp" or most <= 1 else candidates[1]
    with np.errstate(divide="ignore"):
        relative = float(np.max(gap / np.abs(b)))
    return Difference(
        name,
        allowed,
        met,
        "values differ",
        max_abs=float(gap.max()),
        max_rel=relative,
        max_ulp=most,
        index=tuple(int(part) for part in np.unravel_index(places[worst], ours.shape)),
        ours=float(mine[worst]),
        theirs=float(other[worst]),
        needed=float(needed[worst]),
        spread=_spread(needed),
    )


def _roundings(
    a: Array, b: Array, gap: Array, sensitivity: Sensitivity | None, places: Array
) -> Array:
    """The k of ``accumulated(k)`` that each element needs; infinite where none would do."""
    error, size = gap, np.maximum(np.abs(a), np.abs(b))
    if sensitivity is not None:
        exact = sensitivity.value.reshape(-1)[places]
        error = np.maximum(np.abs(a - exact), np.abs(b - exact))
        size = sensitivity.scale.reshape(-1)[places] + np.abs(exact)
    tiny = float(np.finfo(np.float32).tiny)
    needed: Array = error / (MARGIN * UNIT * size + tiny * UNIT)
    return needed


def _spread(needed: Array) -> tuple[tuple[int, int], ...]:
    powers = np.frexp(needed[np.isfinite(needed)])[1]
    found, counts = np.unique(powers, return_counts=True)
    return tuple((int(power), int(count)) for power, count in zip(found, counts, strict=True))


def ulp_distance(ours: Array, theirs: Array) -> Array:
    """How many float32 numbers lie between each pair of finite numbers."""
    distance: Array = np.abs(_ordered(ours) - _ordered(theirs))
    return distance


def _ordered(values: Array) -> Array:
    """float32 as integers in the same order, both zeros at 0."""
    bits = np.ascontiguousarray(values, np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
