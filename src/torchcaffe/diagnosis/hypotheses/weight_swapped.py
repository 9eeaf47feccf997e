"""Weights of another layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._weights import own_weight, proposal, related
from torchcaffe.diagnosis.relations import CLOSE, distance


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
                continue
            for found in proposal(
                state, part, anchor,
                f'Your layer has the weights of Caffe\'s "{other.name}".',
                f'Caffe\'s "{part.name}" has weights of its own.',
                f'load "{part.name}" here, and "{other.name}" where it belongs',
            ):  # fmt: skip
                yield replace(found, evidence={"has": other.name})
    yield from _norms(state)


def _norms(state: State) -> Iterator[Proposal]:
    """The same of BatchNorm and the Scale behind it."""
    for part in state.of("BatchNorm", "Scale", "PReLU"):
        for other in state.segment.alignment.reference.parts:
            same = other.kind == part.kind and other.name != part.name
            if not same or [b.shape for b in other.blobs] != [b.shape for b in part.blobs]:
                continue
            if not other.blobs:
                continue
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
