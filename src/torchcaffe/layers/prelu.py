"""PReLU: y = max(x, 0) + a * min(x, 0) with a learned slope a."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from torchcaffe.layers._call import Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Blob, Plan, Setup, caffe_layer, filler


class SharedPReLU(nn.Module):
    """One slope for all channels, kept without axes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(()))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) to the same shape."""
        return functional.prelu(x, self.weight.reshape(1))


@caffe_layer("PReLU", bottoms=1, tops=1, exactness=bitwise(), in_place="ok", max_axes=4)
def prelu(layer: Setup) -> Plan:
    """y = max(x, 0) + a_c * min(x, 0) for channel c.

    bottom  x  (N, C, ...)  2 to 4 axes
    top     y  as x
    blobs   a  (C), or () with channel_shared; 0.25 if there is no filler
    torch   nn.PReLU(C)
    Caffe   src/caffe/layers/prelu_layer.cpp; at 0 the gradient is the slope's
    """
    p = layer.param.prelu_param
    shape = layer.bottoms[0]
    layer.require(
        len(shape) >= 2, f"takes a bottom with a channel axis, (N, C, ...), got shape {shape}"
    )
    blobs = (Blob("weight", filler(p, "filler", 0.25)),)
    if not p.channel_shared:
        return Plan(Call("torch.nn.PReLU", shape[1]), blobs)
    return Plan(
        Call("torchcaffe.layers.prelu.SharedPReLU"),
        blobs,
        plain=Call("torch.nn.PReLU"),
        plain_state=lambda blobs: {"weight": blobs[0].reshape(1)},
    )
