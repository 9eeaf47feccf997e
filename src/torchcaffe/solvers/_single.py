"""Numbers as Caffe's solvers hold them: float32."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import numpy as np


def single(value: float) -> float:
    """``value`` rounded to float32.

    Double has enough digits that the sum, product or quotient of two float32 numbers, computed in
    it and then rounded here, is what float32 arithmetic gives.
    """
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def powf(base: float, exponent: float) -> float:
    """libm's powf, which ``**`` of numpy's scalars is; ``numpy.power`` is not."""
    with np.errstate(all="ignore"):
        return float(np.float32(base) ** np.float32(exponent))


def expf(value: float) -> float:
    """libm's expf; without a libm to call, exp rounded, which differs once in 2000 numbers."""
    function = _expf()
    with np.errstate(all="ignore"):
        return function(value) if function else single(float(np.exp(np.float64(value))))


@cache
def _expf() -> Callable[[float], float] | None:
    try:
        function = ctypes.CDLL(None).expf
    except (OSError, TypeError, AttributeError):
        return None
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
    return lambda value: float(function(value))
