"""How close to Caffe a layer is: three declared classes, never a tolerance found by trying.

``bitwise()``
    the same bits, shape and dtype.
``ulp(n)``
    at most ``n`` units in the last place from Caffe.
``accumulated(k)``
    sums whose order the library chooses. With ``u = 2**-24`` (float32's unit roundoff), an answer
    is accepted if it is what inputs, weights and the numbers computed between, off by ``k``
    roundings each, could have given: ``|y - y64| <= 4 * k * u * (S + |y64|)``, where ``y64`` is
    the float64 answer and ``S`` the root of the sum of ``(dy/da_i * a_i)**2`` over all inputs,
    weights and numbers that torch's operators compute on the way. For a dot product of n terms
    that is the root of the sum of ``(a_i * b_i)**2``, and ``sqrt(n) * S`` is about the sum of
    ``|a_i * b_i|``. Rounding errors have no preferred sign, so summing n terms one after the other
    costs about ``sqrt(n) / 2`` roundings (Higham and Mary 2019). ``accumulated()`` stands for that
    of the longest sum that the layer makes, and is 8 for 256 terms or fewer. 4 makes room for the
    unluckiest among millions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import total_ordering
from math import sqrt


@total_ordering
@dataclass(frozen=True)
class Exactness:
    """One of the three classes; ordered from the strictest to the widest."""

    kind: str
    size: float = 0

    RANK = ("bitwise", "ulp", "accumulated")

    def __lt__(self, other: Exactness) -> bool:
        return (self.RANK.index(self.kind), self.size) < (self.RANK.index(other.kind), other.size)

    def __str__(self) -> str:
        return self.kind if self.kind == "bitwise" else f"{self.kind}({self.size:g})"


def bitwise() -> Exactness:
    """Equal bits, shape and dtype."""
    return Exactness("bitwise")


def ulp(n: int) -> Exactness:
    """At most ``n`` units in the last place apart."""
    return Exactness("ulp", n)


LEAST = 8.0
"""The roundings of a sum of 256 terms, and of shorter ones."""


def accumulated(k: float = LEAST) -> Exactness:
    """A sum of terms rounded in another order; ``k`` is the declared number of roundings."""
    return Exactness("accumulated", k)


def of_terms(declared: Exactness, terms: int) -> Exactness:
    """What ``accumulated()`` means for sums of ``terms`` terms; other classes as they are."""
    return accumulated(max(LEAST, sqrt(terms) / 2)) if declared == accumulated() else declared
