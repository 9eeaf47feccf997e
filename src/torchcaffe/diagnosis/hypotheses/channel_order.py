"""BGR or RGB."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._inputs import inputs, on_input
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._weights import proposal, related


@hypothesis("channel-order")
def channel_order(state: State) -> Iterator[Proposal]:
    """Channels stand in the other order: RGB where the weights were trained on BGR."""
    for value in inputs(state):
        if state.values[value].dim() == 4 and state.values[value].shape[1] == 3:
            yield Proposal(
                layers=state.segment.layers[:1],
                code="Your code reverses the channels of its input before the first layer.",
                caffe="Caffe's net takes them as they come (BGR where images were read by OpenCV).",
                fix="leave the channels as they are: no x[:, [2, 1, 0]], no flip(1)",
                parts=on_input(state, value, lambda x: x.flip(1)),
                op=state.call("getitem", "flip", "index_select", "cat", "stack"),
                cost=0.3,
            )
    for part, anchor in related(state, "channels reversed"):
        yield from proposal(
            state, part, anchor,
            "Your weights have their input channels in reverse order: they expect RGB.",
            "Caffe's expect the channels of its data blob, BGR where OpenCV read the images.",
            "conv.weight.data.copy_(blobs[0]), and feed BGR; or keep the weights and feed RGB",
        )  # fmt: skip
