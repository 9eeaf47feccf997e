"""Window sizes as Convolution, Deconvolution, Im2col and Pooling read them from their messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchcaffe.layers._registry import Setup, shape_text


def spatial(layer: Setup, param: Any, name: str, axes: int, default: int | None) -> tuple[int, ...]:
    """One value per spatial axis of ``kernel_size``, ``stride``, ``pad`` or ``dilation``.

    The repeated field gives none, one for all, or one per axis; ``kernel_h`` and ``kernel_w``
    (``stride_h`` ...) replace it for two axes and exclude it.
    """
    short = "kernel" if name == "kernel_size" else name
    hw = [f"{short}_h", f"{short}_w"] if name != "dilation" else []
    given = [part for part in hw if param.has(part)]
    values: Sequence[int] = getattr(param, name)
    if given:
        layer.require(axes == 2, f"{given[0]} needs 2 spatial axes, this bottom has {axes}")
        layer.require(not values, f"has both {name} and {given[0]}; give one of them")
        missing = [part for part in hw if part not in given]
        if missing and name in ("kernel_size", "stride"):
            raise layer.refuse(f"has {given[0]} but no {missing[0]}; give both, or {name}")
        return tuple(getattr(param, part) for part in hw)
    if not values:
        if default is None:
            raise layer.refuse(f"has no {name}; give {name}, or {hw[0]} and {hw[1]}")
        return (default,) * axes
    layer.require(
        len(values) in (1, axes),
        f"has {len(values)} values of {name} for {axes} spatial axes; give 1 or {axes}",
    )
    return tuple(values) if len(values) == axes else tuple(values) * axes


def window_sizes(
    layer: Setup,
    shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int],
    dilation: Sequence[int],
) -> tuple[int, ...]:
    """Convolution's output sizes: trunc((in + 2 pad - extent) / stride) + 1 for each axis.

    C's division truncates towards zero, so that an input smaller than the kernel by less than a
    stride still gives one output (base_conv_layer.cpp); that is kept.
    """
    sizes = []
    for size, k, s, p, d in zip(shape, kernel, stride, pad, dilation, strict=True):
        room = size + 2 * p - (d * (k - 1) + 1)
        out = (room // s if room >= 0 else -((-room) // s)) + 1
        if out < 1:
            raise layer.refuse(
                f"its kernel covers {d * (k - 1) + 1} pixels, more than the padded bottom's "
                f"{size + 2 * p}; use a larger input, a smaller kernel or more pad"
            )
        sizes.append(out)
    return tuple(sizes)


def simple(values: Sequence[int]) -> int | tuple[int, ...]:
    """One number where all are the same, as people write it."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def need_image(layer: Setup) -> None:
    """Refuse a bottom that has not the 4 axes (num, channels, height, width)."""
    shape = layer.bottoms[0]
    layer.require(
        len(shape) == 4,
        f"takes a bottom of 4 axes (num, channels, height, width), got {shape_text(shape)}",
    )


def refuse_cudnn(layer: Setup, param: Any) -> None:
    """Refuse ``engine: CUDNN``, as a Caffe without a GPU does."""
    layer.require(
        param.engine != "CUDNN",
        'engine: CUDNN is not in a Caffe built for the CPU; leave "engine" out',
    )
