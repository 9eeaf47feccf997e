"""LRN before or after pooling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("lrn-order")
def lrn_order(state: State) -> Iterator[Proposal]:
    """LRN and the pooling beside it stand in the other order."""
    for norm in state.of("LRN"):
        for other in state.of("Pooling", "ReLU"):
            if other.bottoms == norm.tops:
                first, second = norm, other
            elif norm.bottoms == other.tops:
                first, second = other, norm
            else:
                continue
            moved = {
                id(first): replace(second, bottoms=first.bottoms, tops=first.tops, built=None),
                id(second): replace(first, bottoms=second.bottoms, tops=second.tops, built=None),
            }
            yield Proposal(
                layers=(norm.name, other.name),
                code=f'Your code runs what is "{second.name}" before what is "{first.name}".',
                caffe=(
                    f'Caffe runs "{first.name}" ({first.kind}) first, then "{second.name}" '
                    f"({second.kind})."
                ),
                fix=f"x = {second.name}({first.name}(x))",
                parts=tuple(moved.get(id(part), part) for part in state.parts),
                op=state.call("local_response_norm", "pow"),
                cost=0.5,
            )
