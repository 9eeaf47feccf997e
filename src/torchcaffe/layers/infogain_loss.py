"""InfogainLoss: softmax loss with a weight for each pair of label and class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchcaffe import proto
from torchcaffe.errors import CaffeError
from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._geometry import refuse_cudnn
from torchcaffe.layers._loss import (
    check_batch,
    check_labels,
    class_labels,
    loss_divisor,
    loss_options,
    normalization,
)
from torchcaffe.layers._registry import Plan, Setup, caffe_layer, shape_text
from torchcaffe.proto.schema import BlobProto


class InfogainFunction(torch.autograd.Function):
    """The loss and the probabilities; the gradient is that of the loss without its clamp."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, label: Tensor, h: Tensor, axis: int, ignore: int | None, mode: str
    ) -> tuple[Tensor, Tensor]:
        """-sum(H[label, l] * log(max(p_l, 1e-20))) / divisor, and p."""
        prob = torch.softmax(x, axis)
        place = (*x.shape[:axis], *x.shape[axis + 1 :])
        index, counts = class_labels(label.reshape(place), x.shape[axis], ignore)
        rows = h.reshape(x.shape[axis], -1)[index].movedim(-1, axis)
        batch = x.shape[:axis].numel()
        ctx.axis, ctx.divisor = axis, loss_divisor(mode, counts, index.numel(), batch)
        ctx.save_for_backward(prob, rows, counts)
        terms = rows * prob.clamp(min=1e-20).log()
        if counts is not None:
            terms = torch.where(counts.unsqueeze(axis), terms, 0)
        return terms.sum() / -ctx.divisor, prob

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """(p_l * sum(H[label]) - H[label, l]) * grad / divisor, 0 where ignored; nothing for p."""
        prob, rows, counts = ctx.saved_tensors
        slope = (prob * rows.sum(ctx.axis, keepdim=True) - rows) * (grad / ctx.divisor)
        if counts is not None:
            slope = slope.masked_fill_(~counts.unsqueeze(ctx.axis), 0)
        return slope, None, None, None, None, None


def infogain_loss(
    x: Tensor,
    label: Tensor,
    h: Tensor,
    axis: int = 1,
    ignore: int | None = None,
    mode: str = "FULL",
) -> tuple[Tensor, Tensor]:
    """The loss and the probabilities; see InfogainFunction."""
    result: tuple[Tensor, Tensor] = InfogainFunction.apply(x, label, h, axis, ignore, mode)
    return result


class InfogainLoss(nn.Module):
    """infogain_loss with a matrix that does not change; the first ``tops`` of its results."""

    def __init__(self, h: Sequence[Sequence[float]], tops: int = 1, **options: Any) -> None:
        super().__init__()
        self.h, self.tops, self.options = h, tops, options

    def forward(self, x: Tensor, label: Tensor) -> tuple[Tensor, ...]:
        """The loss, and the probabilities if two tops are wanted."""
        h = torch.as_tensor(self.h, dtype=x.dtype, device=x.device)
        return infogain_loss(x, label, h, **self.options)[: self.tops]


@caffe_layer(
    "InfogainLoss",
    bottoms=(2, 3),
    tops=(1, 2),
    exactness=accumulated(),
    loss=True,
    indices=(1, 2),
    params=("softmax_param", "loss_param"),
)
def infogain_loss_layer(layer: Setup) -> Plan:
    """y = -sum_l(H[label, l] log(max(p_l, 1e-20))) / Z with p = softmax(x) along ``axis``.

    bottoms  x      (N..., C, ...)  scores
             label  (N..., ...)     0 to C-1 or ignore_label, one for each position; no gradient
             H      (C, C)          optional, else read from the binaryproto ``source``; no gradient
    tops     y      ()              Z as in SoftmaxWithLoss
             p      as x            optional, without gradient
    torch    none
    Caffe    src/caffe/layers/infogain_loss_layer.cpp; ``axis`` is infogain_loss_param's
    """
    p = layer.param.infogain_loss_param
    refuse_cudnn(layer, layer.param.softmax_param)
    axis = layer.axis(p.axis)
    check_batch(layer)
    check_labels(layer, axis)
    layer.require(
        not layer.param.loss_param.has("normalize"),
        "does not take normalize; give normalization: VALID for true, BATCH_SIZE for false",
    )
    layer.require(
        layer.tops == 1 or len(layer.param.loss_weight) == 2,
        "has two tops, so it needs a loss_weight for each: loss_weight: 1 loss_weight: 0",
    )
    ignore, mode = normalization(layer)
    classes = layer.bottoms[0][axis]
    options = loss_options(axis, ignore, mode, "FULL")
    shapes = ((), layer.bottoms[0])[: layer.tops]
    path = "torchcaffe.layers.infogain_loss"
    if len(layer.bottoms) == 2:
        options |= {"tops": 2} if layer.tops == 2 else {}
        return Plan(Call(f"{path}.InfogainLoss", _matrix(layer, classes), **options), tops=shapes)
    _check_matrix(layer, layer.bottoms[2], classes)
    call = Call(f"{path}.infogain_loss", Bottom(0), Bottom(1), Bottom(2), **options)
    return Plan(call if layer.tops == 2 else Call("operator.getitem", call, 0), tops=shapes)


def _matrix(layer: Setup, classes: int) -> tuple[tuple[float, ...], ...]:
    source = layer.param.infogain_loss_param.source
    layer.require(bool(source), "has no H; give a third bottom, or its binaryproto file as source")
    try:
        values = proto.blob_array(proto.read_wire(source, BlobProto), f'H in "{source}"')
    except CaffeError as error:
        raise layer.refuse(f"its source cannot be read: {error}", "infogain_loss_param") from error
    _check_matrix(layer, values.shape, classes)
    return tuple(tuple(row) for row in values.reshape(classes, classes).tolist())


def _check_matrix(layer: Setup, shape: Sequence[int], classes: int) -> None:
    layer.require(
        torch.Size(shape).numel() == classes**2,
        f"its H must be {classes}x{classes} for {classes} classes, got {shape_text(shape)}",
    )
