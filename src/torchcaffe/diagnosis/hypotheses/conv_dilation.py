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
from torchcaffe.diagnosis.reference import Part


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
            new = with_geometry(part, "dilation", value)
            pad = ported(call, "padding", axes) if call is not None else None
            if pad is not None and _keeps_size(part, pad, value):
                # The padding that goes with it is no mistake of its own.
                new = with_geometry(new, "padding", pad)
            if value != right:
                yield Proposal(
                    layers=(part.name,),
                    code=f"Your convolution has dilation {written(value)}.",
                    caffe=f"Caffe's has dilation {written(right)}.",
                    fix=f"dilation={written(right)}",
                    parts=state.swapped(part, new),
                    op=call,
                    evidence={"port": list(value), "caffe": list(right)},
                    cost=cost,
                )


def _keeps_size(part: Part, pad: tuple[int, ...], dilation: tuple[int, ...]) -> bool:
    """Whether the output is as large as with Caffe's padding and dilation."""
    axes = axes_of(part)
    right = zip(geometry(part, "padding", axes), geometry(part, "dilation", axes), strict=True)
    kernel = part.blobs[0].shape[2:]
    return all(
        2 * p - d * (k - 1) == 2 * mine - apart * (k - 1)
        for (p, d), mine, apart, k in zip(right, pad, dilation, kernel, strict=True)
    )
