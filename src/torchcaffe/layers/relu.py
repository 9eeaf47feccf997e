"""ReLU: y = max(x, 0) + negative_slope * min(x, 0)."""

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


@caffe_layer("ReLU", bottoms=1, tops=1, exactness=bitwise(), gradient=bitwise(), in_place="ok")
def relu(layer: Setup) -> Plan:
    """y = max(x, 0) + negative_slope * min(x, 0).

    bottom  x  (...)  any shape
    top     y  as x
    torch   nn.ReLU gives 0 at -inf, where Caffe's 0 * -inf is NaN; leaky_relu does as Caffe
    Caffe   src/caffe/layers/relu_layer.cpp
    """
    slope = layer.param.relu_param.negative_slope
    if slope:
        plain = Call("torch.nn.LeakyReLU", negative_slope=slope)
    else:
        plain = Call("torch.nn.ReLU")
    # A slope of -0.0 gives +0.0 for negative numbers, as Caffe's sum does, and NaN at -inf.
    return Plan(Call("torch.nn.functional.leaky_relu", Bottom(0), slope or -0.0), plain=plain)
