"""AbsVal: y = |x|."""

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


@caffe_layer(
    "AbsVal", bottoms=1, tops=1, exactness=bitwise(), gradient=bitwise(), in_place="refused"
)
def absval(layer: Setup) -> Plan:
    """y = |x|.

    bottom  x  (...)  any shape
    top     y  as x
    torch   torch.abs
    Caffe   src/caffe/layers/absval_layer.cpp; the gradient at 0 is 0
    """
    return Plan(Call("torch.abs", Bottom(0)), tops=layer.bottoms)
