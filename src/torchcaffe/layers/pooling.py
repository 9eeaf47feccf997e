"""Pooling: the largest, the mean, or a drawn element of each window of an image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import accumulated, bitwise
from torchcaffe.layers._geometry import need_image, refuse_cudnn, simple
from torchcaffe.layers._registry import Plan, Setup, Shape, caffe_layer

Pair = tuple[int, int]


def max_pool(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...] = (1, 1),
    pad: tuple[int, ...] = (0, 0),
    ceil: bool = True,
) -> Tensor:
    """(N, C, H, W) to (N, C, h, w): the largest element of each window, the first of equals.

    NaN is passed over; a window of NaN, -inf or nothing gives the lowest finite float32.
    """
    lowest = max(torch.finfo(x.dtype).min, -3.4028234663852886e38)
    room = explicit_padding(x.shape[-2:], kernel, stride, pad, ceil)
    if room:
        x, pad, ceil = functional.pad(x, room, value=lowest), (0, 0), False
    if x.is_cpu and not torch.compiler.is_compiling():
        y = functional.max_pool2d(x, kernel, stride, pad, ceil_mode=ceil)
        # The common case: torch's own answer differs only where NaN or -inf came out.
        if y.numel() == 0 or bool(y.amin() > lowest):
            return y
    x = torch.where(x > lowest, x, lowest)
    return functional.max_pool2d(x, kernel, stride, pad, ceil_mode=ceil)


def max_pool_with_mask(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...] = (1, 1),
    pad: tuple[int, ...] = (0, 0),
    ceil: bool = True,
) -> tuple[Tensor, Tensor]:
    """As max_pool, and where each maximum stood: row * W + column as floats, -1 for none."""
    lowest = max(torch.finfo(x.dtype).min, -3.4028234663852886e38)
    height, width = x.shape[-2:]
    room = explicit_padding((height, width), kernel, stride, pad, ceil)
    x = torch.where(x > lowest, x, lowest)
    if room:
        x, pad, ceil = functional.pad(x, room, value=lowest), (0, 0), False
    y, index = functional.max_pool2d(x, kernel, stride, pad, ceil_mode=ceil, return_indices=True)
    if room:
        row = index // x.shape[-1] - room[2]
        index = row * width + index % x.shape[-1] - room[0]
    return y, torch.where(y > lowest, index.to(y.dtype), -1.0)


def average_pool(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...] = (1, 1),
    pad: tuple[int, ...] = (0, 0),
    ceil: bool = True,
) -> Tensor:
    """(N, C, H, W) to (N, C, h, w): the mean of each window, the padding counting as zeros.

    A window that hangs over the padding's end counts what lies before it; one that starts
    behind it divides by a negative size, or by none.
    """
    room = explicit_padding(x.shape[-2:], kernel, stride, pad, ceil)
    if not room:
        return functional.avg_pool2d(x, kernel, stride, pad, ceil_mode=ceil)
    total = functional.avg_pool2d(functional.pad(x, room), kernel, stride, divisor_override=1)
    rows, columns = (
        torch.tensor([min(k, size + p - (i * s - p)) for i in range(count)], dtype=x.dtype)
        for size, k, s, p, count in zip(
            x.shape[-2:], kernel, stride, pad, total.shape[-2:], strict=True
        )
    )
    return total / (rows[:, None] * columns).to(x.device)


def global_max_pool(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, 1, 1)."""
    return max_pool(x, x.shape[-2:])


