"""Dropout under control: seen, switched off, or with masks that are given.

Every call of torch's dropout functions goes through a function mode, whoever makes it: modules,
functional calls, and the reference net, whose Dropout layers call torch's when they have no stream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from torchcaffe.random import Mersenne, dropout_mask

PLAIN = (functional.dropout, torch.dropout, torch.dropout_)
CHANNELS = (
    functional.dropout1d,
    functional.dropout2d,
    functional.dropout3d,
    functional.feature_alpha_dropout,
    functional.alpha_dropout,
)


@dataclass(frozen=True)
class Call:
    """One call: its probability, whether it was training, over how many numbers."""

    ratio: float
    active: bool
    numel: int
    whole_channels: bool


Mask = Callable[[Call, Tensor], Tensor | None]
"""What to multiply a call's input by; None leaves it as it is."""


class Dropouts(TorchFunctionMode):
    """Answers the calls that train with ``mask``, and keeps a list of all of them."""

    def __init__(self, mask: Mask = lambda call, x: None) -> None:
        super().__init__()
        self.mask = mask
        self.calls: list[Call] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Answer a dropout function, and run anything else."""
        kwargs = kwargs or {}
        if func not in PLAIN and func not in CHANNELS:
            return func(*args, **kwargs)
        x, call = _call(func, *args, **kwargs)
        self.calls.append(call)
        factor = self.mask(call, x) if call.active else None
        inplace = func is torch.dropout_ or kwargs.get("inplace", args[3:4] == (True,))
        if factor is None:
            return x
        return x.mul_(factor) if inplace else x * factor


def _call(
    func: Any,
    input: Tensor,
    p: float = 0.5,
    training: bool | None = None,
    inplace: bool = False,
    *,
    train: bool | None = None,
) -> tuple[Tensor, Call]:
    del inplace
    if training is None:
        # torch's alpha dropouts are off unless told, the others on.
        alpha = func in (functional.alpha_dropout, functional.feature_alpha_dropout)
        training = train if train is not None else not alpha
    return input, Call(float(p), bool(training) and p > 0, input.numel(), func in CHANNELS)


class Drawn:
    """Masks that Caffe's stream draws, one a call, kept for whoever asks for the same next."""

    def __init__(self, seed: int) -> None:
        self.stream = Mersenne(seed)
        self.masks: list[tuple[float, Tensor]] = []

    def draw(self, call: Call, x: Tensor) -> Tensor:
        """The next mask of the stream, scaled as Caffe scales what it keeps."""
        kept = torch.from_numpy(dropout_mask(self.stream, call.ratio, x.numel()))
        mask = kept.reshape(x.shape).to(x.device, x.dtype)
        self.masks.append((call.ratio, mask))
        return mask / (1 - call.ratio)

    def again(self) -> Mask:
        """The masks drawn so far, each for the first call that it fits."""
        left = list(self.masks)

        def give(call: Call, x: Tensor) -> Tensor | None:
            for place, (_, mask) in enumerate(left):
                if mask.numel() == x.numel():
                    del left[place]
                    return mask.reshape(x.shape).to(x.device, x.dtype) / (1 - call.ratio)
            return None

        return give
