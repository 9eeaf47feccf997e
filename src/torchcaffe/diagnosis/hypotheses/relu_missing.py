"""A ReLU left out."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("relu-missing")
def relu_missing(state: State) -> Iterator[Proposal]:
    """A ReLU of Caffe's is not in the port."""
    for part in state.of("ReLU"):
        yield Proposal(
            layers=(part.name,),
            code="Your code keeps negative numbers here: there is no ReLU.",
            caffe=f'Caffe sets them to 0: layer "{part.name}".',
            fix="x = functional.relu(x)",
            parts=state.swapped(part, part.with_function(lambda x: x)),
            cost=0.5,
        )
