"""Eltwise: sum, product or maximum of blobs of one shape."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._call import BOTTOMS, Bottom, Call
from torchcaffe.layers._exactness import accumulated, bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer, shape_text


class ProductFunction(torch.autograd.Function):
    """x0 * x1 * ..., with the gradient of Caffe: of the other factors, or of y / x_i."""

    @staticmethod
    def forward(ctx: Any, stable: bool, *bottoms: Tensor) -> Tensor:
        """((x0 * x1) * x2) * ..."""
        y = bottoms[0]
        for x in bottoms[1:]:
            y = y * x
        ctx.stable = stable
        ctx.save_for_backward(y, *bottoms)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """grad times the product of the other factors, in their order; not stable: y / x_i."""
        y, *bottoms = ctx.saved_tensors
        grads: list[Tensor | None] = [None]
        for index, x in enumerate(bottoms):
            if ctx.stable:
                factor, *others = bottoms[:index] + bottoms[index + 1 :]
                for other in others:
                    factor = factor * other
            else:
                factor = y / x
            grads.append(factor * grad)
        return tuple(grads)


def eltwise_product(bottoms: Sequence[Tensor], stable: bool = True) -> Tensor:
    """The product of all; autograd alone would multiply the gradients in another order."""
    result: Tensor = ProductFunction.apply(stable, *bottoms)
    return result


class MaximumFunction(torch.autograd.Function):
    """max(x0, x1, ...), with the whole gradient for one of equal numbers."""

    @staticmethod
    def forward(ctx: Any, *bottoms: Tensor) -> Tensor:
        """x1 unless x0 > x1, then x2 and so on where they are larger still."""
        ctx.save_for_backward(*bottoms)
        y = larger(bottoms[0], bottoms[1])
        for x in bottoms[2:]:
            y = larger(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        """grad for the one that was taken, 0 for the others."""
        first, second, *others = ctx.saved_tensors
        won, y = [first > second], larger(first, second)
        for x in others:
            won.append(x > y)
            y = larger(x, y)
        grads = []
        for taken in reversed(won[1:]):
            grads.append(torch.where(taken, grad, 0))
            grad = torch.where(taken, 0, grad)
        return (torch.where(won[0], grad, 0), torch.where(won[0], 0, grad), *reversed(grads))


def larger(a: Tensor, b: Tensor) -> Tensor:
    """a where a > b, else b; NaN only if b is (torch.where would be slower by far)."""
    return torch.maximum(a.nan_to_num(-math.inf, math.inf, -math.inf), b)


def eltwise_max(bottoms: Sequence[Tensor]) -> Tensor:
    """The largest; see MaximumFunction."""
    result: Tensor = MaximumFunction.apply(*bottoms)
    return result


@caffe_layer("Eltwise", bottoms=(2, None), tops=1, exactness=bitwise(), gradient=bitwise())
def eltwise(layer: Setup) -> Plan:
    """y = c_0 x_0 + c_1 x_1 + ..., or x_0 x_1 ..., or max(x_0, x_1, ...).

    bottoms  x_i  (...)  all of one shape: nothing is broadcast
    top      y    as each
    torch    a sum, a product; torch.maximum shares the gradient of equal numbers, and gives NaN
             where Caffe drops a NaN of the first bottom
    Caffe    src/caffe/layers/eltwise_layer.cpp; of equal numbers the second has the gradient, from
             the third on the first of them
    """
    p = layer.param.eltwise_param
    for name, shape in zip(layer.param.bottom, layer.bottoms, strict=True):
        layer.require(
            shape == layer.bottoms[0],
            f'all bottoms must have one shape; "{name}" is {shape_text(shape)}, '
            f'"{layer.param.bottom[0]}" {shape_text(layer.bottoms[0])}',
        )
    coefficients = list(p.coeff)
    layer.require(
        len(coefficients) in (0, len(layer.bottoms)),
        f"has {len(coefficients)} coeff for {len(layer.bottoms)} bottoms; give one for each",
    )
    if p.operation == "MAX":
        return Plan(Call("torchcaffe.layers.eltwise.eltwise_max", BOTTOMS), tops=layer.bottoms[:1])
    if p.operation == "SUM":
        return _sum(layer, coefficients or [1.0] * len(layer.bottoms))
    layer.require(not coefficients, "operation PROD takes no coeff; only SUM has coefficients")
    if p.stable_prod_grad and len(layer.bottoms) == 2:
        return Plan(Call("operator.mul", Bottom(0), Bottom(1)), tops=layer.bottoms[:1])
    options = {} if p.stable_prod_grad else {"stable": False}
    call = Call("torchcaffe.layers.eltwise.eltwise_product", BOTTOMS, **options)
    return Plan(call, tops=layer.bottoms[:1])


def _sum(layer: Setup, coefficients: Sequence[float]) -> Plan:
    total: Call | Bottom = Bottom(0)
    if coefficients[0] != 1:
        total = Call("operator.mul", Bottom(0), coefficients[0])
    for index, coefficient in enumerate(coefficients[1:], 1):
        if coefficient in (1, -1):
            sign = "add" if coefficient == 1 else "sub"
            total = Call(f"operator.{sign}", total, Bottom(index))
        else:
            total = Call("operator.add", total, Call("operator.mul", Bottom(index), coefficient))
    # BLAS fuses some of Caffe's multiplications and additions, by where they stand in the blob:
    # each product is rounded once or not at all.
    rounds = any(coefficient not in (1, -1) for coefficient in coefficients[1:])
    return Plan(total, exactness=accumulated(1) if rounds else None, tops=layer.bottoms[:1])
