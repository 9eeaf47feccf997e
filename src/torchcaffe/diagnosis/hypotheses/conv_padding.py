"""The zeros around a convolution's bottom."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._convolutions import (
    axes_of,
    convolutions,
    explicit_pad,
    geometry,
    padded,
    ported,
    with_geometry,
    written,
)
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.reference import Part
from torchcaffe.diagnosis.tape import Op
from torchcaffe.diagnosis.weighted import argument


@hypothesis("conv-padding")
def conv_padding(state: State) -> Iterator[Proposal]:
    """A convolution has another padding than Caffe's."""
    for part, anchor in convolutions(state):
        axes = axes_of(part)
        right = geometry(part, "padding", axes)
        call = anchor.call.op if anchor is not None else None
        mine = ported(call, "padding", axes) if call is not None else None
        around = explicit_pad(state)
        guesses: list[tuple[tuple[int, ...], float]] = []
        if mine is not None:
            guesses.append((mine, 0.0))
        guesses += [((size,) * axes, 1.0) for size in range(8)]
        for value, cost in guesses:
            if value != right:
                yield _said(state, part, with_geometry(part, "padding", value), written(value),
                            written(right), call, cost)  # fmt: skip
        if around is not None and mine is not None:
            room = list(argument(around, "pad") or ())
            if min(room, default=0) < 0 or state.call("getitem", "narrow") is not None:
                continue  # not around, but somewhere else
            if len(room) == 2 * axes and room != [size for size in right for _ in range(2)]:
                new = padded(part, room, mine)
                said = f"{room} (functional.pad) and {written(mine)}"
                yield _said(state, part, new, said, written(right), around, 0.0)


def _said(
    state: State, part: Part, new: Part, mine: str, right: str, op: Op | None, cost: float
) -> Proposal:
    return Proposal(
        layers=(part.name,),
        code=f"Your convolution is padded by {mine}.",
        caffe=f"Caffe's is padded by {right} on every side (pad).",
        fix=f"padding={right}",
        parts=state.swapped(part, new),
        op=op,
        evidence={"port": mine, "caffe": right},
        cost=cost,
    )
