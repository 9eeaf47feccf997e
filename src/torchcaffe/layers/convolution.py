"""Convolution: a bank of filters slid over the axes after the channel axis."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from torchcaffe.layers._call import Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._geometry import refuse_cudnn, simple, spatial, window_sizes
from torchcaffe.layers._registry import Blob, Plan, Setup, Shape, caffe_layer, filler


class Convolution(nn.Module):
    """One set of filters applied to each bottom, over any number of spatial axes.

    Unlike torch's, the axes before ``axis`` are all batch, and an input smaller than the kernel by
    less than a stride is filled up with zeros at its end.
    """

    def __init__(
        self,
        channels: int,
        num_output: int,
        kernel: Sequence[int],
        stride: Sequence[int],
        pad: Sequence[int],
        dilation: Sequence[int],
        group: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_output, channels // group, *kernel))
        self.bias = nn.Parameter(torch.empty(num_output)) if bias else None
        self.stride, self.pad, self.dilation = tuple(stride), tuple(pad), tuple(dilation)
        self.group = group

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        """(..., C, spatial...) to (..., num_output, spatial...) for each bottom."""
        return tuple(self._one(x) for x in bottoms)

    def _one(self, x: Tensor) -> Tensor:
        axes = len(self.stride)
        lead = x.shape[: x.dim() - axes - 1]
        x = x.reshape(-1, *x.shape[len(lead) :])
        if not axes:
            y = functional.linear(x, self.weight, self.bias)
            return y.reshape(*lead, *y.shape[1:])
        ends: list[int] = []
        for size, k, p, d in zip(
            x.shape[2:], self.weight.shape[2:], self.pad, self.dilation, strict=True
        ):
            ends = [0, max(0, d * (k - 1) + 1 - size - 2 * p), *ends]
        if any(ends):
            x = functional.pad(x, ends)
        convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[axes - 1]
        y = convolve(x, self.weight, self.bias, self.stride, self.pad, self.dilation, self.group)
        return y.reshape(*lead, *y.shape[1:])


@caffe_layer("Convolution", bottoms=(1, None), tops=(1, None), equal=True, exactness=accumulated())
def convolution(layer: Setup) -> Plan:
    """y = w * x + b: cross-correlation, zeros beyond the border.

    bottoms  x  (N..., C, spatial...)  float; the axes before ``axis`` are batch
    tops     y  (N..., num_output, spatial...), each trunc((in + 2 pad - extent) / stride) + 1
    blobs    w  (num_output, C / group, kernel...);  b  (num_output)
    torch    nn.Conv2d, except where the bottom is smaller than the kernel: torch refuses, Caffe
             takes zeros beyond the end
    Caffe    src/caffe/layers/base_conv_layer.cpp, conv_layer.cpp
    """
    p = layer.param.convolution_param
    channels, shape = conv_bottoms(layer)
    kernel = spatial(layer, p, "kernel_size", len(shape), None if shape else 1)
    stride = spatial(layer, p, "stride", len(shape), 1)
    pad = spatial(layer, p, "pad", len(shape), 0)
    dilation = spatial(layer, p, "dilation", len(shape), 1)
    check_filters(layer, channels, kernel, stride)
    layer.require(
        len(shape) <= 3, f"slides over {len(shape)} axes; torch computes at most 3 of them"
    )
    sizes = window_sizes(layer, shape, kernel, stride, pad, dilation)
    blobs = [Blob("weight", filler(p, "weight_filler"))]
    if p.bias_term:
        blobs.append(Blob("bias", filler(p, "bias_filler")))
    terms = channels // p.group * prod(kernel)
    batch = prod(layer.bottoms[0]) // max(channels * prod(shape), 1)
    cost = len(layer.bottoms) * batch * p.num_output * prod(sizes) * terms
    call = Call(
        "torchcaffe.layers.convolution.Convolution",
        channels,
        p.num_output,
        kernel,
        stride,
        pad,
        dilation,
        group=p.group,
        bias=p.bias_term,
    )
    plain = torch_convolution(layer, "Conv", kernel, stride, pad, dilation, shape)
    return Plan(plain or call, tuple(blobs), multiply_adds=cost)


def conv_bottoms(layer: Setup) -> tuple[int, Shape]:
    """The channels and the spatial shape that all bottoms have."""
    p = layer.param.convolution_param
    axis = layer.axis(p.axis)
    first = layer.bottoms[0]
    for name, shape in zip(layer.param.bottom, layer.bottoms, strict=True):
        layer.require(
            shape == first, f'all bottoms must have one shape; "{name}" is {shape}, not {first}'
        )
    return first[axis], first[axis + 1 :]


def check_filters(
    layer: Setup, channels: int, kernel: Sequence[int], stride: Sequence[int]
) -> None:
    """Caffe's own checks of Convolution and Deconvolution."""
    p = layer.param.convolution_param
    layer.require(p.num_output > 0, f"num_output must be positive, got {p.num_output}")
    layer.require(p.group > 0, f"group must be positive, got {p.group}")
    layer.require(
        channels % p.group == 0,
        f"its bottom's {channels} channels do not divide by group {p.group}",
    )
    layer.require(
        p.num_output % p.group == 0, f"num_output {p.num_output} does not divide by group {p.group}"
    )
    layer.require(all(kernel), f"kernel sizes must be positive, got {tuple(kernel)}")
    layer.require(all(stride), f"strides must be positive, got {tuple(stride)}")
    refuse_cudnn(layer, p)


def torch_convolution(
    layer: Setup,
    kind: str,
    kernel: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int],
    dilation: Sequence[int],
    shape: Shape,
) -> Call | None:
    """torch's own module, if it computes the same for every input it takes."""
    p = layer.param.convolution_param
    axes = len(shape)
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    fits = all(
        size + 2 * room >= extent for size, room, extent in zip(shape, pad, extents, strict=True)
    )
    if len(layer.bottoms) > 1 or axes not in (1, 2, 3) or len(layer.bottoms[0]) != axes + 2:
        return None
    if kind == "Conv" and not fits:
        return None
    options: dict[str, object] = {"kernel_size": simple(kernel)}
    for name, values, default in (
        ("stride", stride, 1),
        ("padding", pad, 0),
        ("dilation", dilation, 1),
    ):
        if any(value != default for value in values):
            options[name] = simple(values)
    if p.group != 1:
        options["groups"] = p.group
    if not p.bias_term:
        options["bias"] = False
    channels = layer.bottoms[0][1]
    return Call(f"torch.nn.{kind}{axes}d", channels, p.num_output, **options)
