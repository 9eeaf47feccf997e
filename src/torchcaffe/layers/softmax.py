"""Softmax: y = exp(x) / sum(exp(x)) along one axis."""

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._geometry import refuse_cudnn
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


@caffe_layer("Softmax", bottoms=1, tops=1, exactness=accumulated(), in_place="ok", reads_top=True)
def softmax(layer: Setup) -> Plan:
    """y = exp(x - max x) / sum(exp(x - max x)) along ``axis``.

    bottom  x  (...)  any shape
    top     y  as x, from 0 to 1
    torch   torch.softmax; both give NaN where the largest x is infinite
    Caffe   src/caffe/layers/softmax_layer.cpp; ``axis`` is 1 if not given, not the last
    """
    p = layer.param.softmax_param
    refuse_cudnn(layer, p)
    return Plan(Call("torch.softmax", Bottom(0), dim=layer.axis(p.axis)))
