"""Concat: several blobs joined along one axis."""

from torchcaffe.layers._call import BOTTOMS, Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer, shape_text


@caffe_layer(
    "Concat", bottoms=(1, None), tops=1, exactness=bitwise(), gradient=bitwise(), shares_data=True
)
def concat(layer: Setup) -> Plan:
    """y = the bottoms one after the other along ``axis``.

    bottoms  x_i  (...)  the same shape but for ``axis``
    top      y    (...)  along ``axis`` the sum of the bottoms' sizes
    torch    torch.cat
    Caffe    src/caffe/layers/concat_layer.cpp; the older concat_dim takes no negative axis
    """
    p = layer.param.concat_param
    axis = legacy_axis(layer, p.axis, "concat_dim")
    first = layer.bottoms[0]
    for name, shape in zip(layer.param.bottom, layer.bottoms, strict=True):
        layer.require(
            len(shape) == len(first)
            and shape[:axis] + shape[axis + 1 :] == first[:axis] + first[axis + 1 :],
            f'the bottoms may differ in axis {axis} only; "{name}" is {shape_text(shape)}, '
            f'"{layer.param.bottom[0]}" {shape_text(first)}',
        )
    if len(layer.bottoms) == 1:
        return Plan(Bottom(0))
    size = sum(shape[axis] for shape in layer.bottoms)
    top = (*first[:axis], size, *first[axis + 1 :])
    return Plan(Call("torch.cat", BOTTOMS, dim=axis), tops=(top,))


def legacy_axis(layer: Setup, axis: int, old_name: str) -> int:
    """The axis of Concat or Slice, which have an older field for it beside ``axis``."""
    p = layer.param.concat_param if old_name == "concat_dim" else layer.param.slice_param
    if not p.has(old_name):
        return layer.axis(axis)
    layer.require(
        not p.has("axis"), f"has both axis and {old_name}; give axis, which replaced {old_name}"
    )
    return layer.axis(getattr(p, old_name), field_name=old_name)
