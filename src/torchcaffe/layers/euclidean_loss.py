"""EuclideanLoss: half the mean squared distance."""

from math import prod

from torch import Tensor
from torch.nn import functional

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import accumulated, bitwise
from torchcaffe.layers._loss import check_batch
from torchcaffe.layers._registry import Plan, Setup, caffe_layer, shape_text


def euclidean_loss(a: Tensor, b: Tensor) -> Tensor:
    """sum((a - b)^2) / 2N."""
    total = functional.mse_loss(a, b.reshape(a.shape), reduction="sum")
    return total / (2 * a.shape[0])


@caffe_layer(
    "EuclideanLoss",
    bottoms=2,
    tops=1,
    exactness=accumulated(),
    gradient=bitwise(),
    loss=True,
    max_axes=4,
)
def euclidean_loss_layer(layer: Setup) -> Plan:
    """y = sum((a - b)^2) / 2N.

    bottoms  a, b  (N, ...)  as many numbers each; both take gradients
    top      y     ()
    torch    mse_loss divides by the number of elements, and not by 2
    Caffe    src/caffe/layers/euclidean_loss_layer.cpp
    """
    check_batch(layer)
    a, b = layer.bottoms
    layer.require(
        prod(a) == prod(b),
        f"its bottoms must have as many numbers each, got {shape_text(a)} and {shape_text(b)}",
    )
    call = Call("torchcaffe.layers.euclidean_loss.euclidean_loss", Bottom(0), Bottom(1))
    return Plan(call, tops=((),))
