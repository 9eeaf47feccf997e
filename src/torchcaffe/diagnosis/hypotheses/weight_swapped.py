"""Weights of another layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from torchcaffe.diagnosis.anchors import Anchor
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._weights import own_weight, proposal, related
from torchcaffe.diagnosis.reference import Part
from torchcaffe.diagnosis.relations import CLOSE, distance, proportional

FEW = 6
"""Of more layers alike, only those are tried whose numbers the port has in this place."""


@hypothesis("weight-swapped")
def weight_swapped(state: State) -> Iterator[Proposal]:
    """A layer has the weights of another layer, as when two towers are exchanged."""
    for part, anchor in related(state, "shape"):
        own = own_weight(state, part, anchor)
        for other in state.segment.alignment.reference.parts if own is not None else ():
            if other.name == part.name or other.kind != part.kind or not other.blobs:
                continue
            assert own is not None
            if distance(own, other.blobs[0]) > CLOSE:
                if own.shape == other.blobs[0].shape and own.dim() > 1:
                    yield from _multiples(state, part, anchor, own, other)
                continue
            for found in proposal(
                state, part, anchor,
                f'Your layer has the weights of Caffe\'s "{other.name}".',
                f'Caffe\'s "{part.name}" has weights of its own.',
                f'load "{part.name}" here, and "{other.name}" where it belongs',
            ):  # fmt: skip
                yield replace(found, evidence={"has": other.name})
    yield from _norms(state)


def _multiples(
    state: State, part: Part, anchor: Anchor, own: Tensor, other: Part
) -> Iterator[Proposal]:
    """The same where BatchNorm was folded into the weights."""
    if proportional(own, other.blobs[0]):
        yield Proposal(
            layers=(part.name,),
            code=f'Your layer has multiples of the weights of Caffe\'s "{other.name}".',
            caffe=f'Caffe\'s "{part.name}" has weights of its own.',
            fix=f'load "{part.name}" here, and "{other.name}" where it belongs',
            parts=state.swapped(part, part.with_blobs(other.blobs[0], *part.blobs[1:])),
            op=anchor.call.op,
            evidence={"has": other.name},
            cost=0.2,
        )


def _norms(state: State) -> Iterator[Proposal]:
    """The same of BatchNorm and the Scale behind it."""
    for part in state.of("BatchNorm", "Scale", "PReLU"):
        others = [
            other
            for other in state.segment.alignment.reference.parts
            if other.kind == part.kind and other.name != part.name and other.blobs
            if [b.shape for b in other.blobs] == [b.shape for b in part.blobs]
        ]
        for other in others if len(others) <= FEW else _held(state, others):
            yield Proposal(
                layers=(part.name,),
                code=f'Your layer has the values of Caffe\'s "{other.name}".',
                caffe=f'Caffe\'s "{part.name}" has values of its own.',
                fix=f'load "{part.name}" here, and "{other.name}" where it belongs',
                parts=state.swapped(part, part.with_blobs(*other.blobs)),
                op=state.call("batch_norm", "prelu"),
                evidence={"has": other.name},
                cost=1.2,
            )


def _held(state: State, others: list[Part]) -> list[Part]:
    """The layers whose first blob, as it is or divided, is what a call of the segment reads."""
    values = state.segment.alignment.tape.values
    read = {place for op in state.segment.ops for place in op.inputs}
    fixed = [values[place].tensor.reshape(-1) for place in read if values[place].maker is None]
    found = []
    for other in others:
        blob = other.blobs[0].reshape(-1)
        factor = other.blobs[2] if other.kind == "BatchNorm" else torch.ones(1)
        forms = [blob, blob / factor] if bool(factor) else [blob]
        if any(distance(mine.float().cpu(), form) < CLOSE for mine in fixed for form in forms):
            found.append(other)
    return found
