"""Boost's normal distribution, one value at a time, as the reference text tells it."""

import math
from collections.abc import Callable

import numpy as np

from torchcaffe.random import ziggurat

F = np.float32
Words = Callable[[], int]


def unit(word: Words) -> np.float32:
    while True:
        value = F(word()) * F(2.0**-32)
        if value != 1:
            return value


def expf(x: np.float32) -> np.float32:
    return F(math.exp(float(x)))


def ziggurat_value(word: Words, *, squeeze: bool = True) -> np.float32:
    """Boost >= 1.64; without ``squeeze``, 1.56 to 1.63."""
    x_table, y_table = ziggurat.normal().x, ziggurat.normal().y
    while True:
        u = word()
        bucket = u & 255
        i = bucket >> 1
        sign = F(1) if bucket & 1 else F(-1)
        x = F(u >> 8) * F(2.0**-24) * F(x_table[i])
        if float(x) < x_table[i + 1]:
            return sign * x
        if i == 0:
            return sign * tail(word, squeeze)
        v = unit(word)
        y = F(y_table[i]) + v * F(y_table[i + 1] - y_table[i])
        if not squeeze:
            if y < expf(-(x * x / F(2))):
                return sign * x
            continue
        chord = F(x_table[i] - x_table[i + 1]) * v - (F(x_table[i]) - x)
        slope = (F(x_table[i]) - x) * F(y_table[i]) * F(x_table[i])
        tangent = y - (F(y_table[i]) + slope)
        upper, lower = (chord, tangent) if x_table[i] >= 1 else (tangent, chord)
        if upper < 0 and (lower < 0 or y < expf(-(x * x / F(2)))):
            return sign * x


def tail(word: Words, by_ziggurat: bool) -> np.float32:
    start = F(ziggurat.normal().x[1])
    while True:
        if by_ziggurat:
            a = exponential_value(word) / start
            b = exponential_value(word)
        else:
            a = F(-math.log(F(1) - unit(word))) / start
            b = F(-math.log(F(1) - unit(word)))
        if F(2) * b > a * a:
            return a + start


def exponential_value(word: Words) -> np.float32:
    x_table, y_table = ziggurat.exponential().x, ziggurat.exponential().y
    shift = F(0)
    while True:
        u = word()
        i = u & 255
        x = F(u >> 8) * F(2.0**-24) * F(x_table[i])
        if x < F(x_table[i + 1]):
            return shift + x
        if i == 0:
            shift = shift + F(x_table[1])
            continue
        v = unit(word)
        y = F(y_table[i]) + v * F(y_table[i + 1] - y_table[i])
        upper = F(x_table[i] - x_table[i + 1]) * v - (F(x_table[i]) - x)
        rest = (F(x_table[i + 1]) - x) * F(y_table[i + 1])
        lower = y - (F(y_table[i + 1]) + rest)
        if upper < 0 and (lower < 0 or y < expf(-x)):
            return x + shift


def box_muller_pair(word: Words) -> list[np.float32]:
    """Boost < 1.56: two values from two words."""
    r1, r2 = unit(word), unit(word)
    rho = np.sqrt(F(-2) * F(math.log(F(1) - r2)))
    angle = F(2) * F(math.pi) * r1
    return [rho * F(math.cos(angle)), rho * F(math.sin(angle))]
