"""Compare two arrays as a person would: shape, dtype, what is not finite, then values."""

from __future__ import annotations

from dataclasses import dataclass
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
    NaN and infinities differ. ``index`` is the worst element.
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
    return _values(name, ours, theirs, ~odd, allowed, sensitivity)


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
    a = np.where(finite, ours, 0).astype(np.float64)
    b = np.where(finite, theirs, 0).astype(np.float64)
    gap = np.abs(a - b)
    if not gap.any():
        return Difference(name, allowed, bitwise(), "equal")
    ulps = ulp_distance(ours, theirs, finite)
    roundings = _roundings(a, b, gap, sensitivity, finite)
    worst = _first(roundings if allowed.kind == "accumulated" else ulps)
    most = int(ulps.max())
    candidates = [ulp(most), accumulated(float(roundings.max()))]
    # A class is met for what it promises: a few ulp, or a few roundings of what went in.
    met = candidates[0] if allowed.kind == "ulp" or most <= 1 else candidates[1]
    with np.errstate(divide="ignore"):
        relative = float(np.max(np.divide(gap, np.abs(b), out=np.zeros_like(gap), where=gap > 0)))
    return Difference(
        name,
        allowed,
        met,
        "values differ",
        max_abs=float(gap.max()),
        max_rel=relative,
        max_ulp=most,
        index=worst,
        ours=float(ours[worst]),
        theirs=float(theirs[worst]),
    )


def _roundings(
    a: Array, b: Array, gap: Array, sensitivity: Sensitivity | None, finite: Array
) -> Array:
    """The k of ``accumulated(k)`` that each element needs; infinite where none would do."""
    if sensitivity is None:
        error, size = gap, np.maximum(np.abs(a), np.abs(b))
    else:
        exact = np.where(finite, sensitivity.value, 0)
        error = np.maximum(np.abs(a - exact), np.abs(b - exact))
        error = np.where(gap > 0, error, 0)
        size = np.where(finite, sensitivity.scale, 0) + np.abs(exact)
    tiny = float(np.finfo(np.float32).tiny)
    return error / (MARGIN * UNIT * size + tiny * UNIT)


def ulp_distance(ours: Array, theirs: Array, where: Array) -> Array:
    """How many float32 numbers lie between each pair (0 outside ``where``)."""
    return np.where(where, np.abs(_ordered(ours) - _ordered(theirs)), 0)


def _ordered(values: Array) -> Array:
    """float32 as integers in the same order, both zeros at 0."""
    bits = np.ascontiguousarray(values, np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
