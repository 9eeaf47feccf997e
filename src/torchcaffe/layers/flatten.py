"""Flatten: neighbouring axes merged into one."""

from math import prod

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


@caffe_layer(
    "Flatten",
    bottoms=1,
    tops=1,
    exactness=bitwise(),
    gradient=bitwise(),
    in_place="refused",
    shares_data=True,
)
def flatten(layer: Setup) -> Plan:
    """y = x with the axes from ``axis`` to ``end_axis`` merged into one.

    bottom  x  (...)
    top     y  (..., the product of the merged sizes, ...)
    torch   torch.flatten
    Caffe   src/caffe/layers/flatten_layer.cpp
    """
    p = layer.param.flatten_param
    start, end = layer.axis(p.axis), layer.axis(p.end_axis, field_name="end_axis")
    layer.require(start <= end, f"end_axis {p.end_axis} comes before axis {p.axis}")
    shape = layer.bottoms[0]
    top = (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :])
    ends = () if end == len(shape) - 1 else (end,)
    return Plan(Call("torch.flatten", Bottom(0), start, *ends), tops=(top,))
