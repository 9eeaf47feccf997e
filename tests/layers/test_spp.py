from typing import Any

import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter

Array = np.ndarray
LOWEST = np.finfo(np.float32).min


def body(levels: int, pool: str = "MAX") -> str:
    return f"spp_param {{ pyramid_height: {levels} pool: {pool} }}"


def bins(param: LayerParameter, x: Array) -> Any:
    """For each bin in the top's order: level, number in the top, pixels, divisor."""
    count = 0
    height, width = x.shape[2:]
    for level in range(param.spp_param.pyramid_height):
        parts = 2**level
        axes = []
        for length in (height, width):
            kernel = int(np.ceil(length / parts))
            axes.append((length, kernel, (kernel * parts - length + 1) // 2))
        padded = any(pad for _, _, pad in axes)
        spans = []
        for length, kernel, pad in axes:
            number = int(np.ceil((length + 2 * pad - kernel) / kernel)) + 1
            if padded and (number - 1) * kernel >= length + pad:
                number -= 1
            starts = [i * kernel - pad for i in range(number)]
            spans.append([(start, min(start + kernel, length + pad)) for start in starts])
        for channel in range(x.shape[1]):
            for top, bottom in spans[0]:
                for left, right in spans[1]:
                    pixels = [
                        (channel, h, w)
                        for h in range(max(top, 0), min(bottom, height))
                        for w in range(max(left, 0), min(right, width))
                    ]
                    yield level, count, pixels, np.float32((bottom - top) * (right - left))
                    count += 1


class TestSPP(LayerContract):
    caffe_type = "SPP"
    cases = {
        f"{pool.lower()}-{levels}-{height}x{width}": Case(
            body(levels, pool), [(2, channels, height, width)]
        )
        for pool in ("MAX", "AVE")
        for levels, channels, height, width in (
            (1, 3, 4, 5),
            (1, 1, 1, 1),
            (2, 2, 7, 7),
            (2, 1, 5, 11),
            (3, 2, 9, 8),
            (3, 1, 16, 13),
            (4, 1, 8, 8),
        )
    } | {
        "default-pool": Case("spp_param { pyramid_height: 2 }"),
        "not-finite": Case(
            body(2), [np.array([[[[np.nan, 1.0, -np.inf, np.nan], [np.inf, 2.0, 0.0, -1.0]]]])]
        ),
        "engine-is-not-read": Case("spp_param { pyramid_height: 1 engine: CUDNN }"),
    }
    refusals = {
        "no-levels": (Case(""), "pyramid_height must be positive, got 0"),
        "three-axes": (Case(body(1), [(3, 4, 5)]), "takes a bottom of 4 axes"),
        "stochastic": (Case(body(1, "STOCHASTIC")), "pool: STOCHASTIC aborts in Caffe's CPU code"),
        "too-small": (
            Case(body(3), [(1, 1, 5, 5)]),
            "level 2 of pyramid_height 3 would need a pad of (2, 2) for windows of (2, 2), and a "
            "pad must be smaller than its window; use a larger input than 5x5 or fewer levels",
        ),
        "no-pixels": (Case(body(1), [(1, 1, 0, 5)]), "its bottom has no pixels, it is 1x1x0x5"),
        "two-bottoms": (Case(body(1), [(1, 1, 1, 1)] * 2), "takes 1 bottom, got 2"),
        "in-place": (Case('top: "b0" ' + body(1), tops=0), "overwrites its own input"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[Array], blobs: list[Array], phase: str
    ) -> list[Array]:
        (x,) = bottoms
        rows = []
        for image in x:
            row = []
            for _, _, pixels, size in bins(param, x):
                if param.spp_param.pool == "MAX":
                    value = np.float32(LOWEST)
                    for pixel in pixels:
                        value = image[pixel] if image[pixel] > value else value
                else:
                    value = np.float32(0)
                    for pixel in pixels:
                        value += image[pixel]
                    value /= size
                row.append(value)
            rows.append(row)
        y = np.array(rows, np.float32)
        return [y.reshape(*x.shape[:2], 1, 1) if param.spp_param.pyramid_height == 1 else y]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[Array],
        blobs: list[Array],
        phase: str,
        top_diffs: list[Array],
    ) -> tuple[list[Array], list[Array]]:
        (x,) = bottoms
        parts = np.zeros((param.spp_param.pyramid_height, *x.shape), np.float32)
        for n, image in enumerate(x):
            for level, number, pixels, size in bins(param, x):
                diff = top_diffs[0].reshape(len(x), -1)[n, number]
                best, place = LOWEST, None
                for pixel in pixels:
                    if param.spp_param.pool == "AVE":
                        parts[(level, n, *pixel)] += diff / size
                    elif image[pixel] > best:
                        best, place = image[pixel], pixel
                if place is not None:
                    parts[(level, n, *place)] += diff
        dx = parts[0]
        for part in parts[1:]:
            dx = dx + part
        return [dx], []


def test_follows_the_image_when_it_runs() -> None:
    net = CaffeNet(Case(body(2), [(1, 1, 4, 4)]).net("SPP"), "TEST")
    assert net(torch.zeros(1, 1, 7, 9))["t0"].shape == (1, 5)
    with pytest.raises(LayerError) as caught:
        net(torch.zeros(1, 1, 1, 1))
    assert "level 1 would need a pad of (1, 1) for windows of (1, 1)" in str(caught.value)
