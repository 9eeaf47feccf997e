"""The axis that a softmax sums over."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("softmax-axis")
def softmax_axis(state: State) -> Iterator[Proposal]:
    """A softmax is taken along another axis than Caffe's."""
    calls = state.arguments(("softmax",), "dim")
    for part in state.of("Softmax"):
        axes = state.top(part).dim()
        axis = part.param.softmax_param.axis % axes
        for other in range(axes):
            if other == axis:
                continue
            yield Proposal(
                layers=(part.name,),
                code=f"Your softmax sums to 1 along axis {other}.",
                caffe=f"Caffe's sums to 1 along axis {axis}.",
                fix=f"torch.softmax(x, dim={axis})",
                parts=state.swapped(part, part.changed(softmax_param__axis=other)),
                op=calls[-1][0] if calls else None,
                evidence={"port": other, "caffe": axis},
                cost=0.5,
            )
        everything = part.with_function(lambda x: x.flatten(1).softmax(1).reshape(x.shape))
        yield Proposal(
            layers=(part.name,),
            code="Your softmax sums to 1 over everything of an image.",
            caffe=f"Caffe's sums to 1 along axis {axis}.",
            fix=f"torch.softmax(x, dim={axis})",
            parts=state.swapped(part, everything),
            op=calls[-1][0] if calls else None,
        )
