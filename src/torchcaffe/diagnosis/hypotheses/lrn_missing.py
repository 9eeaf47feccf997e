"""An LRN left out."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("lrn-missing")
def lrn_missing(state: State) -> Iterator[Proposal]:
    """An LRN of Caffe's is not in the port."""
    for part in state.of("LRN"):
        p = part.param.lrn_param
        there = state.call("local_response_norm")
        yield Proposal(
            layers=(part.name,),
            code="Your code has no local response normalisation here.",
            caffe=f'Caffe normalises across channels: layer "{part.name}".',
            fix=f"nn.LocalResponseNorm({p.local_size}, alpha={p.alpha:g}, beta={p.beta:g}, "
            f"k={p.k:g})",
            parts=state.swapped(part, part.with_function(lambda x: x)),
            cost=0.5 if there is None else 1.5,
        )
