"""Kernels turned around."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._weights import proposal, related
from torchcaffe.diagnosis.relations import proportional


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
    for part, anchor in related(state, "shape"):
        axes = tuple(range(2, part.blobs[0].dim()))
        turned = part.blobs[0].flip(axes)
        own = state.weight(anchor)
        if axes and own.shape == turned.shape and proportional(own, turned):
            yield Proposal(
                layers=(part.name,),
                code="Your kernels are multiples of Caffe's turned by 180 degrees.",
                caffe="Caffe's convolution is a cross-correlation, as torch's is.",
                fix="fold BatchNorm into blobs[0] as it is, without a flip",
                parts=state.swapped(part, part.with_blobs(turned, *part.blobs[1:])),
                op=anchor.call.op,
                cost=0.2,
            )
