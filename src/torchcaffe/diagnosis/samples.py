"""Inputs of several kinds: like photographs, noise, constants, extremes.

A mistake may show on one kind only: padding where the border is not 0, a slope where there are
negative numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

KINDS = ("natural", "noise", "constant", "extreme")

SPREAD = 50.0
"""The deviation of a photograph's pixels around their mean, from 0 to 255."""


def samples(
    shapes: Mapping[str, Sequence[int]], indices: set[str], seed: int = 1701
) -> dict[str, dict[str, Tensor]]:
    """For each kind, a value for every input; ``indices`` are inputs that hold whole numbers."""
    generator = np.random.default_rng(seed)
    return {
        kind: {
            name: _index(shape, generator) if name in indices else _value(kind, shape, generator)
            for name, shape in shapes.items()
        }
        for kind in KINDS
    }


def _index(shape: Sequence[int], generator: np.random.Generator) -> Tensor:
    return torch.from_numpy(generator.integers(0, 2, tuple(shape)).astype(np.float32))


def _value(kind: str, shape: Sequence[int], generator: np.random.Generator) -> Tensor:
    shape = tuple(shape)
    picture = len(shape) == 4 and shape[1] in (1, 3) and min(shape[2:]) > 1
    if kind == "natural" and len(shape) == 4 and min(shape[2:]) > 1:
        made = natural(shape, generator) * (SPREAD if picture else 1.0)
    elif kind == "constant":
        made = np.ones(shape) * generator.normal(0, 30 if picture else 1, (shape[0], 1, 1, 1)[
            : len(shape)])  # fmt: skip
    elif kind == "extreme":
        made = generator.choice([-128.0, 0.0, 127.0] if picture else [-4.0, 0.0, 4.0], shape)
    else:
        made = generator.normal(0, 1, shape)
    return torch.from_numpy(np.ascontiguousarray(made, np.float32))


def natural(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:  # type: ignore[type-arg]
    """Images whose amplitudes fall with their frequency, as those of photographs do; channels are
    alike but not the same. Mean about 0, deviation 1."""
    *lead, height, width = shape
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.sqrt(rows**2 + columns**2)
    frequency[0, 0] = 1 / max(height, width)
    spectrum = np.fft.rfft2(generator.normal(0, 1, shape)) / frequency
    shared = np.fft.rfft2(generator.normal(0, 1, (lead[0], 1, height, width))) / frequency
    image = np.fft.irfft2(spectrum + 2 * shared, s=(height, width))
    return np.asarray(image / image.std() + generator.normal(0, 0.2, (*lead, 1, 1)))
