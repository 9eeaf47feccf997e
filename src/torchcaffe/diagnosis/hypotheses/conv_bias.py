"""The bias of a convolution."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._biases import other_biases
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("conv-bias")
def conv_bias(state: State) -> Iterator[Proposal]:
    """A convolution adds no bias, or another one than Caffe's."""
    yield from other_biases(state, ("Convolution", "Deconvolution"), "convolution", "nn.Conv2d")
