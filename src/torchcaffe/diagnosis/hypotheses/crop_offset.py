"""Where an image is cut out."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._crops import at_offsets, guesses, offsets_of
from torchcaffe.diagnosis.hypotheses._inputs import first_calls, reordered
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._tools import left_out
from torchcaffe.diagnosis.weighted import argument


@hypothesis("crop-offset")
def crop_offset(state: State) -> Iterator[Proposal]:
    """A crop starts at another place than Caffe's."""
    for part in state.of("Crop"):
        right = offsets_of(part, state.bottoms(part)[0])
        for value, cost in guesses(state, part):
            exchanged = sorted(value) == sorted(right)
            if value == right or exchanged or any(value[:2]):
                continue
            yield Proposal(
                layers=(part.name,),
                code=f"Your crop starts at {list(value[2:])}.",
                caffe=f"Caffe's starts at {list(right[2:])} (crop_param: offset).",
                fix=f"x[:, :, {right[2]}:{right[2]} + h, {right[-1]}:{right[-1]} + w]",
                parts=state.swapped(part, at_offsets(part, value)),
                op=state.call("getitem", "narrow", "pad", "center_crop", "crop"),
                evidence={"port": list(value), "caffe": list(right)},
                cost=cost,
            )
    yield from _of_inputs(state)


def _of_inputs(state: State) -> Iterator[Proposal]:
    """What the port cuts off its input, or shifts in it, before anything is computed."""
    ops = [op for op in first_calls(state) if op.name in ("getitem", "narrow", "pad", "roll")]
    moving = [op for op in ops if op.name != "pad" or min(argument(op, "pad") or (0,)) < 0]
    if not moving or any(op.name == "getitem" and reordered(state, op) for op in moving):
        return
    yield Proposal(
        layers=state.segment.layers[:1],
        code="Your code cuts or shifts its input: it starts at another pixel than Caffe's.",
        caffe="Caffe's net takes its data blob as it is.",
        fix="crop outside of the net, in the middle: (size - crop) // 2",
        edits={op.index: left_out for op in ops},
        op=moving[0],
        cost=0.0,
    )
