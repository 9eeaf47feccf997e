"""Which pixels a sliding kernel meets, by loops: for the references of several layers."""

from collections.abc import Iterator

import numpy as np

from torchcaffe.proto.schema import LayerParameter

Span = tuple[int, int, int, int]
Place = tuple[int, ...]


def geometry(param: LayerParameter, axes: int) -> list[Span]:
    """Kernel, stride, pad and dilation of each spatial axis."""
    p = param.convolution_param
    found = []
    for axis in range(axes):
        values = []
        for name, default in (("kernel_size", 0), ("stride", 1), ("pad", 0), ("dilation", 1)):
            listed = getattr(p, name) or [default]
            value = listed[0] if len(listed) == 1 else listed[axis]
            short = f"{name.removesuffix('_size')}_{'hw'[axis % 2]}"
            if name != "dilation" and p.has(short):
                value = getattr(p, short)
            values.append(value)
        found.append(tuple(values))
    return found


def taps(geometry: list[Span], small: Place, large: Place) -> Iterator[tuple[Place, Place, Place]]:
    """(place on the small side, tap, place on the large side) for all taps inside it."""
    for place in np.ndindex(small):
        for tap in np.ndindex(tuple(k for k, _, _, _ in geometry)):
            there = tuple(
                o * s - p + t * d for o, t, (_, s, p, d) in zip(place, tap, geometry, strict=True)
            )
            if all(0 <= at < size for at, size in zip(there, large, strict=True)):
                yield place, tap, there
