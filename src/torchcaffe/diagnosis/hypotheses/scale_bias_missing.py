"""A Scale layer's bias."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("scale-bias-missing")
def scale_bias_missing(state: State) -> Iterator[Proposal]:
    """A Scale layer's bias is not added."""
    for part in state.of("Scale"):
        if len(part.blobs) < 2:
            continue
        weight, bias = part.blobs
        yield Proposal(
            layers=(part.name,),
            code="Your code multiplies by the weight, but adds no bias.",
            caffe=f"Caffe adds the second blob, {float(bias[0]):.6g} in the first channel.",
            fix="bn.bias.data.copy_(scale_blobs[1])",
            parts=state.swapped(part, part.with_blobs(weight, torch.zeros_like(bias))),
            op=state.call("batch_norm", "mul"),
        )
