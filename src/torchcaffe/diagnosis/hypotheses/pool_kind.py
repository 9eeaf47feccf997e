"""Maximum or mean."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("pool-kind")
def pool_kind(state: State) -> Iterator[Proposal]:
    """A mean is taken where Caffe takes the maximum, or the other way round."""
    names = {"MAX": ("avg_pool2d", "adaptive_avg_pool2d", "mean"),
             "AVE": ("max_pool2d", "adaptive_max_pool2d", "amax", "max")}  # fmt: skip
    words = {"MAX": "maximum", "AVE": "mean"}
    for part in state.of("Pooling"):
        kind = part.param.pooling_param.pool
        if kind not in words:
            continue
        other = "AVE" if kind == "MAX" else "MAX"
        op = state.call(*names[kind])
        yield Proposal(
            layers=(part.name,),
            code=f"Your code takes the {words[other]} of each window.",
            caffe=f"Caffe takes the {words[kind]} (pool: {kind}).",
            fix=f"functional.{'max' if kind == 'MAX' else 'avg'}_pool2d(...)",
            parts=state.swapped(part, part.changed(pooling_param__pool=other)),
            op=op,
            cost=0.0 if op is not None else 1.0,
        )
