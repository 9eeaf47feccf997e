"""Which convolution of a block takes the large step."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._convolutions import (
    axes_of,
    convolutions,
    geometry,
    ported,
    with_geometry,
    written,
)
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("stride-position")
def stride_position(state: State) -> Iterator[Proposal]:
    """A stride stands at another convolution than Caffe's, or is another one."""
    for part, anchor in convolutions(state):
        axes = axes_of(part)
        right = geometry(part, "stride", axes)
        call = anchor.call.op if anchor is not None else None
        mine = ported(call, "stride", axes) if call is not None else None
        guesses = [(mine, 0.0)] if mine is not None else []
        if call is None:
            guesses += [((size,) * axes, 1.0) for size in (1, 2, 3, 4)]
        for value, cost in guesses:
            if value != right:
                yield Proposal(
                    layers=(part.name,),
                    code=f"Your convolution has stride {written(value)}.",
                    caffe=f"Caffe's has stride {written(right)}.",
                    fix=f"stride={written(right)}",
                    parts=state.swapped(part, with_geometry(part, "stride", value)),
                    op=call,
                    evidence={"port": list(value), "caffe": list(right)},
                    cost=cost,
                )
