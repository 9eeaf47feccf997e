"""Pooling's output size: Caffe rounds up."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("pool-rounding")
def pool_rounding(state: State) -> Iterator[Proposal]:
    """The number of windows is rounded down where Caffe rounds up (or the other way round)."""
    for part in state.of("Pooling"):
        ceil = part.param.pooling_param.round_mode == "CEIL"
        calls = state.arguments(("max_pool2d", "avg_pool2d"), "ceil_mode")
        op = next((op for op, mode in calls if bool(mode) != ceil), None)
        way, other = ("up", "down") if ceil else ("down", "up")
        yield Proposal(
            layers=(part.name,),
            code=f"Your pooling rounds the number of windows {other}.",
            caffe=f"Caffe rounds it {way}: the last window may hang over the border.",
            fix=f"ceil_mode={ceil}",
            parts=state.swapped(
                part, part.changed(pooling_param__round_mode="FLOOR" if ceil else "CEIL")
            ),
            op=op,
            cost=0.0 if op is not None else 1.0,
        )
