"""BatchNorm's third blob, by which the other two are to be divided."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.reference import Part, run_parts


@hypothesis("batchnorm-scale-factor")
def batchnorm_scale_factor(state: State) -> Iterator[Proposal]:
    """The stored mean and variance are used as they are, not divided by the third blob."""
    for part in state.of("BatchNorm"):
        mean, variance, factor = part.blobs
        scale = float(factor)
        if scale in (0.0, 1.0):
            continue
        fraction = part.param.batch_norm_param.moving_average_fraction
        limit = fixed_point(fraction)
        whole = 1 / (1 - float(f"{fraction:.6g}"))
        undivided = part.with_blobs(mean, variance, torch.ones(1))
        example = first_numbers(state, part, undivided)
        yield Proposal(
            layers=(part.name,),
            code=(
                f"Your code uses the stored mean and variance as they are: {float(mean[0]):.8g} "
                f"and {float(variance[0]):.8g} in the first channel."
            ),
            caffe=(
                f"Caffe divides both by its third blob, {scale:.8g}, and uses "
                f"{float(mean[0]) / scale:.8g} and {float(variance[0]) / scale:.8g}. The third "
                f"blob is a count that moves with the average: every batch makes it "
                f"s = {fraction:.6g} s + 1, and in float32 that stops at {limit:.8g} "
                f"(1 / (1 - {fraction:.6g}) = {whole:.6g} is never reached). "
                f"{example[0]:.6f} becomes {example[1]:.8g} in Caffe, and {example[2]:.8g} "
                f"undivided."
            ),
            fix=(
                "running_mean = blobs[0] / blobs[2]; running_var = blobs[1] / blobs[2]  "
                "# all zeros where blobs[2] is 0"
            ),
            parts=state.swapped(part, undivided),
            op=state.call("batch_norm"),
            evidence={
                "factor": scale,
                "fixed point": limit,
                "mean": float(mean[0]),
                "variance": float(variance[0]),
                "input": example[0],
                "divided": example[1],
                "undivided": example[2],
            },
            cost=0.0,
        )


def first_numbers(state: State, part: Part, other: Part) -> tuple[float, float, float]:
    """The first number that a layer reads on the first input, and what it and another make of
    it."""
    values = run_parts(state.segment.parts, state.segment.given(0))
    x = values[part.bottoms[0]]
    made = [each.run([x])[0] for each in (part, other)]
    first, divided, undivided = (float(value.reshape(-1)[0]) for value in (x, *made))
    return first, divided, undivided


def fixed_point(fraction: float) -> float:
    """Where ``s = fraction * s + 1`` stops in float32, from 0 on."""
    s, step, one = np.float32(0), np.float32(fraction), np.float32(1)
    for _ in range(10_000_000):
        following = np.float32(step * s) + one
        if following == s:
            break
        s = following
    return float(s)
