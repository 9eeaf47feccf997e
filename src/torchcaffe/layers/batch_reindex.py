"""BatchReindex: items in another order, repeated or left out."""

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer, shape_text


def batch_reindex(x: Tensor, index: Tensor) -> Tensor:
    """x[index], the indices as floats that lose their fraction; IndexError for no index of x."""
    if not index.is_meta and not torch.compiler.is_compiling():
        wrong = ~((index >= 0) & (index < x.shape[0]))
        if wrong.any():
            raise IndexError(
                f"index {index[wrong][0].item():.9g} is not one of its {x.shape[0]} items, 0 to "
                f"{x.shape[0] - 1}"
            )
    return x.index_select(0, index.long())


@caffe_layer("BatchReindex", bottoms=2, tops=1, exactness=bitwise(), indices=(1,))
def batch_reindex_layer(layer: Setup) -> Plan:
    """y_k = x[i_k].

    bottoms  x  (N, ...)
             i  (K)       0 to N-1; no gradient
    top      y  (K, ...)
    torch    x[i.long()], which takes negative indices too
    Caffe    src/caffe/layers/batch_reindex_layer.cpp
    """
    x, index = layer.bottoms
    layer.require(bool(x), "takes a bottom of at least 1 axis, got ()")
    layer.require(
        len(index) == 1, f"its second bottom holds indices along 1 axis, got {shape_text(index)}"
    )
    path = "torchcaffe.layers.batch_reindex.batch_reindex"
    return Plan(Call(path, Bottom(0), Bottom(1)), tops=((*index, *x[1:]),))
