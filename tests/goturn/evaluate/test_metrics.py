"""Overlaps, distances and curves, against the got10k toolkit's own functions and by hand."""

import numpy as np
import pytest
from got10k.utils import metrics as theirs

from goturn import Box
from goturn.evaluate import metrics

RANDOM = np.random.default_rng(5)
FIRST = RANDOM.uniform([-20, -20, 1, 1], [80, 60, 50, 40], (500, 4))
SECOND = FIRST + RANDOM.normal(0, 8, FIRST.shape)
SECOND[:, 2:] = np.abs(SECOND[:, 2:])
SIZE = (64, 48)


def test_overlaps_are_the_toolkits() -> None:
    assert np.array_equal(metrics.overlaps(FIRST, SECOND), theirs.rect_iou(FIRST, SECOND))


def test_overlaps_inside_the_image_are_the_toolkits() -> None:
    expected = theirs.rect_iou(FIRST.copy(), SECOND.copy(), bound=SIZE)
    found = metrics.overlaps(metrics.bounded(FIRST, SIZE), metrics.bounded(SECOND, SIZE))
    assert np.array_equal(found, expected)


def test_a_box_left_of_the_image_keeps_its_size_as_in_the_toolkit() -> None:
    assert metrics.bounded(np.array([[-5.0, 2, 10, 10]]), SIZE).tolist() == [[0, 2, 10, 10]]


def test_distances_are_the_toolkits() -> None:
    expected = theirs.center_error(FIRST, SECOND)
    assert np.array_equal(metrics.center_distances(FIRST, SECOND), expected)


def test_what_is_no_box_overlaps_nothing_and_is_far_away() -> None:
    none = metrics.to_array([None, Box(0, 0, 0, 0)])
    some = metrics.to_array([Box(0, 0, 2, 2), Box(0, 0, 2, 2)])
    assert metrics.overlaps(none, some).tolist() == [0, 0]
    assert metrics.center_distances(none, some)[0] == np.inf
    assert metrics.overlaps(none[1:], none[1:]).tolist() == [0]


def test_thresholds_are_strict_for_success_and_not_for_precision() -> None:
    assert metrics.success_curve(np.array([0.5]))[[9, 10]].tolist() == [1, 0]
    assert metrics.precision_curve(np.array([20.0]))[[19, 20]].tolist() == [0, 1]
    assert metrics.success_curve(np.ones(3)).mean() == pytest.approx(20 / 21)


def test_regions_are_the_toolkits_polygons() -> None:
    for box, other in zip(FIRST[:200], SECOND[:200], strict=True):
        x, y, width, height = np.maximum(box, [-99, -99, 10, 10])
        turned = ((x + 3, y), (x + width, y + 4), (x + width - 3, y + height + 2), (x, y + height))
        flat = np.array(turned).ravel()
        expected = theirs.poly_iou(flat, other, bound=SIZE)[0]
        found = metrics.region_overlap(turned, other, SIZE)
        assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("box", "overlap"),
    [
        ((0, 0, 10, 10), 1.0),
        ((5, 0, 10, 10), 1 / 3),
        ((10, 0, 10, 10), 0.0),
        ((-5, 0, 10, 10), 0.5),
        ((-90, 0, 100, 10), 1.0),
        ((15, 10, -10, -10), 1 / 3),
        ((float("nan"), 0, 10, 10), 0.0),
    ],
)
def test_region_overlap(box: tuple[float, ...], overlap: float) -> None:
    truth = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
    assert metrics.region_overlap(truth, box, (100, 100)) == pytest.approx(overlap)
