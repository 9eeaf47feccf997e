"""Threshold: y = 1 above the threshold, 0 at it and below."""

from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


def above(x: Tensor, threshold: float) -> Tensor:
    """1.0 where x > threshold, otherwise 0.0."""
    return (x > threshold).to(x.dtype)


@caffe_layer(
    "Threshold", bottoms=1, tops=1, exactness=bitwise(), in_place="ok", differentiable=False
)
def threshold_layer(layer: Setup) -> Plan:
    """y = 1 where x > threshold, otherwise 0.

    bottom  x  (...)  any shape
    top     y  as x; without a gradient
    torch   (x > threshold).float()
    Caffe   src/caffe/layers/threshold_layer.cpp
    """
    p = layer.param.threshold_param
    return Plan(Call("torchcaffe.layers.threshold.above", Bottom(0), p.threshold))
