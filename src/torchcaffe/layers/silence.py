"""Silence: takes blobs that nothing else reads, so that they are not outputs of the net."""

from collections.abc import Sequence

from torch import Tensor

from torchcaffe.layers._call import BOTTOMS, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


def silence(bottoms: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Nothing."""
    return ()


@caffe_layer("Silence", bottoms=(1, None), tops=0, exactness=bitwise(), gradient=bitwise())
def silence_layer(layer: Setup) -> Plan:
    """No top: the bottoms count as read.

    bottoms  any number, any shapes
    torch    nothing to do
    Caffe    src/caffe/layers/silence_layer.cpp
    """
    return Plan(Call("torchcaffe.layers.silence.silence", BOTTOMS), tops=())
