"""The port's own weights in place of Caffe's, with how the two are related."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from torchcaffe.diagnosis.anchors import Anchor
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State
from torchcaffe.diagnosis.reference import Part

LAYERS = ("Convolution", "InnerProduct", "Deconvolution")


def related(state: State, *names: str) -> Iterator[tuple[Part, Anchor]]:
    """The layers whose weights the port has in one of these relations."""
    for part in state.of(*LAYERS):
        anchor = state.anchor(part)
        if anchor is not None and anchor.relation.name in names:
            yield part, anchor


def columns(anchor: Anchor) -> tuple[int, ...] | None:
    """The order of the axes that a fully connected layer's weights are laid out for."""
    order = anchor.relation.detail.rpartition("read as ")[2]
    if anchor.part.kind != "InnerProduct" or not order.startswith("(0,"):
        return None
    return tuple(int(axis) for axis in order.strip("()").split(","))


def own_weight(state: State, part: Part, anchor: Anchor) -> Tensor | None:
    """The port's weight in the shape of Caffe's blob."""
    weight = state.weight(anchor)
    if part.kind == "InnerProduct" and part.param.inner_product_param.transpose:
        weight = weight.flatten(1).t()
    blob = part.blobs[0]
    return weight.reshape(blob.shape) if weight.numel() == blob.numel() else None


def with_own_weight(state: State, part: Part, anchor: Anchor, bias: bool = False) -> Part | None:
    """The layer with the port's weight, and with its bias if asked to."""
    weight = own_weight(state, part, anchor)
    if weight is None:
        return None
    blobs = [weight, *part.blobs[1:]]
    if bias:
        own = state.bias(anchor)
        if own is None or len(blobs) < 2 or own.numel() != blobs[1].numel():
            return None
        if torch.equal(own.reshape(-1), blobs[1].reshape(-1)):
            return None
        blobs[1] = own.reshape(blobs[1].shape)
    return part.with_blobs(*blobs)


def proposal(
    state: State, part: Part, anchor: Anchor, code: str, caffe: str, fix: str, cost: float = 0.0
) -> Iterator[Proposal]:
    """The port's weight, and its weight and bias, as the only change."""
    for bias in (False, True):
        new = with_own_weight(state, part, anchor, bias)
        if new is not None:
            yield Proposal(
                layers=(part.name,),
                code=code,
                caffe=caffe,
                fix=fix,
                parts=state.swapped(part, new),
                op=anchor.call.op,
                evidence={"relation": anchor.relation.name, "detail": anchor.relation.detail},
                cost=cost + 0.1 * bias,
            )
