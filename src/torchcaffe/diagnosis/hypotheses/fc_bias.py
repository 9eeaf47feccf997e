"""The bias of a fully connected layer."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._biases import other_biases
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("fc-bias")
def fc_bias(state: State) -> Iterator[Proposal]:
    """A fully connected layer adds no bias, or another one than Caffe's."""
    yield from other_biases(state, ("InnerProduct",), "fully connected layer", "nn.Linear")
