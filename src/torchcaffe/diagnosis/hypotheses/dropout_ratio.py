"""What is multiplied where dropout stands."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._tools import added


@hypothesis("dropout-ratio")
def dropout_ratio(state: State) -> Iterator[Proposal]:
    """Numbers are multiplied where Caffe's Dropout hands them on: by the ratio kept, or another."""
    segment = state.segment
    reference = segment.alignment.reference
    layers = reference.same.get(segment.pair.caffe, [])
    mine, theirs = state.port.double(), state.caffe.double()
    if not layers or mine.shape != theirs.shape:
        return
    factor = float((mine * theirs).sum() / theirs.square().sum())
    factor = float(f"{factor:.6g}")
    steps = {step.name: step for step in reference.net.steps}
    ratio = float(steps[layers[0]].param.dropout_param.dropout_ratio)
    yield Proposal(
        layers=tuple(layers),
        code=f"Your code multiplies by {factor:g} here.",
        caffe=(
            f"Caffe multiplies by 1 / (1 - {ratio:g}) = {1 / (1 - ratio):g} what it keeps while it "
            f"trains, and by nothing in phase TEST."
        ),
        fix=f"nn.Dropout({ratio:g}), and no factor beside it",
        parts=added(state, lambda x: x * factor),
        op=state.call("mul", "div"),
        evidence={"factor": factor, "ratio": ratio},
        cost=0.5,
    )
