"""Tile: a blob repeated along one axis."""

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


@caffe_layer("Tile", bottoms=1, tops=1, exactness=bitwise())
def tile(layer: Setup) -> Plan:
    """y = x, ``tiles`` times one after the other along ``axis``.

    bottom  x  (...)
    top     y  (...)  along ``axis`` tiles times as long
    torch   torch.tile (repeat_interleave repeats each number)
    Caffe   src/caffe/layers/tile_layer.cpp
    """
    p, shape = layer.param.tile_param, layer.bottoms[0]
    axis = layer.axis(p.axis)
    layer.require(p.has("tiles"), "has no tiles; give how often to repeat")
    layer.require(p.tiles > 0, f"tiles must be 1 or more, got {p.tiles}")
    dims = [1] * len(shape)
    dims[axis] = p.tiles
    top = (*shape[:axis], shape[axis] * p.tiles, *shape[axis + 1 :])
    return Plan(Call("torch.tile", Bottom(0), tuple(dims)), tops=(top,))
