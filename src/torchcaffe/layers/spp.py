"""SPP: an image pooled into 1, 4, 16 ... bins, so that all sizes give as many numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._geometry import need_image
from torchcaffe.layers._registry import Plan, Setup, caffe_layer, shape_text
from torchcaffe.layers.pooling import average_pool, max_pool, pooled_size
from torchcaffe.layers.split import split


def pyramid_pool(x: Tensor, levels: int, average: bool = False) -> Tensor:
    """(N, C, H, W) to (N, C * bins of all levels); one level alone to (N, C, 1, 1)."""
    pool = average_pool if average else max_pool
    parts = []
    for level, copy in enumerate(split(x, levels)):
        kernel, pad = bin_windows((x.shape[-2], x.shape[-1]), level)
        if any(pad) and any(p >= k for k, p in zip(kernel, pad, strict=True)):
            raise RuntimeError(f"level {level} would need a pad of {pad} for windows of {kernel}")
        parts.append(pool(copy, kernel, kernel, pad))
    return parts[0] if levels == 1 else torch.cat([part.flatten(1) for part in parts], 1)


def bin_windows(size: tuple[int, int], level: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Kernel (and stride) and pad, height and width, of the level with 2 ** level bins an axis."""
    bins = 2**level
    height, width = (-(-length // bins) for length in size)
    return (height, width), ((height * bins - size[0] + 1) // 2, (width * bins - size[1] + 1) // 2)


@caffe_layer("SPP", bottoms=1, tops=1, exactness=bitwise(), gradient=bitwise())
def spp(layer: Setup) -> Plan:
    """y = the bottom pooled by windows of 1, 1/2, 1/4 ... of its size, level after level.

    bottom  x  (N, C, H, W)
    top     y  (N, C * (1 + 4 + 16 + ...)) for pyramid_height levels; (N, C, 1, 1) for one level
    torch   nn.AdaptiveMaxPool2d has other windows: Caffe's are ceil(size / bins) wide, one beside
            the other, with what is missing as padding on both sides
    Caffe   src/caffe/layers/spp_layer.cpp, pooling_layer.cpp
    """
    p = layer.param.spp_param
    shape = layer.bottoms[0]
    need_image(layer)
    layer.require(p.pyramid_height > 0, f"pyramid_height must be positive, got {p.pyramid_height}")
    layer.require(
        p.pool != "STOCHASTIC", "pool: STOCHASTIC aborts in Caffe's CPU code; use MAX or AVE"
    )
    layer.require(all(shape[2:]), f"its bottom has no pixels, it is {shape_text(shape)}")
    cells = 0
    for level in range(p.pyramid_height):
        kernel, pad = bin_windows((shape[2], shape[3]), level)
        if any(pad) and any(p >= k for k, p in zip(kernel, pad, strict=True)):
            raise layer.refuse(
                f"level {level} of pyramid_height {p.pyramid_height} would need a pad of {pad} for "
                f"windows of {kernel}, and a pad must be smaller than its window; use a larger "
                f"input than {shape[2]}x{shape[3]} or fewer levels"
            )
        rows, columns = (
            pooled_size(size, k, k, room, True, any(pad))
            for size, k, room in zip(shape[2:], kernel, pad, strict=True)
        )
        cells += rows * columns
    options = {"average": True} if p.pool == "AVE" else {}
    call = Call("torchcaffe.layers.spp.pyramid_pool", Bottom(0), p.pyramid_height, **options)
    top = (shape[0], shape[1], 1, 1) if p.pyramid_height == 1 else (shape[0], shape[1] * cells)
    return Plan(call, tops=(top,))
