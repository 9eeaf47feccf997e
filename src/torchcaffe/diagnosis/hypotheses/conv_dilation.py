"""How far a convolution's taps stand apart."""

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


@hypothesis("conv-dilation")
def conv_dilation(state: State) -> Iterator[Proposal]:
    """A convolution has another dilation than Caffe's."""
    for part, anchor in convolutions(state):
        axes = axes_of(part)
        right = geometry(part, "dilation", axes)
        call = anchor.call.op if anchor is not None else None
        mine = ported(call, "dilation", axes) if call is not None else None
        guesses = [(mine, 0.0)] if mine is not None else []
        if call is None:
            guesses += [((size,) * axes, 1.0) for size in (1, 2, 3, 4, 6)]
        for value, cost in guesses:
            if value != right:
                yield Proposal(
                    layers=(part.name,),
                    code=f"Your convolution has dilation {written(value)}.",
                    caffe=f"Caffe's has dilation {written(right)}.",
                    fix=f"dilation={written(right)}",
                    parts=state.swapped(part, with_geometry(part, "dilation", value)),
                    op=call,
                    evidence={"port": list(value), "caffe": list(right)},
                    cost=cost,
                )