def global_average_pool(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, 1, 1); added up row by row, as nn.AdaptiveAvgPool2d does not."""
    return functional.avg_pool2d(x, x.shape[-2:])


def explicit_padding(
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    pad: tuple[int, ...],
    ceil: bool,
) -> list[int]:
    """What to pad (left, right, top, bottom) where torch has other windows; [] where it has not.

    torch pads by half a kernel at most, and drops a last window that starts outside the image
    also where there is no padding.
    """
    padded = any(pad)
    inside = padded or not ceil or all(s <= k for k, s in zip(kernel, stride, strict=True))
    if inside and all(2 * p <= k for k, p in zip(kernel, pad, strict=True)):
        return []
    room: list[int] = []
    for size, k, s, p in zip(shape, kernel, stride, pad, strict=True):
        last = (pooled_size(size, k, s, p, ceil, padded) - 1) * s
        room = [p, last + k - size - p, *room]
    return room


def pooled_size(size: int, kernel: int, stride: int, pad: int, ceil: bool, padded: bool) -> int:
    """How many windows an axis has; ``padded`` where either axis has padding."""
    slack = size + 2 * pad - kernel
    count = (-(-slack // stride) if ceil else slack // stride) + 1
    if padded and (count - 1) * stride >= size + pad:
        count -= 1
    return count


class StochasticPool(nn.Module):
    """One element of each window, drawn with the probability of its share in the window's sum; or,
    unless ``draw``, the mean of the elements weighted by their shares.

    Elements are meant to be 0 or more. Where no element can be drawn, and where a mean's sum is not
    positive, the answer is 0.
    """

    def __init__(
        self, kernel: tuple[int, int], stride: tuple[int, int], ceil: bool = True, draw: bool = True
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.ceil, self.draw = kernel, stride, ceil, draw
        self.stream: Any = None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, h, w)."""
        if self.draw:
            chosen = self._choose(x.detach())
            y = x.flatten(2).gather(2, chosen.clamp(min=0).flatten(2)).view_as(chosen)
            return torch.where(chosen < 0, 0, y)
        parts = self._parts(x)
        total, squares = torch.zeros_like(parts[0]), torch.zeros_like(parts[0])
        for part in parts:
            total, squares = total + part, squares + part * part
        positive = total > 0
        return torch.where(positive, squares / torch.where(positive, total, 1), 0)

    def _parts(self, x: Tensor) -> list[Tensor]:
        """For each place in the kernel, in rows, the elements that all windows have there."""
        room: list[int] = []
        spans = []
        for size, k, s in zip(x.shape[-2:], self.kernel, self.stride, strict=True):
            last = (pooled_size(size, k, s, 0, self.ceil, False) - 1) * s
            room = [0, max(0, last + k - size), *room]
            spans.append((k, last + 1, s))
        x = functional.pad(x, room)
        (height, rows, down), (width, columns, across) = spans
        return [
            x[..., i : i + rows : down, j : j + columns : across]
            for i in range(height)
            for j in range(width)
        ]

    def _choose(self, x: Tensor) -> Tensor:
        """Where each window's element stands, row * W + column, or -1; (N, C, h, w)."""
        parts = self._parts(x)
        total = torch.zeros_like(parts[0])
        for part in parts:
            total = total + part
        goal = self._uniform(total) * total
        running, width = torch.zeros_like(total), self.kernel[1]
        chosen = torch.full_like(total, -1, dtype=torch.long)
        rows, columns = (
            torch.arange(count, device=x.device) * s
            for count, s in zip(total.shape[-2:], self.stride, strict=True)
        )
        for place, part in enumerate(parts):
            running = running + part
            row, column = rows[:, None] + place // width, columns + place % width
            inside = (row < x.shape[-2]) & (column < x.shape[-1])
            hit = (chosen < 0) & (running >= goal) & inside
            chosen = torch.where(hit, row * x.shape[-1] + column, chosen)
        return chosen

    def _uniform(self, like: Tensor) -> Tensor:
        """Numbers in (0, 1], one from each word of the stream."""
        if self.stream is None:
            return 1 - torch.rand_like(like)
        words = self.stream.raw(like.numel()).astype("float64")
        return torch.from_numpy((words + 0.5) * 2.0**-32).to(like).view_as(like)


@caffe_layer("Pooling", bottoms=1, tops=(1, 2), exactness=bitwise(), gradient=bitwise())
def pooling(layer: Setup) -> Plan:
    """y = the largest (MAX), mean (AVE) or drawn (STOCHASTIC) element of each window.

    bottom  x     (N, C, H, W)
    tops    y     (N, C, h, w), each ceil((in + 2 pad - kernel) / stride) + 1, floor with
                  round_mode FLOOR; with padding, a last window that starts behind it is dropped
            mask  as y; MAX only: where each maximum stood, row * W + column, -1 for none
    torch   nn.MaxPool2d and nn.AvgPool2d with ceil_mode, except: NaN and -inf never win a maximum
            in Caffe; pad may exceed half the kernel; without pad, windows that start outside the
            image stay (MAX -3.4e38, AVE -0 or NaN). Where a maximum's window has no winner, Caffe's
            backward writes out of bounds, here it gives no gradient
    Caffe   src/caffe/layers/pooling_layer.cpp; STOCHASTIC, at which Caffe's CPU code aborts, as in
            pooling_layer.cu: in TRAIN, the first element at which the running sum reaches u * sum;
            in TEST, sum(x * x) / sum(x). Its numbers u come from the net's stream, one a window,
            as Caffe's come from cuRAND: alike in law, not in bits. In TEST the gradient is the
            derivative; Caffe's would use draws that were never made
    """
    p = layer.param.pooling_param
    need_image(layer)
    layer.require(
        p.pool == "MAX" or layer.tops == 1, f"a second top, the mask, needs pool: MAX, not {p.pool}"
    )
    refuse_cudnn(layer, p)
    kernel, stride, pad = windows(layer)
    ceil = p.round_mode == "CEIL"
    sizes = pooled_sizes(layer, kernel, stride, pad, ceil)
    tops = (layer.bottoms[0][:2] + sizes,) * layer.tops
    options: dict[str, Any] = {} if ceil else {"ceil": False}
    if p.pool == "STOCHASTIC":
        layer.require(not any(pad), "pad is only for MAX and AVE; leave it out for STOCHASTIC")
        target = "torchcaffe.layers.pooling.StochasticPool"
        if layer.phase == "TRAIN":
            return Plan(Call(target, kernel, stride, **options), tops=tops)
        call = Call(target, kernel, stride, **options, draw=False)
        return Plan(call, exactness=accumulated(), tops=tops)
    if layer.tops == 2:
        target = "torchcaffe.layers.pooling.max_pool_with_mask"
        return Plan(Call(target, Bottom(0), kernel, stride, pad, **options), tops=tops)
    if p.global_pooling:
        return global_pooling(p.pool, tops)
    if p.pool == "MAX":
        target = "torchcaffe.layers.pooling.max_pool"
    else:
        target = "torchcaffe.layers.pooling.average_pool"
    call = Call(target, Bottom(0), kernel, stride, pad, **options)
    if explicit_padding(layer.bottoms[0][2:], kernel, stride, pad, ceil):
        return Plan(call, tops=tops)
    settings: dict[str, Any] = {"stride": simple(stride)}
    if any(pad):
        settings["padding"] = simple(pad)
    if ceil:
        settings["ceil_mode"] = True
    if p.pool == "MAX":
        plain = Call("torch.nn.MaxPool2d", simple(kernel), **settings)
        return Plan(call, plain=plain, tops=tops)
    call = Call("torch.nn.functional.avg_pool2d", Bottom(0), simple(kernel), **settings)
    plain = Call("torch.nn.AvgPool2d", simple(kernel), **settings)
    return Plan(call, plain=plain, tops=tops)


