"""What is drawn: the same for the same seed, with boxes that fit, and readable from disk."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from goturn.cli import cli
from goturn.data import alov, imagenet_det, procedural
from goturn.data.procedural import SHAPES, UNSEEN_SHAPES


def test_the_same_seed_draws_the_same() -> None:
    first, second, other = (procedural.videos(3, seed, frames=(4, 8)) for seed in (1, 1, 2))
    for one, two in zip(first, second, strict=True):
        assert one.boxes == two.boxes
        np.testing.assert_array_equal(np.array(one.frames), np.array(two.frames))
    assert [video.boxes for video in first] != [video.boxes for video in other]
    stills = [procedural.stills(4, 1) for _ in range(2)]
    for one, two in zip(*stills, strict=True):
        assert one.boxes == two.boxes
        np.testing.assert_array_equal(one.image(), two.image())


@pytest.mark.parametrize("shape", [*SHAPES, *UNSEEN_SHAPES])
def test_boxes_are_tight(shape: str) -> None:
    """What changes when the object is drawn fills its box to a pixel."""
    rng = np.random.default_rng(5)
    scene = procedural.scene(rng, 6, shapes=[shape], distractors=0)
    for frame in range(6):
        with_object, box = scene.draw(frame)
        without, _ = scene.draw(frame, objects=0)
        changed = np.abs(with_object.astype(int) - without).max(axis=2) > 0
        rows, columns = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
        found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert np.abs(np.subtract(found, box.to_corners())).max() <= 2


def test_videos_are_of_unequal_length_and_move_smoothly() -> None:
    videos = procedural.videos(30, 3)
    lengths = sorted(map(len, videos))
    assert lengths[-1] > 5 * lengths[10]
    for video in videos:
        for before, now in zip(video.boxes, video.boxes[1:], strict=False):
            assert before.is_usable and now.is_usable
            assert abs(now.center_x - before.center_x) < before.width
            assert abs(now.center_y - before.center_y) < before.height


def test_stills_are_crowded_or_have_one_large_object() -> None:
    stills = procedural.stills(20, 3)
    assert all(len(still.boxes) == 1 for still in stills[0::2])
    assert all(len(still.boxes) >= 8 for still in stills[1::2])
    large = [still.boxes[0].width for still in stills[0::2]]
    small = [box.width for still in stills[1::2] for box in still.boxes]
    assert np.median(large) > 2 * np.median(small)


def test_written_data_sets_are_read_as_they_were_drawn(tmp_path: Path) -> None:
    args = [str(tmp_path), "--videos", "3", "--stills", "4", "--seed", "9"]
    cli.main(["draw_data", *args], standalone_mode=False)
    videos, stills = procedural.videos(3, 9), procedural.stills(4, 9)
    read = alov.read(tmp_path / "alov/images", tmp_path / "alov/gt", part="all")
    assert [video.name for video in read] == [video.name for video in videos]
    for one, two in zip(read, videos, strict=True):
        assert one.boxes == two.boxes
        assert np.abs(one.image(0).astype(int) - two.image(0)).mean() < 8
    found = imagenet_det.read(tmp_path / "imagenet/images", tmp_path / "imagenet/gt")
    assert [list(still.boxes) for still in found] == [list(still.boxes) for still in stills]
    assert cv2.imread(str(found[0].frame)).shape == (120, 160, 3)
