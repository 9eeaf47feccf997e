"""Weights reshaped where they should be transposed."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._weights import columns, proposal, related
from torchcaffe.layers._registry import shape_text


@hypothesis("weight-reshape")
def weight_reshape(state: State) -> Iterator[Proposal]:
    """Weights of another layout were reshaped where their axes should have been moved."""
    for part, anchor in related(state, "reshaped"):
        if columns(anchor) is not None:
            continue
        yield from proposal(
            state, part, anchor,
            (
                "Your weight holds Caffe's numbers in another order: an array of another layout "
                f"was reshaped ({anchor.relation.detail})."
            ),
            f"Caffe's blob is {shape_text(part.blobs[0].shape)}, outputs first, as torch's is.",
            "weight = dumped.T  # or permute(...): move the axes, do not reshape them",
        )  # fmt: skip
