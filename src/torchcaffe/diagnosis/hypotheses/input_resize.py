"""An input resized inside the port."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.nn import functional

from torchcaffe.diagnosis.hypotheses._inputs import inputs, on_input
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.weighted import argument


@hypothesis("input-resize")
def input_resize(state: State) -> Iterator[Proposal]:
    """The port resizes its input, by an interpolation that Caffe's net does not have."""
    for value in inputs(state):
        for op in state.segment.calls("interpolate", "upsample", "resize"):
            size = tuple(state.segment.alignment.tape.values[op.outputs[0]].tensor.shape[2:])
            mode = argument(op, "mode")
            corners = argument(op, "align_corners")

            def resized(
                x: Tensor,
                to: tuple[int, ...] = size,
                how: str = mode,
                aligned: bool | None = corners,
            ) -> Tensor:
                return functional.interpolate(x, to, mode=how, align_corners=aligned)

            yield Proposal(
                layers=state.segment.layers[:1],
                code=f"Your code resizes its input to {size} ({mode}, align_corners={corners}).",
                caffe="Caffe's net takes its data blob as it is; OpenCV resized it before.",
                fix="resize images before the net, with cv2.resize, as Caffe's tools do",
                parts=on_input(state, value, resized),
                op=op,
                evidence={"size": list(size), "mode": str(mode)},
                cost=0.0,
            )
