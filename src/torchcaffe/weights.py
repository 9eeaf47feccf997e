"""Weights: reading them from files, copying them into a net by layer name, writing them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from torchcaffe.net import CaffeNet

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Weights:
    """Parameter blobs by layer name, as a file holds them."""

    file: str
    layers: Mapping[str, list[Array]]


def read_weights(path: str | PathLike[str]) -> Weights:
    raise NotImplementedError


def copy_weights(net: CaffeNet, source: Weights) -> None:
    raise NotImplementedError
