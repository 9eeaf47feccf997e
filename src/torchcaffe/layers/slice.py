"""Slice: one blob cut along one axis."""

from collections.abc import Sequence

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer, shape_text
from torchcaffe.layers.concat import legacy_axis


def slice_at(x: Tensor, points: Sequence[int], axis: int) -> tuple[Tensor, ...]:
    """x cut before each of the points; unlike torch.tensor_split, no piece may be empty."""
    if x.shape[axis] <= points[-1]:
        raise IndexError(f"no slice_point may reach {x.shape[axis]}, the size of axis {axis}")
    return torch.tensor_split(x, tuple(points), dim=axis)


@caffe_layer(
    "Slice", bottoms=1, tops=(1, None), exactness=bitwise(), gradient=bitwise(), shares_data=True
)
def slice_layer(layer: Setup) -> Plan:
    """y_i = x[..., p_i : p_i+1, ...] along ``axis``, cut at each slice_point p or into equal parts.

    bottom  x    (...)
    tops    y_i  (...)  as x, but for ``axis``
    torch   torch.chunk or torch.tensor_split, which do not mind parts of unequal size or none
    Caffe   src/caffe/layers/slice_layer.cpp; the older slice_dim takes no negative axis
    """
    p = layer.param.slice_param
    axis = legacy_axis(layer, p.axis, "slice_dim")
    size, points = layer.bottoms[0][axis], list(p.slice_point)
    if points:
        _check_points(layer, points, axis)
    else:
        layer.require(
            size % layer.tops == 0,
            f"axis {axis} of a bottom of {shape_text(layer.bottoms[0])} does not divide into "
            f"{layer.tops} equal tops; give {layer.tops - 1} slice_point",
        )
    if layer.tops == 1:
        return Plan(Bottom(0))
    if points:
        call = Call("torchcaffe.layers.slice.slice_at", Bottom(0), tuple(points), axis)
        plain = Call("torch.tensor_split", Bottom(0), tuple(points), dim=axis)
    else:
        parts = Call("torch.unflatten", Bottom(0), axis, (layer.tops, -1))
        call = Call("torch.unbind", parts, dim=axis)
        plain = Call("torch.chunk", Bottom(0), layer.tops, dim=axis)
        points = [part * size // layer.tops for part in range(1, layer.tops)]
    before, after = layer.bottoms[0][:axis], layer.bottoms[0][axis + 1 :]
    cuts = zip([0, *points], [*points, size], strict=True)
    tops = tuple((*before, end - start, *after) for start, end in cuts)
    return Plan(call, plain=plain, tops=tops)


def _check_points(layer: Setup, points: Sequence[int], axis: int) -> None:
    size = layer.bottoms[0][axis]
    layer.require(
        len(points) == layer.tops - 1,
        f"has {len(points)} slice_point for {layer.tops} tops; give {layer.tops - 1}, or none to "
        f"cut equal parts",
    )
    layer.require(
        all(low < high for low, high in zip([0, *points], [*points, size], strict=True)),
        f"the slice_point must rise, each above 0 and below {size}, the size of axis {axis}; got "
        f"{', '.join(map(str, points))}",
    )
