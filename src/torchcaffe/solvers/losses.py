"""The loss as it is shown, and the search for where it stopped being a number.

Caffe: ``src/caffe/solver.cpp`` (UpdateSmoothedLoss).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from torchcaffe.layers._registry import describe
from torchcaffe.net import CaffeNet, Run
from torchcaffe.solvers._single import single


class SmoothedLoss:
    """The average of the latest ``window`` losses, in float32, from iteration ``start`` on."""

    def __init__(self, window: int, start: int) -> None:
        self.window, self.start = window, start
        self.losses: list[float] = []
        self.value = 0.0

    def add(self, loss: float, iteration: int) -> None:
        """Take in the loss of an iteration."""
        if len(self.losses) < self.window:
            self.losses.append(loss)
            count = len(self.losses)
            total = single(single(self.value * (count - 1)) + loss)
            self.value = single(total / count)
            return
        place = (iteration - self.start) % self.window
        change = single(single(loss - self.losses[place]) / self.window)
        self.value = single(self.value + change)
        self.losses[place] = loss


def first_non_finite(net: CaffeNet, run: Run) -> str:
    """In words, the first number of the run, in the order of the layers, that is not finite."""
    for words, value in _in_order(net, run):
        wrong = ~torch.isfinite(value)
        if wrong.any():
            kind = "NaN or infinite" if torch.isnan(value).any() else "infinite"
            return (
                f"{words} is the first that is not finite; {int(wrong.sum())} of its "
                f"{value.numel()} numbers are {kind}"
            )
    return "all blobs and parameters are finite, only their sum is not"


def _in_order(net: CaffeNet, run: Run) -> Iterator[tuple[str, Tensor]]:
    params = net.params
    last = {name: step for step in net.steps for name in step.tops}
    for step in net.steps:
        for index, value in enumerate(params.get(step.name, [])):
            yield f"{describe(step.param)}: its parameter blob {index}", value
        for name in step.tops:
            # Of an in-place chain, a run keeps the first value and the last.
            if name in run.first and name not in step.bottoms:
                yield f'{describe(step.param)}: its top "{name}"', run.first[name]
            elif name in run.blobs and last[name] is step:
                yield f'{describe(step.param)}: its top "{name}"', run.blobs[name]
