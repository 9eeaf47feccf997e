"""The slope of a leaky ReLU."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._tools import rounded
from torchcaffe.diagnosis.reference import Part


@hypothesis("relu-slope")
def relu_slope(state: State) -> Iterator[Proposal]:
    """A ReLU has another slope for negative numbers than Caffe's."""
    calls = state.arguments(("leaky_relu",), "negative_slope")
    said = {float(slope): op for op, slope in calls}
    for part in state.of("PReLU"):
        weight = part.blobs[0].reshape(-1)
        for value in (*said, 0.0) if weight.numel() == 1 else ():
            yield Proposal(
                layers=(part.name,),
                code=f"Your code multiplies negative numbers by {value:g}.",
                caffe=f"Caffe multiplies them by {float(weight[0]):.6g}, which it has learnt.",
                fix=f"nn.PReLU(1), its weight = blobs[0] ({float(weight[0]):.6g})",
                parts=state.swapped(part, part.with_blobs(weight * 0 + value)),
                op=said.get(value) or state.call("leaky_relu", "relu", "prelu"),
                evidence={"port": value, "caffe": float(weight[0])},
                cost=0.3,
            )
    for part in state.of("ReLU"):
        slope = part.param.relu_param.negative_slope
        for value in (*said, *_fitted(state, part), 0.0, 0.01, 0.1, 0.2):
            if abs(value - slope) <= 1e-9:
                continue
            op = said.get(value) or state.call("leaky_relu", "relu", "where")
            yield Proposal(
                layers=(part.name,),
                code=f"Your code multiplies negative numbers by {value:g}.",
                caffe=f"Caffe multiplies them by {slope:g} (negative_slope).",
                fix=f"functional.leaky_relu(x, {slope:g})" if slope else "functional.relu(x)",
                parts=state.swapped(part, part.changed(relu_param__negative_slope=value)),
                op=op,
                evidence={"port": value, "caffe": slope},
                cost=0.0 if value in said else 0.7 if value == 0 else 0.8,
            )


def _fitted(state: State, part: Part) -> list[float]:
    if part is not state.parts[-1]:
        return []
    x, y = state.segment.layout.change(state.bottoms(part)[0]), state.port
    if x.shape != y.shape or not bool((x < 0).any()):
        return []
    slope = float((y[x < 0] * x[x < 0]).sum() / x[x < 0].square().sum())
    return [] if abs(slope - 1) < 1e-4 else rounded(slope, 4, 2, 1)
