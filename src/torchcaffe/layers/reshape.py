"""Reshape: the same numbers under other axes."""

from collections.abc import Sequence
from math import prod

from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, Shape, caffe_layer, shape_text


def reshape_axes(x: Tensor, dims: Sequence[int], axis: int = 0, num_axes: int = -1) -> Tensor:
    """x with num_axes axes from axis on (-1: all of them) replaced by dims.

    A dim of 0 copies the size that x has at this place, -1 takes what is left.
    """
    end = x.dim() if num_axes == -1 else axis + num_axes
    sizes = [dim if dim else x.shape[axis + place] for place, dim in enumerate(dims)]
    return x.reshape(*x.shape[:axis], *sizes, *x.shape[end:])


@caffe_layer(
    "Reshape",
    bottoms=1,
    tops=1,
    exactness=bitwise(),
    gradient=bitwise(),
    in_place="refused",
    shares_data=True,
)
def reshape_layer(layer: Setup) -> Plan:
    """y = x under another shape: ``shape`` replaces num_axes axes from ``axis`` on.

    bottom  x  (...)
    top     y  as many numbers as x; a dim of 0 copies x's size at this place, -1 is inferred
    torch   torch.reshape, where 0 means an empty axis
    Caffe   src/caffe/layers/reshape_layer.cpp; axis -1 stands behind the last axis
    """
    p = layer.param.reshape_param
    shape, dims = layer.bottoms[0], list(p.shape.dim)
    axis = p.axis if p.axis >= 0 else len(shape) + p.axis + 1
    layer.require(
        0 <= axis <= len(shape),
        f"axis {p.axis} is out of range for a bottom with {len(shape)} axes {shape_text(shape)}",
    )
    layer.require(p.num_axes >= -1, f"num_axes must be 0 or more, or -1 for all, got {p.num_axes}")
    end = len(shape) if p.num_axes == -1 else axis + p.num_axes
    layer.require(
        end <= len(shape),
        f"axis {p.axis} and num_axes {p.num_axes} reach beyond a bottom with {len(shape)} axes "
        f"{shape_text(shape)}",
    )
    top = _top(layer, dims, axis, end)
    whole = (axis, end) == (0, len(shape))
    kept = len(dims) - 1
    if whole and 0 <= kept < len(shape) and dims == [0] * kept + [-1]:
        call = Call("torch.flatten", Bottom(0), kept)
    elif whole and all(dims):
        call = Call("torch.reshape", Bottom(0), tuple(dims))
    else:
        options = {"axis": axis} if axis else {}
        options |= {"num_axes": p.num_axes} if p.num_axes != -1 else {}
        path = "torchcaffe.layers.reshape.reshape_axes"
        call = Call(path, Bottom(0), tuple(dims), **options)
    return Plan(call, tops=(top,))


def _top(layer: Setup, dims: Sequence[int], axis: int, end: int) -> Shape:
    """The new shape, after Caffe's own checks of it."""
    shape = layer.bottoms[0]
    layer.require(
        all(dim >= -1 for dim in dims) and dims.count(-1) <= 1,
        f"a dim is a size, 0 to copy one, or once -1 to infer it; got {', '.join(map(str, dims))}",
    )
    for place, dim in enumerate(dims):
        layer.require(
            dim != 0 or axis + place < len(shape),
            f"dim {place} is 0, but a bottom of {shape_text(shape)} has no axis {axis + place} to "
            f"copy",
        )
    given = [dim or shape[axis + place] for place, dim in enumerate(dims) if dim != -1]
    rest = prod([*shape[:axis], *given, *shape[end:]])
    count = prod(shape)
    fits = rest > 0 and count % rest == 0 if -1 in dims else rest == count
    whole = shape_text([*shape[:axis], *dims, *shape[end:]])
    layer.require(
        fits, f"cannot put {count} numbers, a bottom of {shape_text(shape)}, in the shape {whole}"
    )
    sizes = [count // rest if dim == -1 else dim or shape[axis + i] for i, dim in enumerate(dims)]
    return (*shape[:axis], *sizes, *shape[end:])
