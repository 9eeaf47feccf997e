"""Read a recording: the folder that record_caffe.py writes.

``recording.json`` lists everything in words, ``arrays.npz`` holds the values, ``net.prototxt`` is
the net as it was recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class RecordedLayer:
    """One layer as Caffe ran it, implicit splits included."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]


class Recording:
    """What Caffe did with one net; arrays are read from the disk when they are asked for."""

    phase: str
    """"TEST" or "TRAIN"."""
    seed: int | None
    """What caffe.set_random_seed was called with before the pass; None if that Caffe cannot."""
    net_text: str
    """The prototxt as it was recorded."""
    layers: tuple[RecordedLayer, ...]
    versions: dict[str, str]

    @property
    def inputs(self) -> dict[str, Array]:
        """What stood on the net's inputs, and what its data layers delivered."""
        raise NotImplementedError

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of ``inputs``: pass them to ``torchcaffe.load(..., inputs=)``."""
        raise NotImplementedError


def read_recording(path: str | PathLike[str]) -> Recording:
    """Read the recording in folder ``path`` (or its recording.json).

    RecordingError if it is missing, cut short, changed, or of another version.
    """
    raise NotImplementedError
