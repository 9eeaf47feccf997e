"""Parameter: a blob that is learnt."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from torchcaffe.layers._call import Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Blob, Plan, Setup, caffe_layer


class Parameter(nn.Module):
    """A tensor that is learnt, given as it is."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.empty(shape))

    def forward(self) -> Tensor:
        """The tensor, of the shape given."""
        return self.value


@caffe_layer("Parameter", bottoms=0, tops=1, exactness=bitwise(), gradient=bitwise())
def parameter(layer: Setup) -> Plan:
    """y = w.

    top     y  the shape in parameter_param
    blobs   w  as y, zeros at first
    torch   nn.Parameter
    Caffe   include/caffe/layers/parameter_layer.hpp; there the reader's backward pass overwrites
            the gradient, so that of several passes before an update only the last counts
    """
    shape: Sequence[int] = tuple(layer.param.parameter_param.shape.dim)
    layer.require(
        all(size > 0 for size in shape), f"every dim must be positive, got {tuple(shape)}"
    )
    call = Call("torchcaffe.layers.parameter.Parameter", *shape)
    return Plan(call, (Blob("value"),), tops=(tuple(shape),))
