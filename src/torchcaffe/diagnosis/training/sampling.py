"""Two sources of samples by their statistics: whether they could be draws of one law.

Whole numbers with few values are compared by how often each occurs (a chi-square test), all others
by their distributions (Kolmogorov and Smirnov's test, in its asymptotic form). ``ALPHA`` is shared
among all tests that are made: two sources of the same law are told apart once in 1,000 diagnoses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from torchcaffe.diagnosis.findings import Cause, Gap, Place
from torchcaffe.errors import InputError

ALPHA = 1e-3
SAMPLES = 4000
FEW = 64

Column = NDArray[np.float64]


@dataclass(frozen=True)
class Test:
    """One statistic of the samples: its test, and the probability of such a difference by chance.

    ``port`` and ``caffe`` are the numbers to show: means, or the most different frequency.
    """

    name: str
    kind: str
    chance: float
    port: float
    caffe: float
    words: str


def compare_samples(port: Any, reference: Any, samples: int = SAMPLES) -> list[Test]:
    """All tests of two data sets, loaders, iterables or functions of a number.

    A sample is a tensor, array or number, or a tuple or mapping of such. Of pictures (3 axes), the
    mean and spread of each channel are compared. Raises InputError for samples of unlike form.
    """
    mine, theirs = _columns(port, samples), _columns(reference, samples)
    if set(mine) != set(theirs):
        raise InputError(
            f"the port's samples have {', '.join(sorted(mine))}, the reference's "
            f"{', '.join(sorted(theirs))}; give both the same form"
        )
    return [_test(name, mine[name], theirs[name]) for name in mine]


def sampling_cause(tests: Sequence[Test]) -> Cause:
    """What the tests say: another law, or another stream of the same."""
    worst = min(tests, key=lambda test: test.chance)
    wrong = [test for test in tests if test.chance < ALPHA / len(tests)]
    made = f"{len(tests)} tests at an error rate of {ALPHA:g} for all together"
    if not wrong:
        return Cause(
            "random-stream",
            (),
            Place("dataset"),
            "Your samples are other draws than the reference sampler's.",
            f"No test tells their laws apart ({made}; the smallest chance is {worst.chance:.2g}).",
            "nothing",
            evidence={"tests": len(tests), "chance": worst.chance},
            harmless=True,
        )
    return Cause(
        "sampling-law",
        (),
        Place("dataset"),
        "Your samples: " + "; ".join(f"{test.name} {test.words}" for test in wrong[:4]) + ".",
        f"Of one law, such a difference has a chance of {worst.chance:.2g} ({made}).",
        "draw as the reference sampler does: which picture, which object in it, which crop, each "
        "with its own probability",
        Gap((), worst.port, worst.caffe, 1.0, ALPHA / len(tests) / max(worst.chance, 1e-300)),
        None,
        {
            test.name: {"chance": test.chance, "port": test.port, "caffe": test.caffe}
            for test in wrong
        },
    )


def _columns(source: Any, samples: int) -> dict[str, Column]:
    rows = [dict(_features(sample, "")) for sample in _take(source, samples)]
    if not rows:
        raise InputError("a data set to be compared gave no samples")
    return {name: np.array([row[name] for row in rows], np.float64) for name in rows[0]}


def _take(source: Any, samples: int) -> Iterator[Any]:
    if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        order = np.random.default_rng(1701).permutation(len(source))
        return (source[int(place)] for place in order[:samples])
    if callable(source) and not hasattr(source, "__iter__"):
        return (source(number) for number in range(samples))
    return islice(iter(source), samples)


def _features(sample: Any, name: str) -> Iterator[tuple[str, float]]:
    if isinstance(sample, Mapping):
        for key, value in sample.items():
            yield from _features(value, f"{name}{'.' if name else ''}{key}")
    elif isinstance(sample, (tuple, list)) and not all(
        isinstance(value, (int, float)) for value in sample
    ):
        for number, value in enumerate(sample):
            yield from _features(value, f"{name}[{number}]")
    else:
        values = torch.as_tensor(sample).double().numpy()
        if values.ndim >= 3:
            channels = values.reshape(values.shape[0], -1)
            for number, channel in enumerate(channels):
                yield f"{name} channel {number} mean", float(channel.mean())
                yield f"{name} channel {number} spread", float(channel.std())
        else:
            for number, value in enumerate(values.reshape(-1)):
                yield f"{name}({number})" if values.size > 1 else name or "sample", float(value)


def _test(name: str, mine: Column, theirs: Column) -> Test:
    values = np.unique(np.concatenate([mine, theirs]))
    if len(values) <= FEW and np.array_equal(values, np.round(values)):
        return _frequencies(name, mine, theirs, values)
    gap = _largest_gap(mine, theirs)
    effective = math.sqrt(mine.size * theirs.size / (mine.size + theirs.size))
    chance = _kolmogorov(gap * (effective + 0.12 + 0.11 / effective))
    words = (
        f"has mean {mine.mean():.4g} and spread {mine.std():.4g}, the reference "
        f"{theirs.mean():.4g} and {theirs.std():.4g}"
    )
    return Test(name, "distribution", chance, float(mine.mean()), float(theirs.mean()), words)


def _frequencies(name: str, mine: Column, theirs: Column, values: Column) -> Test:
    counts = np.array(
        [[float((side == value).sum()) for value in values] for side in (mine, theirs)]
    )
    expected = counts.sum(0) * counts.sum(1, keepdims=True) / counts.sum()
    statistic = float(((counts - expected) ** 2 / expected).sum())
    freedom = max(len(values) - 1, 1)
    chance = float(
        torch.special.gammaincc(
            torch.tensor(freedom / 2, dtype=torch.float64),
            torch.tensor(statistic / 2, dtype=torch.float64),
        )
    )
    shares = counts / counts.sum(1, keepdims=True)
    place = int(np.abs(shares[0] - shares[1]).argmax())
    a, b = float(shares[0, place]), float(shares[1, place])
    words = f"is {values[place]:g} in {a:.1%} of them, in {b:.1%} of the reference's"
    return Test(name, "frequency", chance, a, b, words)


def _largest_gap(mine: Column, theirs: Column) -> float:
    mine, theirs = np.sort(mine), np.sort(theirs)
    every = np.concatenate([mine, theirs])
    below = np.searchsorted(mine, every, "right") / mine.size
    other = np.searchsorted(theirs, every, "right") / theirs.size
    return float(np.abs(below - other).max())


def _kolmogorov(value: float) -> float:
    """The chance that the largest gap, scaled, is at least ``value``."""
    if value < 0.2:
        return 1.0
    total = sum((-1) ** (k - 1) * math.exp(-2 * (k * value) ** 2) for k in range(1, 101))
    return float(min(1.0, max(2 * total, 0.0)))
