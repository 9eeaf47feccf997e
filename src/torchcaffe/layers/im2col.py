"""Im2col: each window of an image laid out as a column of channels."""

from __future__ import annotations

from math import prod

from torch import Tensor
from torch.nn import functional

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._geometry import spatial, window_sizes
from torchcaffe.layers._registry import Plan, Setup, caffe_layer, shape_text


def columns(
    x: Tensor,
    axis: int,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    pad: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Tensor:
    """(..., C, spatial...) to (..., C * taps, windows...), the channels at ``axis``.

    functional.unfold does this for two spatial axes, and makes one axis of all windows.
    """
    ends: list[int] = []
    for size, k, s, p, d in zip(x.shape[axis + 1 :], kernel, stride, pad, dilation, strict=True):
        missing = d * (k - 1) + 1 - size - 2 * p
        ends = [p, p + (missing if 0 < missing < s else 0), *ends]
    x = functional.pad(x, ends)
    for place, (k, s, d) in enumerate(zip(kernel, stride, dilation, strict=True)):
        x = x.unfold(axis + 1 + place, d * (k - 1) + 1, s)
        # With dilation 0, all taps read one pixel.
        x = x[..., ::d] if d else x.expand(*x.shape[:-1], k)
    axes = len(kernel)
    windows = tuple(range(x.dim() - axes, x.dim()))
    x = x.movedim(windows, tuple(range(axis + 1, axis + 1 + axes)))
    return x.flatten(axis, axis + axes)


@caffe_layer("Im2col", bottoms=1, tops=1, exactness=bitwise(), params=("convolution_param",))
def im2col(layer: Setup) -> Plan:
    """y = the bottom's windows: what Convolution multiplies its filters with.

    bottom  x  (N..., C, spatial...)  the axes before ``axis`` are batch
    top     y  (N..., C * taps, windows...), channels in the order (channel, tap), windows as many
               as Convolution's outputs, zeros beyond the border
    torch   nn.Unfold for two spatial axes, which makes one axis of all windows
    Caffe   src/caffe/layers/im2col_layer.cpp, src/caffe/util/im2col.cpp
    """
    p = layer.param.convolution_param
    axis = layer.axis(p.axis)
    lead, shape = layer.bottoms[0][: axis + 1], layer.bottoms[0][axis + 1 :]
    layer.require(
        len(shape) > 0, f"needs axes after axis {p.axis}, got {shape_text(layer.bottoms[0])}"
    )
    kernel = spatial(layer, p, "kernel_size", len(shape), None)
    stride = spatial(layer, p, "stride", len(shape), 1)
    pad = spatial(layer, p, "pad", len(shape), 0)
    dilation = spatial(layer, p, "dilation", len(shape), 1)
    layer.require(all(kernel), f"kernel sizes must be positive, got {kernel}")
    layer.require(all(stride), f"strides must be positive, got {stride}")
    sizes = window_sizes(layer, shape, kernel, stride, pad, dilation)
    top = (*lead[:-1], lead[-1] * prod(kernel), *sizes)
    target = "torchcaffe.layers.im2col.columns"
    call = Call(target, Bottom(0), axis, kernel, stride, pad, dilation)
    return Plan(call, tops=(top,))
