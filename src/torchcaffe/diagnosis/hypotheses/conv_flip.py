"""Kernels turned around."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._weights import proposal, related


@hypothesis("conv-flip")
def conv_flip(state: State) -> Iterator[Proposal]:
    """Every kernel is turned by 180 degrees, as for a true convolution."""
    for part, anchor in related(state, "flipped"):
        yield from proposal(
            state, part, anchor,
            "Your kernels are Caffe's turned by 180 degrees.",
            "Caffe's convolution is a cross-correlation, as torch's is: kernels stay as they are.",
            "conv.weight.data.copy_(blobs[0])  # no flip",
        )  # fmt: skip
