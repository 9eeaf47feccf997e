"""Accuracy: the share of positions whose label is among the k highest scores."""

from __future__ import annotations

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._loss import check_labels, class_labels
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


def accuracy(
    x: Tensor, label: Tensor, axis: int = 1, top_k: int = 1, ignore: int | None = None
) -> tuple[Tensor, Tensor]:
    """The share of all positions, and of each class's, with fewer than top_k other classes that
    score at least as high as the label's; 0 of none."""
    place = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    index, counts = class_labels(label.reshape(place), x.shape[axis], ignore)
    better = (x >= x.gather(axis, index)).sum(axis, keepdim=True) - 1
    hits = better < top_k
    if counts is None:
        counts = torch.ones_like(hits)
    total, right = (
        x.new_zeros(x.shape[axis]).index_add(0, index.flatten(), mask.flatten().to(x.dtype))
        for mask in (counts, counts & hits)
    )
    # Of no positions, 0 / 1 hit.
    return right.sum() / total.sum().clamp(min=1), right / total.clamp(min=1)


@caffe_layer(
    "Accuracy",
    bottoms=2,
    tops=(1, 2),
    exactness=bitwise(),
    indices=(1,),
    differentiable=False,
)
def accuracy_layer(layer: Setup) -> Plan:
    """y = the share of positions where fewer than top_k other classes score as high as the label's.

    bottoms  x      (N..., C, ...)  scores
             label  (N..., ...)     0 to C-1 or ignore_label, one for each position
    tops     y      ()              0 if no position counts
             y_c    (C)             optional: the same for each class; 0 for a class without labels
    torch    argmax calls a tie right where the label comes first
    Caffe    src/caffe/layers/accuracy_layer.cpp; other classes with the same score count against
             the label (a net of zeros has accuracy 0), and a label with a NaN score counts as right
    """
    p = layer.param.accuracy_param
    axis = layer.axis(p.axis)
    check_labels(layer, axis)
    classes = layer.bottoms[0][axis]
    layer.require(
        p.top_k <= classes, f"top_k {p.top_k} is more than the {classes} classes of axis {axis}"
    )
    options: dict[str, int] = {} if axis == 1 else {"axis": axis}
    if p.top_k != 1:
        options["top_k"] = p.top_k
    if p.has("ignore_label"):
        options["ignore"] = p.ignore_label
    call = Call("torchcaffe.layers.accuracy.accuracy", Bottom(0), Bottom(1), **options)
    shapes = ((), (classes,))[: layer.tops]
    return Plan(call if layer.tops == 2 else Call("operator.getitem", call, 0), tops=shapes)
