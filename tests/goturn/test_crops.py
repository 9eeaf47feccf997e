"""Crops: the geometry both ways, at edges and beyond them."""

import numpy as np
import pytest

from goturn.box import Box
from goturn.crop import Crop, planes, resize


def image(width: int, height: int) -> np.ndarray:
    rng = np.random.default_rng(1701)
    return rng.integers(1, 256, (height, width, 3), np.uint8)


def test_inside_it_is_the_part_of_the_image() -> None:
    picture = image(100, 80)
    crop = Crop.around(Box.from_xywh(40, 30, 20, 10), picture)
    np.testing.assert_array_equal(crop.cut(picture), picture[25:45, 30:70])
    assert crop.to_crop(Box(30, 25, 70, 45)) == Box(0, 0, 10, 10)


def test_beyond_the_edges_it_is_black() -> None:
    picture = image(100, 80)
    crop = Crop.around(Box.from_xywh(0, 0, 20, 10), picture)
    cut = crop.cut(picture)
    assert cut.shape == (20, 40, 3)
    np.testing.assert_array_equal(cut[5:, 10:], picture[:15, :30])
    assert not cut[:5].any() and not cut[:, :10].any()
    assert crop.to_crop(Box(0, 0, 20, 10)) == Box(2.5, 2.5, 7.5, 7.5)


def test_a_box_within_reach_comes_back_from_the_crop() -> None:
    rng = np.random.default_rng(1701)
    for _ in range(200):
        width, height = rng.integers(20, 300, 2)
        picture = np.zeros((height, width, 3), np.uint8)
        x, y = rng.uniform(0, width - 2), rng.uniform(0, height - 2)
        box = Box(x, y, rng.uniform(x + 1, width), rng.uniform(y + 1, height))
        crop = Crop.around(box, picture)
        np.testing.assert_allclose(
            crop.to_image(crop.to_crop(box)).to_corners(), box.to_corners(), rtol=0, atol=1e-9
        )


FAR = [-1e6, -500.0, -30.3, -5.0, 0.0, 17.2, 99.9, 100.0, 140.0, 1e6]


@pytest.mark.parametrize("x", FAR)
@pytest.mark.parametrize("width", [-40.0, 0.0, 0.3, 33.7, 250.0])
def test_any_box_gives_a_crop_of_its_own_size(x: float, width: float) -> None:
    picture = image(100, 80)
    crop = Crop.around(Box.from_xywh(x, 3.0, width, 20.0), picture)
    assert crop.cut(picture).shape == (crop.height, crop.width, 3)
    assert crop.width == max(1, int(np.ceil(2 * width)))


def test_answers_are_clipped_as_the_original_clips_them() -> None:
    picture = image(100, 80)
    crop = Crop.around(Box.from_xywh(80, 60, 20, 20), picture)
    assert crop.to_image(Box(0, 0, 10, 10)) == Box(70, 50, 100, 80)
    beyond = crop.to_image(Box(9, 9, 10, 10))
    assert beyond == Box(106, 86, 100, 80) and not beyond.is_usable


def test_planes_are_blue_green_red_without_the_mean() -> None:
    picture = np.full((227, 227, 3), (105, 119, 126), np.uint8)
    assert planes(picture, 227).dtype == np.float32
    np.testing.assert_array_equal(planes(picture, 227)[:, 0, 0], [1, 2, 3])


def test_a_canvas_of_the_right_size_is_not_resized() -> None:
    picture = image(50, 50)
    assert resize(picture, 50) is picture
    assert resize(image(60, 50), 50).shape == (50, 50, 3)
