"""One slope for all channels, or one for each."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("prelu-shared")
def prelu_shared(state: State) -> Iterator[Proposal]:
    """A PReLU has one slope for all channels where Caffe has one for each, or the reverse."""
    for part in state.of("PReLU"):
        weight = part.blobs[0].reshape(-1)
        op = state.call("prelu", "where", "leaky_relu")
        shared = weight.numel() == 1
        said = [float(weight[0]), float(weight.mean()), 0.25]
        if op is not None and op.name == "prelu":
            anchor = state.anchor(part)
            if anchor is not None and state.weight(anchor).numel() == 1:
                said.insert(0, float(state.weight(anchor).reshape(())))
        for value in () if shared else said:
            yield Proposal(
                layers=(part.name,),
                code=f"Your code has one slope, {value:.6g}, for all channels.",
                caffe=f"Caffe has a slope for each of {weight.numel()} channels.",
                fix=f"nn.PReLU({weight.numel()})",
                parts=state.swapped(part, part.with_blobs(torch.full_like(weight, value))),
                op=op,
            )
        if shared and op is not None and (anchor := state.anchor(part)) is not None:
            own = state.weight(anchor).reshape(-1)
            if own.numel() > 1:

                def sloped(x: Tensor, slopes: Tensor = own) -> Tensor:
                    return functional.prelu(x, slopes.to(x))

                yield Proposal(
                    layers=(part.name,),
                    code=f"Your code has a slope for each of {own.numel()} channels.",
                    caffe="Caffe has one for all (channel_shared: true).",
                    fix="nn.PReLU(1)",
                    parts=state.swapped(part, part.with_function(sloped)),
                    op=op,
                )
