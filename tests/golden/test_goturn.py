"""The original GOTURN, replayed: its examples bit for bit, its training, its tracker's boxes.

A run is trained from its seeds alone. Everything in it depends on everything before, and an L1
loss has gradients that jump where an answer passes its label: a rounding that moves one across
changes the run from there on. So the sums are made in the original's order, and then losses and
weights are the same bits. What is demanded is a little less: losses within 1e-4, and weights within
the accumulated class of a sum that has as many terms as there were steps.
"""

import os
import subprocess
import sys
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest

from assertions import assert_parity
from goturn import Network, Tracker
from goturn.batches import Batches, ReplayedGroups
from goturn.crop import MEAN
from goturn.sequence import Sequence
from goturn_runs import RUNS, TRACKED, answers, input_size, left_by, recipe, videos
from torchcaffe.layers._exactness import accumulated, of_terms
from torchcaffe.openblas import is_available
from torchcaffe.parity.compare import Sensitivity
from torchcaffe.proto import blob_array, read_weights_net
from torchcaffe.random import LibcRand
from torchcaffe.solvers.state_files import read_state

__test__ = bool(RUNS)
pytestmark = pytest.mark.golden


@pytest.mark.parametrize("run", RUNS)
def test_every_label_is_the_original_s(run: Path) -> None:
    recorded = answers(run)["boxes"].reshape(-1, 4)
    stream = LibcRand()
    made = (example for group in count() for example in recipe().group(group, stream))
    labels = [example.label.to_corners() for example in islice(made, len(recorded))]
    np.testing.assert_array_equal(np.array(labels).astype(np.float32), recorded)


@pytest.mark.parametrize("run", [run for run in RUNS if "batch0/target" in answers(run.values[0])])
def test_the_first_batches_are_the_original_s_pixel_for_pixel(run: Path) -> None:
    recorded = answers(run)
    batches = Batches(ReplayedGroups(recipe(), input_size(run)), size=recorded["boxes"].shape[1])
    for number, batch in enumerate(islice(batches, 2)):
        for name in ("target", "image"):
            pixels = batch[name].numpy() + MEAN.reshape(3, 1, 1)
            np.testing.assert_array_equal(pixels, recorded[f"batch{number}/{name}"])
        labels = batch["bbox"].numpy().reshape(-1, 4)
        np.testing.assert_array_equal(labels, recorded["boxes"][number])


def tracked(network: Network, video: Sequence) -> np.ndarray:
    """Rows of frame (from 1), x, y, width, height, as the original's runner writes them."""
    tracker = Tracker(network)
    first, box = next((i, box) for i, box in enumerate(video.boxes) if box is not None)
    tracker.init(video.image(first), box)
    rows = []
    for frame in range(first + 1, len(video)):
        tracker.update(video.image(frame))
        box = tracker.box
        x, y = min(box.x1, box.x2), min(box.y1, box.y2)
        rows.append((frame + 1, x, y, abs(box.width), abs(box.height)))
    return np.array(rows)


@pytest.mark.parametrize("run", TRACKED)
def test_every_tracked_box_is_within_a_hundredth_of_a_pixel(run: Path) -> None:
    (weights,) = left_by(run, ".caffemodel")
    network = Network.load(weights)
    folder = run.parent / "track_val"
    by_name = {video.name: video for video in videos("validation")}
    assert {path.name for path in folder.iterdir()} == set(by_name)
    for path in folder.iterdir():
        ours, theirs = tracked(network, by_name[path.name]), np.loadtxt(path, ndmin=2)
        assert ours.shape == theirs.shape
        np.testing.assert_array_equal(ours[:, 0], theirs[:, 0])
        assert np.abs(ours - theirs).max() <= 0.01, path.name


WIDE = [pytest.mark.slow]
SMALL = 200
"""Pixels of a crop below which a recorded net is narrow, and replayed in a minute or two."""

TRAINED = [
    pytest.param(*run.values, id=run.id, marks=[] if input_size(run.values[0]) < SMALL else WIDE)
    for run in RUNS
]


Found = dict[str, np.ndarray]


def replayed(run: Path, result: Path) -> Found:
    """What our run of a recording found, in a process of its own."""
    script = Path(__file__).parent.parent / "goturn_replay.py"
    path = os.pathsep.join([str(script.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(script), str(run.parent), str(result)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with np.load(result) as found:
        return dict(found)


@pytest.mark.skipif(not is_available(), reason="no OpenBLAS whose kernels the original used")
@pytest.mark.parametrize("run", TRAINED)
def test_training_from_the_seeds_alone(run: Path, tmp_path: Path) -> None:
    found, losses = replayed(run, tmp_path / "found.npz"), answers(run)["loss"]
    assert found["loss"].shape == losses.shape
    off = np.abs(found["loss"] - losses) / losses
    assert off.max() <= 1e-4, f"iteration {off.argmax()}: {found['loss']} and {losses}"
    assert found["peak"] < 8e9
    for path in left_by(run, ".caffemodel"):
        assert_weights(found, path, steps=len(losses))
    for path in left_by(run, ".solverstate"):
        assert_goes_on(found, path)


def assert_weights(found: Found, path: Path, steps: int) -> None:
    """The weights are those of a caffemodel, as sums of so many steps."""
    theirs = {
        f"{layer.name}/{index}": blob_array(blob)
        for layer in read_weights_net(path).layer
        for index, blob in enumerate(layer.blobs)
    }
    scales = {
        name: Sensitivity(value.astype(np.float64), found[f"scale/{name}"])
        for name, value in theirs.items()
    }
    ours = {name: found[f"after/{name}"] for name in theirs}
    assert_parity(ours, theirs, dict.fromkeys(theirs, of_terms(accumulated(), steps)), scales)


def assert_goes_on(found: Found, path: Path) -> None:
    """A state was read as it is, and training went on from it as from our own."""
    for index, history in enumerate(read_state(path).history):
        np.testing.assert_array_equal(found[f"restored/{index}"], history)
    np.testing.assert_allclose(found["resumed"], found["unbroken"], rtol=1e-4)
