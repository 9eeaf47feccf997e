"""Split: one blob for several readers. The net inserts it wherever a blob is read twice."""

from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


class SplitFunction(torch.autograd.Function):
    """Copies of x whose gradients are added in the order of the copies."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, copies: int) -> tuple[Tensor, ...]:
        """As many views of x as asked for."""
        return tuple(x.view_as(x) for _ in range(copies))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """((g0 + g1) + g2) + ..."""
        total = grads[0]
        for grad in grads[1:]:
            total = total + grad
        return total, None


def split(x: Tensor, copies: int) -> tuple[Tensor, ...]:
    """x several times; autograd alone would add three gradients or more in another order."""
    result: tuple[Tensor, ...] = SplitFunction.apply(x, copies)
    return result


@caffe_layer(
    "Split",
    bottoms=1,
    tops=(1, None),
    exactness=bitwise(),
    gradient=bitwise(),
    in_place="refused",
    shares_data=True,
)
def split_layer(layer: Setup) -> Plan:
    """y_i = x; dx = ((dy_0 + dy_1) + dy_2) + ...

    bottom  x    (...)  any shape
    tops    y_i  as x
    torch   nothing to do; only the order in which autograd adds more than two gradients differs
    Caffe   src/caffe/layers/split_layer.cpp
    """
    if layer.tops <= 2:
        return Plan(Bottom(0))
    call = Call("torchcaffe.layers.split.split", Bottom(0), layer.tops)
    return Plan(call, plain=Bottom(0), tops=layer.bottoms * layer.tops)
