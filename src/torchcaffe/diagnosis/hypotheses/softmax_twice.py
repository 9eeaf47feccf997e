"""A softmax of a softmax."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._tools import added


@hypothesis("softmax-twice")
def softmax_twice(state: State) -> Iterator[Proposal]:
    """A softmax is applied to what a softmax gave already."""
    calls = state.segment.calls("softmax")
    segment = state.segment
    maker = segment.alignment.reference.makers.get(segment.pair.caffe)
    if maker is None or maker.kind != "Softmax":
        return
    axis = maker.param.softmax_param.axis % state.caffe.dim()
    yield Proposal(
        layers=(maker.name,),
        code="Your code takes the softmax twice.",
        caffe="Caffe takes it once.",
        fix=f"return scores  # or one torch.softmax(scores, dim={axis})",
        parts=added(state, lambda x: x.softmax(axis)),
        op=calls[-1] if calls else None,
        evidence={"calls": len(calls)},
        cost=0.0 if len(calls) > 1 or not state.parts else 0.6,
    )
