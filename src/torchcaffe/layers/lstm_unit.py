"""LSTMUnit: one step of an LSTM, from its gates' inputs to cell and hidden state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._registry import Plan, Setup, caffe_layer, shape_text


def sigmoid_of_float(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)): the exponential rounded to x's type, the rest in double."""
    exponential = torch.exp(-x.double()).to(x.dtype)
    return (1 + exponential.double()).reciprocal_().to(x.dtype)


def tanh_of_double(x: Tensor) -> Tensor:
    """2 / (1 + exp(-2x)) - 1 in double, rounded once."""
    return torch.sigmoid(2 * x.double()).mul_(2).sub_(1).to(x.dtype)


def lstm_step(
    c_prev: Tensor, gates: Tensor, cont: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """c = f c_prev + i g, h = o tanh(c), and what ``lstm_step_backward`` needs."""
    size = c_prev.shape[-1]
    i, f, o = sigmoid_of_float(gates[..., : 3 * size]).split(size, -1)
    f = torch.where(cont == 0, 0, cont * f)
    g = tanh_of_double(gates[..., 3 * size :])
    c = f * c_prev + i * g
    tanh_c = tanh_of_double(c)
    return c, o * tanh_c, (c_prev, i, f, o, g, tanh_c)


def lstm_step_backward(saved: Sequence[Tensor], dc: Tensor, dh: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of c_prev and of the gates' inputs.

    For the gate f, Caffe's f (1 - f) has cont in it already: exact where cont is 0 or 1.
    """
    c_prev, i, f, o, g, tanh_c = saved
    e = dc + dh * o * (1 - tanh_c * tanh_c)
    di = e * g * i * (1 - i)
    df = e * c_prev * f * (1 - f)
    do = dh * tanh_c * o * (1 - o)
    dg = e * i * (1 - g * g)
    return e * f, torch.cat((di, df, do, dg), -1)


class LSTMUnitFunction(torch.autograd.Function):
    """One step; its gradient is Caffe's."""

    @staticmethod
    def forward(ctx: Any, c_prev: Tensor, gates: Tensor, cont: Tensor) -> tuple[Tensor, Tensor]:
        """(..., H), (..., 4H) and (..., 1) to c and h, both (..., H)."""
        c, h, saved = lstm_step(c_prev, gates, cont)
        ctx.save_for_backward(*saved)
        return c, h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dc: Tensor, dh: Tensor) -> tuple[Tensor, Tensor, None]:
        """The gradients of c_prev and the gates' inputs; cont has none."""
        return *lstm_step_backward(ctx.saved_tensors, dc, dh), None


def lstm_unit(c_prev: Tensor, gates: Tensor, cont: Tensor) -> tuple[Tensor, Tensor]:
    """(1, N, H), (1, N, 4H) in the order i, f, o, g, and (1, N) to c and h."""
    result: tuple[Tensor, Tensor] = LSTMUnitFunction.apply(c_prev, gates, cont.unsqueeze(-1))
    return result


# i, f, g and tanh(c) may each be a unit apart from libm's, and four products and a sum round: nine
# roundings that do not cancel, 3 * MARGIN of them are allowed.
@caffe_layer("LSTMUnit", bottoms=3, tops=2, exactness=accumulated(3), indices=(2,))
def lstm_unit_layer(layer: Setup) -> Plan:
    """c = f * c_prev + i * g, h = o * tanh(c); i, f, o = sigmoid, g = tanh of x's four parts.

    bottoms  c_prev  (1, N, H)
             x       (1, N, 4H)  the gates' inputs, in the order i, f, o, g
             cont    (1, N)      a factor of f, 0 where a new sequence begins; no gradient
    tops     c, h    (1, N, H)
    torch    nn.LSTMCell holds the gates in the order i, f, g, o and has weights of its own
    Caffe    src/caffe/layers/lstm_unit_layer.cpp; the gradient of f takes f with cont in it, which
             is the derivative only where cont is 0 or 1
    """
    previous, gates, cont = layer.bottoms
    for index, axes in enumerate((3, 3, 2)):
        shape = layer.bottoms[index]
        wanted = ("1xNxH", "1xNx4H", "1xN")[index]
        layer.require(
            len(shape) == axes and shape[0] == 1,
            f"takes {wanted} for bottom {index}, got {shape_text(shape)} for "
            f'"{layer.param.bottom[index]}"; it computes one time step, LSTM a sequence',
        )
    layer.require(
        gates[1:] == (previous[1], 4 * previous[2]) and cont[1] == previous[1],
        f"its bottoms must be 1xNxH, 1xNx4H and 1xN, got "
        f"{', '.join(shape_text(shape) for shape in layer.bottoms)}",
    )
    layer.require(
        0 not in gates, f"its bottoms have no elements: {shape_text(gates)}; Caffe refuses that"
    )
    call = Call("torchcaffe.layers.lstm_unit.lstm_unit", Bottom(0), Bottom(1), Bottom(2))
    return Plan(call, tops=(previous, previous))
