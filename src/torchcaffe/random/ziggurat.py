"""The tables of Boost's two ziggurats, built from what defines them.

A ziggurat covers the area under a falling curve f by layers of equal area V. Its lowest layer is a
rectangle up to r and the tail beyond; ``x[0] = V / f(r)`` is the width that this layer would have
without a tail. Each next edge lies where the curve is V / x higher, until the curve's top at x = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache

import numpy as np
from numpy.typing import NDArray

DIGITS = 60
"""Digits carried: enough that every double comes out as it would from exact arithmetic."""

FRACTION_DEPTH = 600
"""Terms of the continued fraction; at r = 3.4, 500 give 60 digits."""

NORMAL_LAYERS, NORMAL_EDGE = 128, Decimal("3.442619855896652121424")
EXPONENTIAL_LAYERS, EXPONENTIAL_EDGE = 256, Decimal("7.697117470131049714045")

Floats = NDArray[np.float32]
Curve = Callable[[Decimal], Decimal]


@dataclass(frozen=True, eq=False)
class Ziggurat:
    """Right edges ``x`` and heights ``y`` of the layers, bottom to top, (layers + 1,) float64.

    The rest is float32, as Boost rounds them at each use: the same two, and for each layer ``run``,
    how much narrower the next one is, and ``rise``, how much higher it lies.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    x32: Floats
    y32: Floats
    run: Floats
    rise: Floats


@cache
def normal() -> Ziggurat:
    """The curve exp(-x*x/2) in 128 layers."""
    with localcontext() as context:
        context.prec = DIGITS
        r = NORMAL_EDGE
        tail = Decimal(0)
        for k in range(FRACTION_DEPTH, 0, -1):
            tail = k / (r + tail)
        # Beyond r the curve covers f(r) / (r + 1/(r + 2/(r + 3/(r + ...)))).
        area = _bell(r) * (r + 1 / (r + tail))
        return _build(NORMAL_LAYERS, r, area, _bell, lambda y: (-2 * y.ln()).sqrt())


@cache
def exponential() -> Ziggurat:
    """The curve exp(-x) in 256 layers."""
    with localcontext() as context:
        context.prec = DIGITS
        r = EXPONENTIAL_EDGE
        area = (r + 1) * _decay(r)
        return _build(EXPONENTIAL_LAYERS, r, area, _decay, lambda y: -y.ln())


def _bell(x: Decimal) -> Decimal:
    return (-x * x / 2).exp()


def _decay(x: Decimal) -> Decimal:
    return (-x).exp()


def _build(layers: int, edge: Decimal, area: Decimal, curve: Curve, inverse: Curve) -> Ziggurat:
    edges, heights = [area / curve(edge), edge], [Decimal(0), curve(edge)]
    for _ in range(layers - 2):
        edges.append(inverse(area / edges[-1] + heights[-1]))
        heights.append(curve(edges[-1]))
    x = np.array([float(edge) for edge in [*edges, Decimal(0)]])
    y = np.array([float(height) for height in [*heights, Decimal(1)]])
    rounded = [table.astype(np.float32) for table in (x, y, x[:-1] - x[1:], y[1:] - y[:-1])]
    return Ziggurat(x, y, *rounded)
