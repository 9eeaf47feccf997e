"""LSTM: long short-term memory over a sequence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from torchcaffe.layers._call import Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._recurrent import carried, kept, sizes
from torchcaffe.layers._registry import Blob, Plan, Setup, caffe_layer, filler
from torchcaffe.layers.lstm_unit import lstm_step, lstm_step_backward


class LSTMFunction(torch.autograd.Function):
    """All time steps; going back, the weight's gradient is one product over all of them."""

    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, cont: Tensor, h: Tensor, c: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(T, N, 4H), (T, N, 1), (N, H), (N, H) and (4H, H) to h (T, N, H), h_T, c_T (1, N, H)."""
        recalled, outputs = [], []
        saved: list[Tensor] = []
        for inputs, go_on in zip(gates, cont, strict=True):
            recalled.append(go_on * h)
            inputs = torch.addmm(inputs, recalled[-1], weight.t())
            c, h, needed = lstm_step(c, inputs, go_on)
            outputs.append(h)
            saved += needed
        ctx.save_for_backward(weight, cont, torch.stack(recalled), *saved)
        return torch.stack(outputs), h.unsqueeze(0), c.unsqueeze(0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor, dh_last: Tensor, dc_last: Tensor) -> tuple[Any, ...]:
        """The gradients of gates and weight; Caffe drops those of the first and last states."""
        weight, cont, recalled, *saved = ctx.saved_tensors
        dh, dc = torch.zeros_like(dy[0]), torch.zeros_like(dy[0])
        dgates = dy.new_empty(*dy.shape[:2], weight.shape[0])
        for t in reversed(range(len(dy))):
            dc, dgates[t] = lstm_step_backward(saved[6 * t : 6 * t + 6], dc, dy[t] + dh)
            dh = cont[t] * (dgates[t] @ weight)
        dweight = dgates.flatten(0, 1).t() @ recalled.flatten(0, 1)
        return dgates, None, None, None, dweight


class LSTM(nn.Module):
    """Long short-term memory, time first, gates in the order i, f, o, g.

    Without ``expose_hidden`` a pass begins with the state that the one before ended with, where
    cont is not 0; ``reset_state()`` begins anew.
    """

    def __init__(
        self, inputs: int, num_output: int, static: int = 0, expose_hidden: bool = False
    ) -> None:
        super().__init__()
        self.W_xc = nn.Parameter(torch.empty(4 * num_output, inputs))
        self.b_c = nn.Parameter(torch.empty(4 * num_output))
        self.W_xc_static = nn.Parameter(torch.empty(4 * num_output, static)) if static else None
        self.W_hc = nn.Parameter(torch.empty(4 * num_output, num_output))
        self.expose_hidden = expose_hidden
        self.state: Tensor | None
        self.register_buffer("state", None, persistent=False)

    def reset_state(self) -> None:
        """Forget the state that the last pass left."""
        self.state = None

    def forward(self, x: Tensor, cont: Tensor, *more: Tensor) -> tuple[Tensor, ...]:
        """x (T, N, ...), cont (T, N), perhaps x_static (N, ...) to h (T, N, H).

        With ``expose_hidden`` also h_0 and c_0 (1, N, H) in, h_T and c_T (1, N, H) out; no gradient
        passes through these.
        """
        gates = functional.linear(x.flatten(2), self.W_xc, self.b_c)
        if self.W_xc_static is not None:
            gates = gates + functional.linear(more[0].flatten(1), self.W_xc_static)
        if self.expose_hidden:
            h, c = more[-2].squeeze(0), more[-1].squeeze(0)
        else:
            h, c = carried(self.state, x, 2, self.W_hc.shape[1])
        y, h_last, c_last = LSTMFunction.apply(gates, cont.unsqueeze(-1), h, c, self.W_hc)
        if self.expose_hidden:
            return y, h_last, c_last
        self.state = kept(self.state, torch.cat((h_last, c_last)))
        return (y,)


@caffe_layer(
    "LSTM",
    bottoms=(2, 5),
    tops=(1, 3),
    exactness=accumulated(),
    indices=(1,),
    params=("recurrent_param",),
)
def lstm(layer: Setup) -> Plan:
    """i, f, o, g = W_hc (cont_t h) + W_xc x_t + b_c + W_xc_static x_static; then as LSTMUnit.

    bottoms  x         (T, N, ...)  T time steps of N streams of D features
             cont      (T, N)       0 where a new sequence begins, else 1; no gradient
             x_static  (N, ...)     optional, the same at every step
             h_0, c_0  (1, N, H)    with expose_hidden; no gradient
    tops     h         (T, N, H)
             h_T, c_T  (1, N, H)    with expose_hidden; gradients put on them are dropped
    blobs    W_xc (4H, D);  b_c (4H);  W_xc_static (4H, D_s) with x_static;  W_hc (4H, H)
    torch    nn.LSTM has the order i, f, g, o, two biases, no cont, and begins with zeros each time
    Caffe    src/caffe/layers/recurrent_layer.cpp, lstm_layer.cpp; without expose_hidden a pass
             begins with the state that the pass before left (reset_state() of the net or layer
             forgets it). W_hc's filler draws T times, the first is kept. Caffe keeps T fixed, here
             it may change
    """
    p = layer.param.recurrent_param
    size = sizes(layer, ("h", "c"))
    blobs = [Blob("W_xc", filler(p, "weight_filler")), Blob("b_c", filler(p, "bias_filler"))]
    if size.static:
        blobs.append(Blob("W_xc_static", filler(p, "weight_filler")))
    blobs.append(Blob("W_hc", filler(p, "weight_filler")))
    options = {"static": size.static} if size.static else {}
    if p.expose_hidden:
        options["expose_hidden"] = True
    call = Call("torchcaffe.layers.lstm.LSTM", size.features, p.num_output, **options)
    terms = size.steps * (size.features + p.num_output) + size.static
    order = (*range(len(blobs) - 1), *[len(blobs) - 1] * size.steps)
    return Plan(
        call,
        tuple(blobs),
        multiply_adds=size.streams * 4 * p.num_output * terms,
        fill_order=order,
        tops=size.tops,
    )
