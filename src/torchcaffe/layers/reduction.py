"""Reduction: the sum, mean, sum of absolute values or of squares over the last axes."""

from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import accumulated, bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


def mean(x: Tensor, axis: int, coeff: float = 1.0) -> Tensor:
    """The mean of all axes from axis on, times coeff; as Caffe rounds it, a sum times coeff / n."""
    tail = x.flatten(axis)
    return tail.sum(-1) * (coeff / tail.shape[-1])


@caffe_layer("Reduction", bottoms=1, tops=1, exactness=accumulated(), gradient=bitwise())
def reduction(layer: Setup) -> Plan:
    """y = coeff * the sum of x, |x| or x^2, or coeff times the mean of x, from ``axis`` to the end.

    bottom  x  (..., reduced...)
    top     y  (...)  the axes before ``axis``; () for axis 0
    torch   sums; torch.mean divides by the count where Caffe multiplies by coeff / count
    Caffe   src/caffe/layers/reduction_layer.cpp
    """
    p = layer.param.reduction_param
    axis = layer.axis(p.axis)
    if p.operation == "MEAN":
        options = {} if p.coeff == 1 else {"coeff": p.coeff}
        return Plan(Call("torchcaffe.layers.reduction.mean", Bottom(0), axis, **options))
    terms: Call | Bottom = Bottom(0)
    if p.operation != "SUM":
        terms = Call("torch.abs" if p.operation == "ASUM" else "torch.square", Bottom(0))
    total = Call("torch.sum", terms, dim=tuple(range(axis, len(layer.bottoms[0]))))
    return Plan(total if p.coeff == 1 else Call("operator.mul", total, p.coeff))
