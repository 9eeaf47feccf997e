"""MemoryData: arrays that the program gives."""

from __future__ import annotations

from torchcaffe.data import Memory
from torchcaffe.layers._data import data_plan, transformer
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


@caffe_layer(
    "MemoryData",
    bottoms=0,
    tops=2,
    exactness=bitwise(),
    gradient=bitwise(),
    differentiable=False,
    params=("transform_param",),
)
def memory_data(layer: Setup) -> Plan:
    """y = the next of the arrays that were given by ``net.data_layers[name].memory.set_arrays``.

    tops    data   (batch_size, channels, height, width)
            label  (batch_size) as declared, (batch_size, 1, 1, 1) as delivered
    torch   none
    Caffe   src/caffe/layers/memory_data_layer.cpp; arrays come as they are, images that are given
            by ``set_images`` are transformed
    """
    p = layer.param.memory_data_param
    for name in ("batch_size", "channels", "height", "width"):
        value = getattr(p, name)
        layer.require(value > 0, f"needs a {name} of at least 1, got {value}")
    return data_plan(layer, lambda: Memory(p, transformer(layer)))
