"""Weights that are not Caffe's at all."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._weights import own_weight, proposal, related
from torchcaffe.diagnosis.relations import CLOSE, distance

ALIKE = 0.2
"""Weights whose cosine with Caffe's is larger than this come from them somehow."""


@hypothesis("weight-not-loaded")
def weight_not_loaded(state: State) -> Iterator[Proposal]:
    """Weights were never loaded: they are still what the layer was initialised with."""
    for part, anchor in related(state, "shape", "numel"):
        own = own_weight(state, part, anchor)
        if own is None or _cosine(own, part.blobs[0]) > ALIKE or _elsewhere(state, own):
            continue
        yield from proposal(
            state, part, anchor,
            (
                f"Your weight is none of Caffe's: it has mean {float(own.mean()):.3g} and "
                f"deviation {float(own.std()):.3g}."
            ),
            (
                f"Caffe's has mean {float(part.blobs[0].mean()):.3g} and deviation "
                f"{float(part.blobs[0].std()):.3g}."
            ),
            f'load the blobs of "{part.name}" into it',
            0.5,
        )  # fmt: skip
    yield from _norms(state)


def _norms(state: State) -> Iterator[Proposal]:
    """Statistics at 0 and 1, weight and bias at 1 and 0."""
    for part in state.of("BatchNorm", "Scale"):
        count = part.blobs[0].numel() if part.blobs else 0
        zero, one = torch.zeros(count), torch.ones(count)
        fresh = {"BatchNorm": (zero, one, torch.ones(1)), "Scale": (one, zero)[: len(part.blobs)]}
        if not count or (part.kind == "Scale" and part.blobs[0].dim() != 1):
            continue
        op = state.call("batch_norm")
        yield Proposal(
            layers=(part.name,),
            code="Your layer still has the values that it was made with: 0 and 1.",
            caffe=f'Caffe\'s "{part.name}" has values of its own.',
            fix=f'load the blobs of "{part.name}" into it',
            parts=state.swapped(part, part.with_blobs(*fresh[part.kind])),
            op=op,
            cost=0.9,
        )


def _cosine(a: Tensor, b: Tensor) -> float:
    a, b = a.reshape(-1).double(), b.reshape(-1).double()
    return float(abs(a @ b) / (a.norm() * b.norm()).clamp(min=1e-30))


def _elsewhere(state: State, own: Tensor) -> bool:
    """Whether the weights are those of another layer."""
    return any(
        part.blobs and distance(own, part.blobs[0]) <= CLOSE
        for part in state.segment.alignment.reference.parts
    )