def global_pooling(pool: str, tops: tuple[Shape, ...]) -> Plan:
    """The plan for windows as large as the image, whatever its size when it runs."""
    if pool == "AVE":
        return Plan(Call("torchcaffe.layers.pooling.global_average_pool", Bottom(0)), tops=tops)
    call = Call("torchcaffe.layers.pooling.global_max_pool", Bottom(0))
    return Plan(call, plain=Call("torch.nn.AdaptiveMaxPool2d", 1), tops=tops)


def windows(layer: Setup) -> tuple[Pair, Pair, Pair]:
    """Kernel, stride and pad, each (height, width), as pooling_param gives them."""
    p = layer.param.pooling_param
    stride, pad = pair(layer, "stride", "stride"), pair(layer, "pad", "pad")
    if p.global_pooling:
        given = [name for name in ("kernel_size", "kernel_h", "kernel_w") if p.has(name)]
        layer.require(not given, f"global_pooling takes no {', '.join(given)}")
        layer.require(
            stride == (1, 1) and pad == (0, 0), "global_pooling takes no pad and no stride but 1"
        )
        height, width = layer.bottoms[0][2:]
        return (height, width), stride, pad
    layer.require(
        any(p.has(name) for name in ("kernel_size", "kernel_h", "kernel_w")),
        "has no kernel_size; give kernel_size, kernel_h and kernel_w, or global_pooling",
    )
    return pair(layer, "kernel_size", "kernel"), stride, pad


def pair(layer: Setup, name: str, short: str) -> Pair:
    """``name``, or ``short_h`` and ``short_w``, which must be given together and without it."""
    p = layer.param.pooling_param
    parts = (f"{short}_h", f"{short}_w")
    given = [part for part in parts if p.has(part)]
    if not given:
        value = getattr(p, name)
        return value, value
    layer.require(len(given) == 2, f"has {given[0]} but not both {parts[0]} and {parts[1]}")
    layer.require(not p.has(name), f"has both {name} and {parts[0]}; give one of them")
    return getattr(p, parts[0]), getattr(p, parts[1])


def pooled_sizes(layer: Setup, kernel: Pair, stride: Pair, pad: Pair, ceil: bool) -> Shape:
    """The top's height and width, after Caffe's own checks."""
    layer.require(all(kernel), f"kernel sizes must be positive, got {kernel}")
    layer.require(all(stride), f"strides must be positive, got {stride}; Caffe divides by them")
    layer.require(
        not any(pad) or all(p < k for k, p in zip(kernel, pad, strict=True)),
        f"pad must be smaller than the kernel, got pad {pad} for kernel {kernel}",
    )
    sizes = []
    for size, k, s, p in zip(layer.bottoms[0][2:], kernel, stride, pad, strict=True):
        sizes.append(pooled_size(size, k, s, p, ceil, any(pad)))
        if sizes[-1] < 1:
            raise layer.refuse(
                f"its kernel covers {k} pixels, more than the padded bottom's {size + 2 * p}; use "
                f"a larger input, a smaller kernel or more pad"
            )
    return tuple(sizes)
