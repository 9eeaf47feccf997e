"""The tracker: its interface, boxes that cannot be, frames that change."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from narrow import narrow_weights, picture

from goturn import Box, MultiTracker, Network, Tracker
from goturn.errors import BoxError
from goturn.tracker import follow, is_inside


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return Network.load(narrow_weights(tmp_path_factory.mktemp("narrow")))


FRAMES = [picture(seed=seed) for seed in range(4)]


def test_it_has_opencv_s_interface(network: Network) -> None:
    tracker = Tracker(network)
    assert tracker.init(FRAMES[0], (20, 15, 30, 25)) is None
    ok, box = tracker.update(FRAMES[1])
    assert isinstance(ok, bool) and isinstance(box, tuple) and len(box) == 4
    assert box == tracker.box.to_xywh()


def test_its_boxes_are_those_of_follow(network: Network) -> None:
    tracker, box = Tracker(network), Box.from_xywh(20, 15, 30, 25)
    tracker.init(FRAMES[0], box)
    for previous, image in pairwise(FRAMES):
        (box,) = follow(network, previous, [box], image)
        tracker.update(image)
        assert tracker.box == box


def test_many_objects_are_followed_as_each_alone(network: Network) -> None:
    boxes = [(20, 15, 30, 25), (5, 5, 20, 20), (50, 30, 39, 39)]
    together = MultiTracker(network)
    together.init(FRAMES[0], boxes)
    alone = [Tracker(network) for _ in boxes]
    for tracker, box in zip(alone, boxes, strict=True):
        tracker.init(FRAMES[0], box)
    for image in FRAMES[1:]:
        for (ok, box), tracker in zip(together.update(image), alone, strict=True):
            other_ok, other = tracker.update(image)
            assert ok == other_ok
            np.testing.assert_allclose(box, other, atol=1e-3)


def test_no_objects_are_no_work(network: Network) -> None:
    tracker = MultiTracker(network)
    tracker.init(FRAMES[0], [])
    assert tracker.update(FRAMES[1]) == []


def test_the_caller_s_frames_and_boxes_are_left_alone(network: Network) -> None:
    frame, box = FRAMES[0].copy(), [20.0, 15.0, 30.0, 25.0]
    tracker = Tracker(network)
    tracker.init(frame, box)
    frame[:] = 0
    (expected,) = follow(network, FRAMES[0], [Box.from_xywh(*box)], FRAMES[1])
    tracker.update(FRAMES[1])
    assert tracker.box == expected and box == [20.0, 15.0, 30.0, 25.0]


def test_frames_may_change_their_size(network: Network) -> None:
    tracker = Tracker(network)
    tracker.init(FRAMES[0], (60, 40, 30, 25))
    for size in ((40, 30), (200, 150), (1, 1), (90, 70)):
        _, (x, y, width, height) = tracker.update(picture(*size))
        assert x >= 0 and y >= 0 and x + width <= size[0] and y + height <= size[1]


@pytest.mark.parametrize("answer", [[90.0] * 4, [-90.0] * 4, [9.0, 9.0, 1.0, 1.0], [5.0] * 4])
def test_a_lost_object_is_told_and_costs_no_more_memory(
    network: Network, monkeypatch: pytest.MonkeyPatch, answer: list[float]
) -> None:
    answers = Network.__call__
    monkeypatch.setattr(
        Network, "__call__", lambda *args: answers(*args) * 0 + torch.tensor(answer)
    )
    tracker = Tracker(network)
    tracker.init(FRAMES[0], (60, 40, 30, 25))
    for image in FRAMES * 5:
        ok, _ = tracker.update(image)
    assert not ok
    assert max(map(abs, tracker.box.to_corners())) < 1e4


def test_an_answer_that_is_not_finite_leaves_the_box(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Network, "__call__", lambda *_: torch.full((1, 4), math.nan))
    tracker = Tracker(network)
    tracker.init(FRAMES[0], (60, 40, 30, 25))
    ok, box = tracker.update(FRAMES[1])
    assert not ok and all(map(math.isnan, box))
    assert tracker.box == Box.from_xywh(60, 40, 30, 25)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((100, 10, 20, 20), r"x 100, .*lies outside the image, which is 90 x 70"),
        ((-30, 10, 30, 20), "lies outside the image"),
        ((10, 10, 0, 20), "is empty: width and height must be above 0"),
        ((10, 10, 20, -5), "is empty"),
        ((math.nan, 10, 20, 20), "not of finite numbers"),
        ((10, 10, math.inf, 20), "not of finite numbers"),
        ((-400, 10, 900, 20), "more than 4 times as large as the image"),
        ((1, 2, 3), "a box is x, y, width, height, got 3 numbers"),
        (Box(50, 10, 20, 30), "is empty"),
    ],
)
def test_boxes_that_nothing_can_be_tracked_with(network: Network, box: object, words: str) -> None:
    with pytest.raises(BoxError, match=words):
        Tracker(network).init(FRAMES[0], box)


@pytest.mark.parametrize("frame", [FRAMES[0][..., 0], FRAMES[0].astype(float), FRAMES[0][:0]])
def test_frames_that_are_no_images(network: Network, frame: np.ndarray) -> None:
    with pytest.raises(BoxError, match=r"a frame is \(H, W, 3\) uint8, BGR, .*; got"):
        Tracker(network).init(frame, (1, 1, 5, 5))


def test_init_comes_first(network: Network) -> None:
    for use in (lambda t: t.update(FRAMES[0]), lambda t: t.box):
        with pytest.raises(BoxError, match=r"no object yet; call init\(image, box\) first"):
            use(Tracker(network))
    with pytest.raises(BoxError, match=r"call init\(image, boxes\) first"):
        MultiTracker(network).update(FRAMES[0])


def test_threads_are_torch_s(tmp_path: Path) -> None:
    Tracker(narrow_weights(tmp_path), threads=1)


def test_what_is_inside() -> None:
    assert is_inside(Box(-5, -5, 1, 1), FRAMES[0])
    assert not is_inside(Box(90, 10, 95, 20), FRAMES[0])
    assert not is_inside(Box(10, 10, 5, 20), FRAMES[0])
