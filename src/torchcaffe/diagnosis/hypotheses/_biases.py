"""A bias that is left out, or another one."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State


def other_biases(
    state: State, kinds: tuple[str, ...], what: str, module: str
) -> Iterator[Proposal]:
    """The port's own bias, and none at all, for each layer of these kinds that has one."""
    for part in state.of(*kinds):
        if len(part.blobs) < 2:
            continue
        weight, bias = part.blobs
        anchor = state.anchor(part)
        own = state.bias(anchor) if anchor is not None else None
        op = anchor.call.op if anchor is not None else None
        if own is not None and own.numel() == bias.numel() and not torch.equal(own, bias):
            yield Proposal(
                layers=(part.name,),
                code=f"Your bias begins with {float(own.reshape(-1)[0]):.6g}.",
                caffe=f"Caffe's second blob begins with {float(bias[0]):.6g}.",
                fix="layer.bias.data.copy_(blobs[1])",
                parts=state.swapped(part, part.with_blobs(weight, own.reshape(bias.shape))),
                op=op,
                cost=0.2,
            )
        yield Proposal(
            layers=(part.name,),
            code=f"Your {what} adds no bias.",
            caffe=f"Caffe's adds its second blob, {float(bias[0]):.6g} for the first output.",
            fix=f"{module}(..., bias=True), its bias = blobs[1]",
            parts=state.swapped(part, part.with_blobs(weight, torch.zeros_like(bias))),
            op=op,
            cost=0.0 if own is None and op is not None else 1.0,
        )
