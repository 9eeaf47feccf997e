"""Recorded runs of the original GOTURN: nets, solver, answers, and the data they share."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from golden_cases import golden_root, recordings
from goturn.data import alov, imagenet_det
from goturn.examples import Recipe, original_recipe
from goturn.sequence import Sequence
from torchcaffe.proto import read_net

RUNS = recordings("goturn", "*/run.npz")
TRACKED = [run for run in RUNS for path in [run.values[0].parent] if (path / "track_val").is_dir()]


@cache
def answers(run: Path) -> dict[str, np.ndarray[Any, Any]]:
    with np.load(run) as stored:
        return dict(stored)


@cache
def recipe() -> Recipe:
    folder = golden_root() / "goturn" / "dataset" / "imagenet"
    return original_recipe(imagenet_det.read(folder / "images", folder / "gt"), videos("train"))


@cache
def videos(part: str) -> list[Sequence]:
    folder = golden_root() / "goturn" / "dataset" / "alov"
    return alov.read(folder / "images", folder / "gt", part=part)


def input_size(run: Path) -> int:
    """The pixels of a crop along each side, as the run's net declares them."""
    (layer,) = [
        layer for layer in read_net(run.parent / "net.prototxt").layer if layer.type == "Input"
    ]
    return int(layer.input_param.shape[0].dim[-1])


def left_by(run: Path, suffix: str) -> list[Path]:
    """The file with ``suffix`` that the run left at its end, if it did."""
    return list(run.parent.glob(f"*_iter_{len(answers(run)['loss'])}{suffix}"))
