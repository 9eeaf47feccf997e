"""The padding of a deconvolution."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.nn import functional

from torchcaffe.diagnosis.hypotheses._convolutions import (
    axes_of,
    convolutions,
    geometry,
    ported,
    written,
)
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("deconv-padding")
def deconv_padding(state: State) -> Iterator[Proposal]:
    """A deconvolution has another padding or output_padding than Caffe's."""
    for part, anchor in convolutions(state, "Deconvolution"):
        if anchor is None or anchor.call.kind != "deconv":
            continue
        op, axes = anchor.call.op, axes_of(part)
        right = geometry(part, "padding", axes)
        mine = ported(op, "padding", axes)
        more = ported(op, "output_padding", axes)
        if mine is None or more is None or (mine == right and not any(more)):
            continue
        weight, *bias = part.blobs
        sizes = (mine, more)
        p = part.param.convolution_param
        stride, dilation = geometry(part, "stride", axes), geometry(part, "dilation", axes)

        def spread(
            x: Tensor,
            pad: tuple[int, ...] = sizes[0],
            extra: tuple[int, ...] = sizes[1],
            w: Tensor = weight,
            b: tuple[Tensor, ...] = tuple(bias),
            step: tuple[int, ...] = stride,
            apart: tuple[int, ...] = dilation,
            group: int = p.group,
        ) -> Tensor:
            add = b[0].to(x) if b else None
            return functional.conv_transpose2d(x, w.to(x), add, step, pad, extra, group, apart)

        yield Proposal(
            layers=(part.name,),
            code=(
                f"Your deconvolution has padding {written(mine)} and output_padding "
                f"{written(more)}."
            ),
            caffe=f"Caffe's has pad {written(right)}, and nothing like output_padding.",
            fix=f"nn.ConvTranspose2d(..., padding={written(right)}, output_padding=0)",
            parts=state.swapped(part, part.with_function(spread)),
            op=op,
            evidence={"port": list(mine), "output_padding": list(more), "caffe": list(right)},
            cost=0.0,
        )
