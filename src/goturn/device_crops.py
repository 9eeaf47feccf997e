"""The crops of many objects at once, made where the network is."""

from __future__ import annotations

from collections.abc import Sequence as Ordered
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goturn.crop import MEAN, Crop
from goturn.sequence import Image


def device_crops(image: Image, crops: Ordered[Crop], size: int, device: torch.device) -> Tensor:
    """What ``planes(crop.cut(image), size)`` gives for each crop, within one grey level.

    (N, 3, size, size) float32 on ``device``, to which the image goes once. OpenCV interpolates in
    fixed point, and this in floating point: that is the grey level.
    """
    pixels = torch.from_numpy(image).to(device).permute(2, 0, 1).float()
    left, right, across = _taps([crop.columns for crop in crops], size, device)
    upper, lower, down = _taps([crop.rows for crop in crops], size, device)
    across, down = across[:, None, None, :], down[:, None, :, None]
    above = torch.lerp(_taken(pixels, upper, left), _taken(pixels, upper, right), across)
    below = torch.lerp(_taken(pixels, lower, left), _taken(pixels, lower, right), across)
    grey = torch.lerp(above, below, down).round_()
    return grey.sub_(torch.from_numpy(MEAN).to(device)[:, None, None])


def _taps(spans: Ordered[Any], size: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Along one axis: the two pixels between which each of ``size`` points lies, and how far.

    Three times (N, size); pixels count in the image, and are -1 in a crop's black margins.
    """
    canvas, cut, paste, length = np.array(
        [(span.canvas, span.cut, span.paste, span.length) for span in spans]
    ).T[:, :, None]
    place = np.clip((np.arange(size) + 0.5) * (canvas / size) - 0.5, 0, canvas - 1)
    first = np.floor(place).astype(np.int64)
    pixels = [
        np.where((tap >= paste) & (tap < paste + length), tap - paste + cut, -1)
        for tap in (first, np.minimum(first + 1, canvas - 1))
    ]
    return (
        torch.from_numpy(pixels[0]).to(device),
        torch.from_numpy(pixels[1]).to(device),
        torch.from_numpy((place - first).astype(np.float32)).to(device),
    )


def _taken(pixels: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(N, 3, size, size): the image's pixels where rows (N, size) and columns (N, size) cross."""
    y, x = rows[:, :, None], columns[:, None, :]
    inside = (y >= 0) & (x >= 0)
    return (pixels[:, y.clamp(min=0), x.clamp(min=0)] * inside).transpose(0, 1)
