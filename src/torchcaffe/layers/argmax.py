"""ArgMax: the places of the k largest numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


def arg_max(x: Tensor, axis: int, top_k: int = 1) -> tuple[Tensor, Tensor]:
    """Indices of the top_k largest along axis, in falling order, and their values.

    Of equal numbers the later comes first: that is the first of them from the other end.
    """
    turned = x.flip(axis)
    if top_k == 1:
        index = turned.argmax(axis, keepdim=True)
    else:
        index = turned.sort(dim=axis, descending=True, stable=True).indices.narrow(axis, 0, top_k)
    return (x.shape[axis] - 1 - index).to(x.dtype), turned.gather(axis, index)


def arg_max_items(x: Tensor, top_k: int = 1, values: bool = False) -> Tensor:
    """(N, 1, top_k, 1...): indices within each item; with values (N, 2, top_k, 1...)."""
    found = arg_max(x.reshape(x.shape[0], -1), 1, top_k)
    result = torch.stack(found if values else found[:1], 1)
    return result.reshape(*result.shape, *[1] * (x.dim() - 3))


@caffe_layer("ArgMax", bottoms=1, tops=1, exactness=bitwise(), differentiable=False)
def argmax(layer: Setup) -> Plan:
    """y = the places of the top_k largest x along ``axis``, without an ``axis`` in each item.

    bottom  x  (N, ...)
    top     y  with axis: as x, but top_k along it: indices, or with out_max_val values; without:
               (N, 1, top_k, 1...) indices, with out_max_val (N, 2, top_k, 1...) indices and values
    torch   argmax and topk give the first of equal numbers first
    Caffe   src/caffe/layers/argmax_layer.cpp; gives the last of equal numbers first
    """
    p, shape = layer.param.argmax_param, layer.bottoms[0]
    layer.require(p.top_k >= 1, "top_k must be 1 or more, got 0")
    if p.has("axis"):
        axis = layer.axis(p.axis)
        size, what = shape[axis], f"axis {p.axis} of the bottom has"
    else:
        layer.require(bool(shape), "takes a bottom of at least 1 axis, got ()")
        size, what = torch.Size(shape[1:]).numel(), "an item of the bottom has"
    layer.require(p.top_k <= size, f"top_k {p.top_k} is more than the {size} numbers that {what}")
    if not p.has("axis"):
        rest = (1,) * (len(shape) - 3)
        options = {} if p.top_k == 1 else {"top_k": p.top_k}
        options |= {"values": True} if p.out_max_val else {}
        call = Call("torchcaffe.layers.argmax.arg_max_items", Bottom(0), **options)
        return Plan(call, tops=((shape[0], 2 if p.out_max_val else 1, p.top_k, *rest),))
    call = Call("torchcaffe.layers.argmax.arg_max", Bottom(0), axis, top_k=p.top_k)
    top = (*shape[:axis], p.top_k, *shape[axis + 1 :])
    return Plan(Call("operator.getitem", call, int(p.out_max_val)), tops=(top,))
