"""Convolution: a bank of filters slid over the axes after the channel axis."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from torchcaffe.layers._call import Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._geometry import refuse_cudnn, simple, spatial, window_sizes
from torchcaffe.layers._registry import (
    Blob,
    Plan,
    Setup,
    Shape,
    caffe_layer,
    filler,
    shape_text,
)


class Convolution(nn.Module):
    """One set of filters applied to each bottom, over any number of spatial axes.

    Unlike torch's, the axes before the channel axis are all batch, an input smaller than the kernel
    by less than a stride is filled up with zeros at its end, and a dilation of 0 lets all taps of
    an axis read one pixel.
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
        self.weight = nn.Parameter(torch.empty(num_output, channels // group, *kernel))
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
            y = functional.conv1d(x[..., None], weight[..., None], self.bias, groups=self.group)
            return y.reshape(*lead, -1)
        ends: list[int] = []
        for size, k, s, p, d in zip(
            x.shape[2:], weight.shape[2:], self.stride, self.pad, self.dilation, strict=True
        ):
            missing = d * (k - 1) + 1 - size - 2 * p
            ends = [0, missing if 0 < missing < s else 0, *ends]
        if any(ends):
            x = functional.pad(x, ends)
        convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[axes - 1]
        dilation = tuple(d or 1 for d in self.dilation)
        y = convolve(x, weight, self.bias, self.stride, self.pad, dilation, self.group)
        return y.reshape(*lead, *y.shape[1:])


def merge_taps(weight: Tensor, dilation: tuple[int, ...]) -> Tensor:
    """The filters with the taps of each axis whose dilation is 0 added up into one."""
    for axis, d in enumerate(dilation):
        if d == 0:
            weight = weight.sum(2 + axis, keepdim=True)
    return weight


@caffe_layer(
    "Convolution",
    bottoms=(1, None),
    tops=(1, None),
    equal=True,
    exactness=accumulated(),
    bilinear=True,
)
def convolution(layer: Setup) -> Plan:
    """y = w * x + b: cross-correlation, zeros beyond the border.

    bottoms  x  (N..., C, spatial...)  float; the axes before ``axis`` are batch
    tops     y  (N..., num_output, spatial...), each trunc((in + 2 pad - extent) / stride) + 1
    blobs    w  (num_output, C / group, kernel...);  b  (num_output)
    torch    nn.Conv2d, except: where the bottom is smaller than the kernel by less than a stride,
             torch refuses and Caffe takes zeros beyond the end; with dilation 0, all taps read the
             first one's pixel
    Caffe    src/caffe/layers/base_conv_layer.cpp, conv_layer.cpp
    """
    p = layer.param.convolution_param
    channels, shape = conv_bottoms(layer)
    kernel, stride, pad, dilation = filters(layer, channels, len(shape))
    sizes = window_sizes(layer, shape, kernel, stride, pad, dilation)
    terms = channels // p.group * prod(kernel)
    cost = cells(layer) // max(channels * prod(shape), 1) * p.num_output * prod(sizes) * terms
    target = "torchcaffe.layers.convolution.Convolution"
    options = filter_options(layer)
    call = Call(target, channels, p.num_output, kernel, stride, pad, dilation, **options)
    fits = all(
        size + 2 * room >= d * (k - 1) + 1
        for size, k, room, d in zip(shape, kernel, pad, dilation, strict=True)
    )
    plain = torch_convolution(layer, "Conv", kernel, stride, pad, dilation) if fits else None
    top = (*layer.bottoms[0][: layer.axis(p.axis)], p.num_output, *sizes)
    return Plan(plain or call, filter_blobs(layer), multiply_adds=cost, tops=(top,) * layer.tops)


def conv_bottoms(layer: Setup) -> tuple[int, Shape]:
    """The channels and the spatial shape that all bottoms have."""
    p = layer.param.convolution_param
    axis = layer.axis(p.axis)
    first = layer.bottoms[0]
    for name, shape in zip(layer.param.bottom, layer.bottoms, strict=True):
        layer.require(
            shape == first,
            f'all bottoms must have one shape; "{name}" is {shape_text(shape)}, not '
            f"{shape_text(first)}",
        )
    return first[axis], first[axis + 1 :]


def cells(layer: Setup) -> int:
    """The elements of all bottoms together."""
    return sum(prod(shape) for shape in layer.bottoms)


def filters(layer: Setup, channels: int, axes: int) -> tuple[Shape, Shape, Shape, Shape]:
    """Kernel, stride, pad and dilation, after Caffe's checks of Convolution and Deconvolution."""
    p = layer.param.convolution_param
    kernel = spatial(layer, p, "kernel_size", axes, None if axes else 1)
    stride = spatial(layer, p, "stride", axes, 1)
    pad = spatial(layer, p, "pad", axes, 0)
    dilation = spatial(layer, p, "dilation", axes, 1)
    layer.require(p.num_output > 0, f"num_output must be positive, got {p.num_output}")
    layer.require(p.group > 0, f"group must be positive, got {p.group}")
    layer.require(
        channels % p.group == 0,
        f"its bottom's {channels} channels do not divide by group {p.group}",
    )
    layer.require(
        p.num_output % p.group == 0, f"num_output {p.num_output} does not divide by group {p.group}"
    )
    layer.require(all(kernel), f"kernel sizes must be positive, got {kernel}")
    layer.require(all(stride), f"strides must be positive, got {stride}")
    layer.require(axes <= 3, f"slides over {axes} axes; torch computes at most 3 of them")
    refuse_cudnn(layer, p)
    return kernel, stride, pad, dilation


def filter_options(layer: Setup) -> dict[str, object]:
    """Group and bias, where they are not the defaults."""
    p = layer.param.convolution_param
    group: dict[str, object] = {"group": p.group} if p.group != 1 else {}
    return group if p.bias_term else group | {"bias": False}


def filter_blobs(layer: Setup) -> tuple[Blob, ...]:
    """The weight, and the bias unless it is switched off."""
    p = layer.param.convolution_param
    weight, bias = (Blob(name, filler(p, f"{name}_filler")) for name in ("weight", "bias"))
    return (weight, bias) if p.bias_term else (weight,)


def torch_convolution(
    layer: Setup, kind: str, kernel: Shape, stride: Shape, pad: Shape, dilation: Shape
) -> Call | None:
    """torch's own module, if it computes the same."""
    p = layer.param.convolution_param
    axes = len(kernel)
    one = len(layer.bottoms) == 1 and len(layer.bottoms[0]) == axes + 2
    if not one or axes not in (1, 2, 3) or not all(dilation):
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
