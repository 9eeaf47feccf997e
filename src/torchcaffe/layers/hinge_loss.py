"""HingeLoss: one class against all others."""

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import accumulated, bitwise
from torchcaffe.layers._loss import check_batch, class_labels
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


def hinge_loss(x: Tensor, label: Tensor, norm: str = "L1") -> Tensor:
    """sum(m) / N, for L2 sum(m^2) / N, with m = max(0, 1 - x) at the label, else max(0, 1 + x)."""
    rows = x.reshape(x.shape[0], -1)
    index, _ = class_labels(label.flatten()[: x.shape[0]], rows.shape[1])
    own = torch.zeros_like(rows, dtype=torch.bool).scatter(1, index[:, None], True)
    margin = 1 + torch.where(own, -rows, rows)
    # A NaN is not above 0 and counts as 0.
    margin = torch.where(margin > 0, margin, 0)
    return (margin if norm == "L1" else margin.square()).sum() / x.shape[0]


@caffe_layer(
    "HingeLoss",
    bottoms=2,
    tops=1,
    exactness=accumulated(),
    gradient=bitwise(),
    loss=True,
    indices=(1,),
    max_axes=4,
)
def hinge_loss_layer(layer: Setup) -> Plan:
    """y = sum(m) / N, L2: sum(m^2) / N, with m = max(0, 1 - x) at the label, else max(0, 1 + x).

    bottoms  x      (N, ...)  scores
             label  (N)       0 to the scores of an item - 1; no gradient
    top      y      ()
    torch    multi_margin_loss compares each class with the label's, not with 0
    Caffe    src/caffe/layers/hinge_loss_layer.cpp
    """
    check_batch(layer)
    norm = layer.param.hinge_loss_param.norm
    options = {} if norm == "L1" else {"norm": norm}
    call = Call("torchcaffe.layers.hinge_loss.hinge_loss", Bottom(0), Bottom(1), **options)
    return Plan(call, tops=((),))
