"""A mean subtracted inside the port."""

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


@hypothesis("mean-subtraction")
def mean_subtraction(state: State) -> Iterator[Proposal]:
    """The port subtracts a mean from its input which Caffe's net does not, or another one."""
    for value in inputs(state):
        fitted = affine(state, value)
        if fitted is None:
            continue
        factor, offset = fitted
        if not same(factor, 1.0) or same(offset, 0.0, 1e-6):
            continue

        def shifted(x: Tensor, by: Tensor = offset) -> Tensor:
            return x + along_channels(by, x)

        yield Proposal(
            layers=state.segment.layers[:1],
            code=f"Your code adds {listed(offset)} to the channels of its input.",
            caffe="Caffe's net takes its data blob as it is: the mean is subtracted before it.",
            fix="subtract the mean once, outside of the net, in the order of its channels",
            parts=on_input(state, value, shifted),
            op=state.call("sub", "add", "rsub", "normalize"),
            evidence={"offset": offset.tolist()},
            cost=0.1,
        )
