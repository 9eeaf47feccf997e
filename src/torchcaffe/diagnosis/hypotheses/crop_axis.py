"""The axes that a crop cuts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from torchcaffe.diagnosis.hypotheses._crops import at_offsets, guesses, offsets_of
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.reference import Part


@hypothesis("crop-axis")
def crop_axis(state: State) -> Iterator[Proposal]:
    """A crop cuts other axes than Caffe's, or has the offset of one on another."""
    for part in state.of("Crop"):
        right = offsets_of(part, state.bottoms(part)[0])
        exchanged = {(*right[:2], *order) for order in permutations(right[2:])}
        elsewhere = {value for value, _ in guesses(state, part) if any(value[:2])}
        for value in sorted((exchanged | elsewhere) - {right}):
            yield Proposal(
                layers=(part.name,),
                code=f"Your crop starts at {list(value)} along the axes of its input.",
                caffe=f"Caffe's starts at {list(right)}: axis {part.param.crop_param.axis} on.",
                fix=f"x[:, :, {right[2]}:{right[2]} + h, {right[-1]}:{right[-1]} + w]",
                parts=state.swapped(part, at_offsets(part, value)),
                op=state.call("getitem", "narrow"),
                evidence={"port": list(value), "caffe": list(right)},
                cost=0.25,
            )
        yield from _other_axis(state, part)


def _other_axis(state: State, part: Part) -> Iterator[Proposal]:
    axis = part.param.crop_param.axis
    for other in (1, 2, 3):
        if other != axis and len(part.param.crop_param.offset) <= 1:
            yield Proposal(
                layers=(part.name,),
                code=f"Your crop cuts the axes from {other} on.",
                caffe=f"Caffe's cuts those from {axis} on (crop_param: axis).",
                fix=f"cut the axes from {axis} on only",
                parts=state.swapped(part, part.changed(crop_param__axis=other)),
                op=state.call("getitem", "narrow"),
                evidence={"port": other, "caffe": axis},
                cost=0.5,
            )
