"""Deconvolution: each bottom element adds its multiple of a filter to the top."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from torchcaffe.layers._call import Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._registry import Plan, Setup, caffe_layer
from torchcaffe.layers.convolution import (
    cells,
    conv_bottoms,
    filter_blobs,
    filter_options,
    filters,
    merge_taps,
    torch_convolution,
)


class Deconvolution(nn.Module):
    """One set of filters spread from each bottom, over any number of spatial axes.

    Unlike torch's, the axes before the channel axis are all batch, and a dilation of 0 lets all
    taps of an axis write one pixel.
    """

    def __init__(
        self,
        channels: int,
        num_output: int,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        pad: tuple[int, ...],
        dilation: tuple[int, ...],
        group: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, num_output // group, *kernel))
        self.bias = nn.Parameter(torch.empty(num_output)) if bias else None
        self.stride, self.pad, self.dilation, self.group = stride, pad, dilation, group

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        """(..., C, spatial...) to (..., num_output, spatial...) for each bottom."""
        return tuple(self._one(x) for x in bottoms)

    def _one(self, x: Tensor) -> Tensor:
        axes = len(self.stride)
        lead = x.shape[: x.dim() - axes - 1]
        x = x.reshape(-1, *x.shape[len(lead) :])
        weight = merge_taps(self.weight, self.dilation)
        if not axes:
            x, weight = x[..., None], weight[..., None]
            y = functional.conv_transpose1d(x, weight, self.bias, groups=self.group)
            return y.reshape(*lead, -1)
        spread = (
            functional.conv_transpose1d,
            functional.conv_transpose2d,
            functional.conv_transpose3d,
        )[axes - 1]
        dilation = tuple(d or 1 for d in self.dilation)
        y = spread(x, weight, self.bias, self.stride, self.pad, 0, self.group, dilation)
        return y.reshape(*lead, *y.shape[1:])


@caffe_layer(
    "Deconvolution",
    bottoms=(1, None),
    tops=(1, None),
    equal=True,
    exactness=accumulated(),
    bilinear=True,
    params=("convolution_param",),
)
def deconvolution(layer: Setup) -> Plan:
    """y = w transposed * x + b: what Convolution's backward pass computes.

    bottoms  x  (N..., C, spatial...)  float; the axes before ``axis`` are batch
    tops     y  (N..., num_output, spatial...), each stride * (in - 1) + extent - 2 pad
    blobs    w  (C, num_output / group, kernel...);  b  (num_output)
    torch    nn.ConvTranspose2d
    Caffe    src/caffe/layers/base_conv_layer.cpp, deconv_layer.cpp.  Fillers see w's first axis, C,
             as the outputs
    """
    p = layer.param.convolution_param
    channels, shape = conv_bottoms(layer)
    kernel, stride, pad, dilation = filters(layer, channels, len(shape))
    top = [*layer.bottoms[0][: layer.axis(p.axis)], p.num_output]
    for size, k, s, room, d in zip(shape, kernel, stride, pad, dilation, strict=True):
        grown = s * (size - 1) + d * (k - 1) + 1
        top.append(grown - 2 * room)
        layer.require(
            grown > 2 * room,
            f"its pad of {room} at both ends removes all of the {grown} pixels that it makes of "
            f"the bottom's {size}",
        )
    cost = cells(layer) * p.num_output // p.group * prod(kernel)
    target = "torchcaffe.layers.deconvolution.Deconvolution"
    options = filter_options(layer)
    call = Call(target, channels, p.num_output, kernel, stride, pad, dilation, **options)
    plain = torch_convolution(layer, "ConvTranspose", kernel, stride, pad, dilation)
    tops = (tuple(top),) * layer.tops
    return Plan(plain or call, filter_blobs(layer), multiply_adds=cost, tops=tops)
