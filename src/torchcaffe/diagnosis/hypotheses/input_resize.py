"""An input resized inside the port."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._inputs import first_calls
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._tools import left_out
from torchcaffe.diagnosis.weighted import argument


@hypothesis("input-resize")
def input_resize(state: State) -> Iterator[Proposal]:
    """The port resizes its input, by an interpolation that Caffe's net does not have."""
    ops = [op for op in first_calls(state) if op.name in ("interpolate", "upsample", "resize")]
    if not ops:
        return
    values = state.segment.alignment.tape.values
    sizes = [tuple(values[op.outputs[0]].tensor.shape[2:]) for op in ops]
    modes = [str(argument(op, "mode")) for op in ops]
    listed = ", then ".join(f"{size} ({mode})" for size, mode in zip(sizes, modes, strict=True))
    yield Proposal(
        layers=state.segment.layers[:1],
        code=f"Your code resizes its input to {listed}.",
        caffe="Caffe's net takes its data blob as it is; OpenCV resized the image before.",
        fix="resize images before the net, with cv2.resize, as Caffe's tools do",
        edits={op.index: left_out for op in ops},
        op=ops[0],
        evidence={"sizes": [list(size) for size in sizes], "modes": modes},
        cost=0.0,
    )
