"""A convolution's groups."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._convolutions import convolutions
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.weighted import argument
from torchcaffe.layers._registry import shape_text


@hypothesis("conv-group")
def conv_group(state: State) -> Iterator[Proposal]:
    """A convolution has another number of groups than Caffe's."""
    for part, anchor in convolutions(state):
        if anchor is None or anchor.call.kind != "conv":
            continue
        right = part.param.convolution_param.group
        mine = int(argument(anchor.call.op, "groups"))
        if mine == right:
            continue
        weight, bias = state.weight(anchor), state.bias(anchor)
        # Filters of one group among zeros are the same sum.
        blobs = [weight, *(part.blobs[1:] if bias is None else [bias])]
        yield Proposal(
            layers=(part.name,),
            code=f"Your convolution has {mine} group{'s' * (mine > 1)}.",
            caffe=(
                f"Caffe's has {right} (group): each filter sees 1/{right} of the channels, its "
                f"weight is {shape_text(part.blobs[0].shape)}."
            ),
            fix=f"groups={right}",
            parts=state.swapped(
                part, part.changed(convolution_param__group=mine).with_blobs(*blobs)
            ),
            op=anchor.call.op,
            evidence={"port": mine, "caffe": right},
            cost=0.0,
        )
