"""Where an image is cut out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from torchcaffe.diagnosis.hypotheses._crops import at_offsets, centred, offsets_of
from torchcaffe.diagnosis.hypotheses._inputs import inputs, on_input
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._windows import cut, window


@hypothesis("crop-offset")
def crop_offset(state: State) -> Iterator[Proposal]:
    """A crop starts at another place than Caffe's."""
    for part in state.of("Crop"):
        large, reference = state.bottoms(part)
        right = offsets_of(part, large)
        found = window(large, state.port) if part is state.parts[-1] else None
        for value in (found,) if found is not None else centred(large, reference):
            moved = [a - b for a, b in zip(value, right, strict=True)]
            if not any(moved[2:]) or any(moved[:2]):
                continue
            yield Proposal(
                layers=(part.name,),
                code=f"Your crop starts at {list(value[2:])}.",
                caffe=f"Caffe's starts at {list(right[2:])} (crop_param: offset).",
                fix=f"x[:, :, {right[2]}:{right[2]} + h, {right[-1]}:{right[-1]} + w]",
                parts=state.swapped(part, at_offsets(part, value)),
                op=state.call("getitem", "narrow", "pad", "center_crop", "crop"),
                evidence={"port": list(value), "caffe": list(right)},
                cost=0.3 if found is not None else 0.8,
            )
    yield from _of_inputs(state)


def _of_inputs(state: State) -> Iterator[Proposal]:
    for value in inputs(state):
        blob = state.values[value]
        if value != state.segment.pair.caffe or state.port.shape == blob.shape:
            continue
        found = window(state.segment.layout.change(blob), state.port)
        if found is not None:
            yield Proposal(
                layers=state.segment.layers[:1],
                code=f"Your code cuts its input, from {list(found[2:])} on.",
                caffe="Caffe's net takes its data blob as it is.",
                fix="crop outside of the net, in the middle: (size - crop) // 2",
                parts=on_input(state, value, partial(cut, offsets=found, like=state.port)),
                op=state.call("getitem", "narrow"),
                evidence={"offset": list(found)},
                cost=0.1,
            )
