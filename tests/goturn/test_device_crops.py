"""Crops made on the network's device, beside those made with OpenCV."""

import numpy as np
import pytest
import torch
from narrow import picture

from goturn.box import Box
from goturn.crop import Crop, planes
from goturn.device_crops import device_crops

BOXES = [
    Box(20, 15, 50, 40),
    Box(-10, -5, 20, 30),
    Box(70, 50, 110, 95),
    Box(10.3, 5.7, 80.9, 60.2),
    Box(-300, 20, 400, 50),
    Box(40, 40, 40.2, 40.1),
    Box(500, 500, 520, 530),
    Box(60, 60, 20, 20),
]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [67, 40])
def test_they_are_opencv_s_within_a_grey_level(device: str, size: int) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    image = picture(90, 70)
    crops = [Crop.around(box, image) for box in BOXES]
    ours = device_crops(image, crops, size, torch.device(device)).cpu().numpy()
    theirs = np.stack([planes(crop.cut(image), size) for crop in crops])
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    assert np.abs(ours - theirs).max() <= 1
    assert (ours == theirs).mean() > 0.9


def test_a_crop_of_the_network_s_size_has_the_same_pixels() -> None:
    image = picture(90, 70)
    crop = Crop.around(Box(30, 20, 50, 40), image)
    assert (crop.width, crop.height) == (40, 40)
    (ours,) = device_crops(image, [crop], 40, torch.device("cpu")).numpy()
    np.testing.assert_array_equal(ours, planes(crop.cut(image), 40))
