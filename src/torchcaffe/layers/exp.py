"""Exp: y = base ** (shift + scale * x)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import bitwise, ulp
from torchcaffe.layers._pieces import in_pieces
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


class ExpFunction(torch.autograd.Function):
    """outer * exp(inner * x) and its gradient as Caffe rounds them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, inner: float, outer: float) -> Tensor:
        """y as x."""
        y = expf(x * inner) * outer
        ctx.save_for_backward(y)
        ctx.inner = inner
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """dx = (y * dy) * inner."""
        (y,) = ctx.saved_tensors
        return y * grad * ctx.inner, None, None


def expf(x: Tensor) -> Tensor:
    """exp(x) to the bits of the C library's expf, in glibc since 2.27."""
    return torch.exp(x) if x.dtype == torch.float64 else in_pieces(expf_polynomial, x)


def expf_polynomial(x: Tensor) -> Tensor:
    """exp(x) by a polynomial around the nearest 32nd power of 2, in float64, as in glibc."""
    r = x.to(torch.float64, copy=True).clamp_(-150, 150).mul_(46.16624130844683)  # 32 / log(2)
    k = r.round()
    r.sub_(k)
    y = (r * 1.6938359250920212e-06).add_(0.00023459809789509004).mul_(r)
    y = y.add_(0.021660849396613134).mul_(r).add_(1)
    return y.mul_(k.div_(32).exp2_()).to(x.dtype)


def exp(x: Tensor, inner: float = 1.0, outer: float = 1.0) -> Tensor:
    """outer * exp(inner * x) with Caffe's roundings, forward and backward."""
    y: Tensor = ExpFunction.apply(x, inner, outer)
    return y


# base ** shift is rounded right here, in C to within a unit. (log(base) too: but for 1 in 700 bases
# of up to 3 digits, the same float comes out.)
@caffe_layer(
    "Exp", bottoms=1, tops=1, exactness=ulp(2), gradient=ulp(4), in_place="ok", reads_top=True
)
def exp_layer(layer: Setup) -> Plan:
    """y = base ** (shift + scale * x), computed as base ** shift * exp(log(base) * scale * x).

    bottom  x  (...)  any shape
    top     y  as x
    torch   torch.exp, which differs by a unit in the last place for 1 x in 100
    Caffe   src/caffe/layers/exp_layer.cpp; a base of -1 stands for e
    """
    p = layer.param.exp_param
    log_base = base_logarithm(layer, p.base)
    inner = float(np.float32(log_base * p.scale))
    outer, exactness = 1.0, bitwise()
    if p.shift != 0:
        outer = power_of(layer, p.base, p.shift)
        exactness = ulp(2)
    options = {name: value for name, value in (("inner", inner), ("outer", outer)) if value != 1}
    call = Call("torchcaffe.layers.exp.exp", Bottom(0), **options)
    return Plan(call, exactness=exactness)


def base_logarithm(layer: Setup, base: float) -> float:
    """log(base) as a float32; exactly 1 for -1, which stands for e."""
    if base == -1:
        return 1.0
    layer.require(
        0 < base < math.inf, f"base must be positive and finite, or -1 for e; got {base:g}"
    )
    return float(np.float32(math.log(base)))


def power_of(layer: Setup, base: float, exponent: float) -> float:
    """base ** exponent as a float32."""
    if base == -1:
        return float(expf(torch.tensor(exponent)))
    with np.errstate(over="ignore"):
        return float(np.float32(np.float64(base) ** exponent))
