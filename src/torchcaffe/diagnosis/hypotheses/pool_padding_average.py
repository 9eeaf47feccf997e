"""What the mean of a window at the border is divided by."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.reference import Part
from torchcaffe.layers._registry import Setup
from torchcaffe.layers.pooling import windows


@hypothesis("pool-padding-average")
def pool_padding_average(state: State) -> Iterator[Proposal]:
    """A mean at the border is divided by another count of elements than Caffe's."""
    calls = state.arguments(("avg_pool2d",), "count_include_pad")
    for part in state.of("Pooling"):
        p = part.param.pooling_param
        if p.pool != "AVE" or p.global_pooling:
            continue
        kernel, stride, pad = windows(part.built.setup) if part.built else windows(_setup(part))
        ceil = p.round_mode == "CEIL"
        for include, said in ((False, "only the elements inside the image"), (True, "the kernel")):
            if include:
                pooled = partial(full, kernel=kernel, stride=stride, pad=pad, ceil=ceil)
            else:
                pooled = partial(
                    functional.avg_pool2d, kernel_size=kernel, stride=stride, padding=pad,
                    ceil_mode=ceil, count_include_pad=False,
                )  # fmt: skip

            op = next((op for op, counted in calls if bool(counted) == include), None)
            yield Proposal(
                layers=(part.name,),
                code=f"Your mean at the border is divided by the number of {said}.",
                caffe=(
                    "Caffe divides by the elements of the window that lie in the padded image: "
                    "padding counts, what hangs over it does not."
                ),
                fix="count_include_pad=True, ceil_mode=True",
                parts=state.swapped(part, part.with_function(pooled)),
                op=op,
                cost=0.0 if op is not None and not include else 1.0,
            )


def full(
    x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int], ceil: bool
) -> Tensor:
    """The sum over each window divided by the whole kernel's size."""
    ones = functional.avg_pool2d(torch.ones_like(x), kernel, stride, pad, ceil_mode=ceil)
    mean = functional.avg_pool2d(x, kernel, stride, pad, ceil_mode=ceil, divisor_override=1)
    return mean / (kernel[0] * kernel[1]) + 0 * ones


def _setup(part: Part) -> Setup:
    return Setup(part.param, "TEST", ((1, 1, 1, 1),), 1)
