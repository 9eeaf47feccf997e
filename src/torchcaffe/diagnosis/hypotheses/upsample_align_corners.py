"""Bilinear enlargement by interpolation."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.nn import functional

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.weighted import argument


@hypothesis("upsample-align-corners")
def upsample_align_corners(state: State) -> Iterator[Proposal]:
    """An image is enlarged by interpolation with other corners than Caffe's deconvolution has."""
    for part in state.of("Deconvolution"):
        for op in state.segment.calls("interpolate", "upsample"):
            size = tuple(state.segment.alignment.tape.values[op.outputs[0]].tensor.shape[2:])
            mode = argument(op, "mode")
            corners = argument(op, "align_corners")

            def enlarged(
                x: Tensor,
                to: tuple[int, ...] = size,
                how: str = mode,
                aligned: bool | None = corners,
            ) -> Tensor:
                return functional.interpolate(x, to, mode=how, align_corners=aligned)

            yield Proposal(
                layers=(part.name,),
                code=f"Your code interpolates ({mode}) with align_corners={corners}.",
                caffe=(
                    "Caffe's deconvolution with bilinear filters is align_corners=False inside, "
                    "and mixes in zeros at the border."
                ),
                fix=(
                    "functional.conv_transpose2d(x, blobs[0], stride=..., padding=..., "
                    "groups=channels)"
                ),
                parts=state.swapped(part, part.with_function(enlarged)),
                op=op,
                evidence={"align_corners": str(corners), "mode": str(mode)},
                cost=0.0,
            )
