"""TanH: y = tanh(x)."""

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import ulp
from torchcaffe.layers._geometry import refuse_cudnn
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


# glibc's tanhf is not rounded right; torch's lies within 2 units of it for every float32.
@caffe_layer("TanH", bottoms=1, tops=1, exactness=ulp(2), in_place="ok", reads_top=True)
def tanh_layer(layer: Setup) -> Plan:
    """y = tanh(x).

    bottom  x  (...)  any shape
    top     y  as x
    torch   torch.tanh, which differs by 1 or 2 units in the last place for every seventh x
    Caffe   src/caffe/layers/tanh_layer.cpp
    """
    refuse_cudnn(layer, layer.param.tanh_param)
    return Plan(Call("torch.tanh", Bottom(0)), plain=Call("torch.nn.Tanh"))
