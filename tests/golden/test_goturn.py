"""The original GOTURN, replayed: its examples, bit for bit, and its tracker's boxes."""

from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest

from goturn import Network, Tracker
from goturn.batches import Batches, ReplayedGroups
from goturn.crop import MEAN
from goturn.sequence import Sequence
from goturn_runs import RUNS, TRACKED, answers, input_size, recipe, videos, weights
from torchcaffe.random import LibcRand

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
    network = Network.load(weights(run))
    folder = run.parent / "track_val"
    by_name = {video.name: video for video in videos("validation")}
    assert {path.name for path in folder.iterdir()} == set(by_name)
    for path in folder.iterdir():
        ours, theirs = tracked(network, by_name[path.name]), np.loadtxt(path, ndmin=2)
        assert ours.shape == theirs.shape
        np.testing.assert_array_equal(ours[:, 0], theirs[:, 0])
        assert np.abs(ours - theirs).max() <= 0.01, path.name
