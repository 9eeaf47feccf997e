"""The order of what is joined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, permutations

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis

MOST = 5


@hypothesis("concat-order")
def concat_order(state: State) -> Iterator[Proposal]:
    """Blobs are joined in another order than Caffe's."""
    for part in state.of("Concat"):
        count = len(part.bottoms)
        orders = permutations(range(count)) if count <= MOST else _swaps(count)
        for order in orders:
            if list(order) == sorted(order):
                continue
            bottoms = tuple(part.bottoms[place] for place in order)
            names = [state.segment.alignment.reference.names[value] for value in bottoms]
            right = [state.segment.alignment.reference.names[value] for value in part.bottoms]
            yield Proposal(
                layers=(part.name,),
                code=f"Your code joins {', '.join(names)}, in this order.",
                caffe=f"Caffe joins {', '.join(right)}.",
                fix=f"torch.cat([{', '.join(right)}], dim=1)",
                parts=state.swapped(part, replace(part, bottoms=bottoms, built=None)),
                op=state.call("cat", "stack"),
                evidence={"port": list(order)},
                cost=0.5,
            )


def _swaps(count: int) -> Iterator[tuple[int, ...]]:
    for a, b in combinations(range(count), 2):
        order = list(range(count))
        order[a], order[b] = order[b], order[a]
        yield tuple(order)
    yield tuple(reversed(range(count)))
