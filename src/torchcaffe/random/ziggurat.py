"""The tables of Boost's ziggurats, built from what defines them.

A ziggurat covers the area under a falling curve f by layers of equal area V. Its lowest layer is a
rectangle up to r with the tail beyond r; ``x[0] = V / f(r)`` is the width that this layer would have
without a tail. Each next edge lies where the curve is V / x higher.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

DIGITS = 60
"""Enough that every double comes out right; an error grows about a thousandfold on the way up."""

NORMAL_EDGE = Decimal("3.442619855896652121424")
EXPONENTIAL_EDGE = Decimal("7.697117470131049714045")


@dataclass(frozen=True, eq=False)
class Ziggurat:
    """The layers' right edges ``x`` and heights ``y``: (layers + 1,) float64, bottom to top.

    ``x32``, ``y32``, and the steps ``run`` and ``rise`` to the next layer (taken in double) are the
    same, rounded to float32, as Boost rounds them at each use.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def __post_init__(self) -> None:
        rounded = {
            "x32": self.x,
            "y32": self.y,
            "run": self.x[:-1] - self.x[1:],
            "rise": self.y[1:] - self.y[:-1],
        }
        for name, table in rounded.items():
            object.__setattr__(self, name, table.astype(np.float32))

    x32: NDArray[np.float32] = None  # type: ignore[assignment]
    y32: NDArray[np.float32] = None  # type: ignore[assignment]
    run: NDArray[np.float32] = None  # type: ignore[assignment]
    rise: NDArray[np.float32] = None  # type: ignore[assignment]
