"""Reduction: the sum, mean, sum of absolute values or of squares over the last axes."""

from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import accumulated, bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


def reduce_mean(x: Tensor, axis: int, coeff: float = 1.0) -> Tensor:
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
    top = layer.bottoms[0][:axis]
    if p.operation == "MEAN":
        options = {} if p.coeff == 1 else {"coeff": p.coeff}
        call = Call("torchcaffe.layers.reduction.reduce_mean", Bottom(0), axis, **options)
        return Plan(call, tops=(top,))
    terms: Call | Bottom = Bottom(0)
    if p.operation != "SUM":
        terms = Call("torch.abs" if p.operation == "ASUM" else "torch.square", Bottom(0))
    dims = tuple(range(axis, len(layer.bottoms[0])))
    total = Call("torch.sum", terms, dim=dims) if axis else Call("torch.sum", terms)
    call = total if p.coeff == 1 else Call("operator.mul", total, p.coeff)
    return Plan(call, tops=(top,))
