"""Every recorded filler: a net built from seed 1701 starts from Caffe's very weights."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import torchcaffe
from assertions import assert_parity
from golden_cases import recordings
from torchcaffe.layers._exactness import bitwise
from torchcaffe.net import CaffeNet

RECORDINGS = recordings("fillers", "*.prototxt")
BLOBS = {"w": 0, "b": 1}

__test__ = bool(RECORDINGS)
pytestmark = pytest.mark.golden


@cache
def answers(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "fillers.npz") as stored:
        return {name: stored[name] for name in stored.files}


def blob(net: CaffeNet, key: str) -> np.ndarray:
    """The blob of a recording's key, ``w`` or ``l2/b``; no layer's name means the first layer."""
    layer, _, name = key.rpartition("/")
    blobs = net.params[layer or next(iter(net.params))]
    return blobs[BLOBS[name] if name in BLOBS else int(name.lstrip("p"))].detach().numpy()


@pytest.mark.parametrize("prototxt", RECORDINGS)
def test_initial_values(prototxt: Path) -> None:
    prefix = f"{prototxt.stem}/"
    recorded = answers(prototxt.parent)
    theirs = {key: value for key, value in recorded.items() if key.startswith(prefix)}
    net = torchcaffe.load(prototxt, seed=1701)
    ours = {key: blob(net, key.removeprefix(prefix)) for key in theirs}
    assert_parity(ours, theirs, {key: bitwise() for key in theirs})
