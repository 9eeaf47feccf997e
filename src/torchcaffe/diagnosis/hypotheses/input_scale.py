"""A factor on the input."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from torchcaffe.diagnosis.hypotheses._inputs import (
    affine,
    along_channels,
    inputs,
    listed,
    on_input,
    same,
)
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("input-scale")
def input_scale(state: State) -> Iterator[Proposal]:
    """The port multiplies its input by a number which Caffe's net does not have, or another one."""
    for value in inputs(state):
        fitted = affine(state, value)
        if fitted is None:
            continue
        factor, _ = fitted
        if same(factor, 1.0):
            continue

        def multiplied(x: Tensor, by: Tensor = factor) -> Tensor:
            return x * along_channels(by, x)

        yield Proposal(
            layers=state.segment.layers[:1],
            code=f"Your code multiplies the channels of its input by {listed(factor)}.",
            caffe="Caffe's net takes its data blob as it is.",
            fix="x = x  # no division by 255 or by a deviation in front of the first layer",
            parts=on_input(state, value, multiplied),
            op=state.call("mul", "div", "normalize"),
            evidence={"factor": factor.tolist()},
            cost=0.0,
        )
