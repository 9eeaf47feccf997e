"""LRN: each element divided by a power of the squares around it, across channels or within one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._geometry import need_image, refuse_cudnn
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


def window_sums(x: Tensor, size: int, axes: tuple[int, ...]) -> Tensor:
    """The sum over the ``size`` neighbours along each of ``axes``, zeros past the end; as x."""
    half = size // 2
    for axis in axes:
        ends = [0, 0] * (x.dim() - 1 - axis) + [half, half]
        x = functional.pad(x, ends).unfold(axis, size, 1).sum(-1)
    return x


def running_sums(
    x: Tensor, size: int, factor: float = 1.0, start: float = 0.0, tail_first: bool = False
) -> Tensor:
    """start + factor * the sum over ``size`` neighbouring channels, each made from the one before.

    One channel enters and one leaves (first with ``tail_first``), and what rounding they leave
    behind stays, as in Caffe: large channels blur the sums of all that follow them.
    """
    half = size // 2
    terms = functional.pad(x.transpose(0, 1), (0, 0, 0, 0, 0, 0, half, half)).contiguous()
    sums = terms.new_empty(x.shape[1], *terms.shape[1:])
    enter, leave = (factor, -factor)[:: -1 if tail_first else 1]
    rows, heads = sums.unbind(0), terms.unbind(0)
    rows[0].fill_(start)
    for head in heads[:size]:
        rows[0].add_(head, alpha=factor)
    for c in range(1, len(rows)):
        first, second = (heads[c + size - 1], heads[c - 1])[:: -1 if tail_first else 1]
        torch.add(rows[c - 1], first, alpha=enter, out=rows[c]).add_(second, alpha=leave)
    return sums.transpose(0, 1)


class Normalize(torch.autograd.Function):
    """x * s ** -beta with s = k + alpha * the sum of x * x over the window.

    Autograd's own steps would take more than twice the time. On the CPU, sums over channels run
    along as Caffe's do; compiled and elsewhere, each is made for itself.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, size: int, axes: tuple[int, ...], alpha: float, beta: float, k: float
    ) -> Tensor:
        """(N, C, H, W) to the same."""
        ctx.runs = axes == (1,) and x.is_cpu and not torch.compiler.is_compiling()
        if ctx.runs:
            scale = running_sums(x * x, size, alpha, k)
        else:
            scale = window_sums(x * x, size, axes).mul_(alpha).add_(k)
        y = scale.pow(-beta).mul_(x)
        ctx.save_for_backward(x, scale, y)
        ctx.size, ctx.axes, ctx.beta, ctx.factor = size, axes, beta, 2 * alpha * beta
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        """dy * s ** -beta - 2 * alpha * beta * x * the sum of dy * y / s over the window."""
        x, scale, y = ctx.saved_tensors
        ratio = (dy * y).div_(scale)
        if ctx.runs:
            shared = running_sums(ratio, ctx.size, tail_first=True)
        else:
            shared = window_sums(ratio, ctx.size, ctx.axes)
        dx = scale.pow(-ctx.beta).mul_(dy).sub_(shared.mul_(x), alpha=ctx.factor)
        return dx, None, None, None, None, None


def across_channels(
    x: Tensor, size: int = 5, alpha: float = 1.0, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha / size * the sum of squares over ``size`` channels) ** beta.

    functional.local_response_norm computes the same, several times slower.
    """
    y: Tensor = Normalize.apply(x, size, (1,), alpha / size, beta, k)
    return y


def within_channel(x: Tensor, size: int = 5, alpha: float = 1.0, beta: float = 0.75) -> Tensor:
    """x / (1 + alpha * the mean square of size x size pixels, zeros past the border) ** beta."""
    y: Tensor = Normalize.apply(x, size, (2, 3), alpha / size**2, beta, 1.0)
    return y


@caffe_layer("LRN", bottoms=1, tops=1, exactness=accumulated(), reads_top=True)
def lrn(layer: Setup) -> Plan:
    """y = x / (k + alpha / local_size * sum(x * x)) ** beta.

    bottom  x  (N, C, H, W)
    top     y  as x
    torch   nn.LocalResponseNorm, whose alpha is 1e-4 where Caffe's is 1 by default. Caffe's sum
            over channels runs along: what it rounds off at large channels, and NaN and infinity,
            go on to all later ones. So here on the CPU; compiled and on other devices, each sum is
            made for itself
    Caffe   src/caffe/layers/lrn_layer.cpp; WITHIN_CHANNEL divides alpha by local_size ** 2 and has
            no k: 1 is taken, whatever k says
    """
    p = layer.param.lrn_param
    need_image(layer)
    layer.require(p.local_size % 2 == 1, f"local_size must be odd, got {p.local_size}")
    refuse_cudnn(layer, p)
    if p.norm_region == "WITHIN_CHANNEL":
        target = "torchcaffe.layers.lrn.within_channel"
        return Plan(Call(target, Bottom(0), p.local_size, p.alpha, p.beta), tops=layer.bottoms)
    target = "torchcaffe.layers.lrn.across_channels"
    call = Call(target, Bottom(0), p.local_size, p.alpha, p.beta, p.k)
    return Plan(call, tops=layer.bottoms)
