"""Dropout: each element is kept or set to 0 at random while training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer
from torchcaffe.random import Mersenne, dropout_mask


class Dropout(nn.Module):
    """Keep each element with probability 1 - ratio and multiply what is kept by 1 / (1 - ratio).

    The elements are drawn in memory order from ``stream``, or from torch's generator if it is None.
    """

    def __init__(self, ratio: float = 0.5) -> None:
        super().__init__()
        self.ratio = ratio
        self.stream: Mersenne | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(...) to the same shape."""
        if self.stream is None or x.is_meta:
            return functional.dropout(x, self.ratio)
        kept = torch.from_numpy(dropout_mask(self.stream, self.ratio, x.numel()))
        mask = kept.reshape(x.shape).to(x.device, x.dtype)
        ratio = float(np.float32(self.ratio))
        # A ratio of 1 keeps nothing and multiplies it by infinity: Caffe's top is not a number.
        scale = 1 / (1 - ratio) if ratio < 1 else torch.inf
        return x * (mask * scale)


@caffe_layer("Dropout", bottoms=1, tops=1, exactness=bitwise(), gradient=bitwise(), in_place="ok")
def dropout(layer: Setup) -> Plan:
    """y = x * m / (1 - ratio), m = 1 with probability 1 - ratio, otherwise 0; in TEST, y = x.

    bottom  x  (...)  any shape
    top     y  as x
    torch   nn.Dropout(ratio) with another stream of random numbers
    Caffe   src/caffe/layers/dropout_layer.cpp; one draw for each element, none if the ratio is 1
    """
    ratio = layer.param.dropout_param.dropout_ratio
    layer.require(
        0 <= ratio <= 1, f"dropout_ratio is a probability, between 0 and 1, got {ratio:g}"
    )
    # 0.9 as people write it: torch computes 1 - 0.9 in float64, Caffe from the float32 next to it.
    ratio = float(str(np.float32(ratio)))
    plain = Call("torch.nn.Dropout", ratio)
    if layer.phase == "TEST":
        return Plan(Bottom(0), plain=plain)
    return Plan(Call("torchcaffe.layers.dropout.Dropout", ratio), plain=plain)
