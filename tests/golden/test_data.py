"""Every recorded data layer: its batches are those that Caffe delivered, to the bit."""

import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import torchcaffe
from assertions import assert_parity, to_numpy
from golden_cases import recordings
from torchcaffe.data import libc_stream
from torchcaffe.layers._exactness import bitwise
from torchcaffe.random import LibcRand

RECORDINGS = recordings("data", "*.prototxt")
ANSWERS = "batches.npz"

__test__ = bool(RECORDINGS)
pytestmark = pytest.mark.golden

Batches = dict[str, np.ndarray]


@cache
def answers(folder: Path) -> dict[tuple[str, str], Batches]:
    """What each net delivered in each phase, in the order in which they were built."""
    found: dict[tuple[str, str], Batches] = {}
    with np.load(folder / ANSWERS) as stored:
        for key in stored.files:
            name, phase, rest = key.split("/", 2)
            found.setdefault((name, phase), {})[rest] = stored[key]
    return found


@pytest.fixture
def fresh_libc() -> Iterator[None]:
    """libc's rand() as it is when a program starts, and afterwards as it was."""
    stream = libc_stream()
    before = stream.state
    stream.state = LibcRand().state
    yield
    stream.state = before


def delivered(prototxt: Path, phase: str, recorded: Batches) -> Batches:
    with warnings.catch_warnings():
        # Some recordings hold an option that Caffe ignores.
        warnings.simplefilter("ignore", torchcaffe.errors.NetWarning)
        net = torchcaffe.load(prototxt, phase=phase, seed=1701)
    batches: Batches = {}
    for count in range(len({key.split("/")[0] for key in recorded})):
        for name, top in to_numpy(net.run({}).blobs).items():
            batches[f"{count}/{name}"] = top
    return batches


def shuffles_by_libc(prototxt: Path) -> bool:
    text = prototxt.read_text()
    return "HDF5Data" in text and "shuffle: true" in text


@pytest.mark.parametrize("prototxt", RECORDINGS)
@pytest.mark.usefixtures("fresh_libc")
def test_batches(prototxt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prototxt.parent
    monkeypatch.chdir(folder)
    mine = {
        phase: found for (name, phase), found in answers(folder).items() if name == prototxt.stem
    }
    assert mine, f"{ANSWERS} holds nothing of {prototxt.stem}"
    for (name, phase), recorded in answers(folder).items():
        path = folder / f"{name}.prototxt"
        if name != prototxt.stem and not (mine and shuffles_by_libc(path)):
            continue
        # rand() runs through all nets of the recording: those before this one draw too.
        ours = delivered(path, phase, recorded)
        if name == prototxt.stem:
            assert_parity(ours, recorded, {key: bitwise() for key in recorded})
            del mine[phase]
    assert not mine
