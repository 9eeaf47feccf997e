"""Crop: one blob cut to the size of another."""

from __future__ import annotations

from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer, shape_text


def crop(x: Tensor, reference: Tensor, axis: int, offsets: tuple[int, ...]) -> Tensor:
    """x from ``offsets`` on, as long as the reference, along the axes from ``axis`` on."""
    for place, offset in enumerate(offsets, axis):
        x = x.narrow(place, offset, reference.shape[place])
    return x


@caffe_layer("Crop", bottoms=2, tops=1, exactness=bitwise(), gradient=bitwise())
def crop_layer(layer: Setup) -> Plan:
    """y = x cut to the size of the reference, from ``axis`` on, starting at ``offset``.

    bottoms  x          (N..., K...)
             reference  any values, only its shape is read; it takes no gradient
    top      y          (N..., as the reference)
    torch    slicing
    Caffe    src/caffe/layers/crop_layer.cpp
    """
    p = layer.param.crop_param
    axis = layer.axis(p.axis)
    shape, reference = layer.bottoms
    count = len(shape) - axis
    layer.require(
        len(p.offset) in (0, 1, count),
        f"has {len(p.offset)} offsets for {count} axes from axis {p.axis} on; give 1 or {count}",
    )
    layer.require(
        len(reference) >= len(shape),
        f"its reference has {len(reference)} axes, the bottom to cut {len(shape)}",
    )
    offsets = tuple(p.offset) if len(p.offset) == count else (tuple(p.offset) or (0,)) * count
    for place, offset in enumerate(offsets, axis):
        layer.require(
            shape[place] - offset >= reference[place],
            f"cannot cut {reference[place]} from axis {place} of {shape_text(shape)}, starting at "
            f"{offset}; use a smaller reference or offset",
        )
    call = Call("torchcaffe.layers.crop.crop", Bottom(0), Bottom(1), axis, offsets)
    return Plan(call, tops=((*shape[:axis], *reference[axis : len(shape)]),))
