"""Weights with two axes exchanged."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._weights import columns, proposal, related
from torchcaffe.layers._registry import shape_text


@hypothesis("weight-transpose")
def weight_transpose(state: State) -> Iterator[Proposal]:
    """Weights are transposed where they should be as they are."""
    for part, anchor in related(state, "transposed", "permuted"):
        if columns(anchor) is not None:
            continue
        yield from proposal(
            state, part, anchor,
            f"Your weight is Caffe's with its axes in the order {anchor.relation.detail}.",
            f"Caffe's blob is {shape_text(part.blobs[0].shape)}, outputs first, as torch's is.",
            "weight.data.copy_(blobs[0])",
        )  # fmt: skip
