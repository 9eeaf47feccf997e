"""The Scale layer behind a BatchNorm."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("batchnorm-affine-missing")
def batchnorm_affine_missing(state: State) -> Iterator[Proposal]:
    """The Scale layer behind a BatchNorm was not carried over: its weight and bias are missing."""
    for part in state.of("Scale"):
        if not part.blobs:
            continue
        plain = [op for op, weight in state.arguments(("batch_norm",), "weight") if weight is None]
        yield Proposal(
            layers=(part.name,),
            code="Your code normalises, but does not multiply by a weight and add a bias.",
            caffe=(
                f'Caffe\'s Scale layer "{part.name}" multiplies by {float(part.blobs[0][0]):.6g} '
                f"in the first channel"
                + (f" and adds {float(part.blobs[1][0]):.6g}." if len(part.blobs) > 1 else ".")
            ),
            fix=(
                "nn.BatchNorm2d(channels, affine=True) with weight and bias = the Scale layer's "
                "two blobs"
            ),
            parts=state.swapped(part, part.with_function(lambda x: x)),
            op=plain[0] if plain else state.call("batch_norm"),
            cost=0.5,
        )
