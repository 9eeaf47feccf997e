"""RNN: a recurrent layer with one state, and a layer of outputs above it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from torchcaffe.layers._call import Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._recurrent import ExposedState, carried, kept, sizes
from torchcaffe.layers._registry import Blob, Plan, Setup, caffe_layer, filler


class RNN(nn.Module):
    """h_t = tanh(W_hh h + W_xh x_t + b_h), o_t = tanh(W_ho h_t + b_o), time first.

    Without ``expose_hidden`` a pass begins with the state that the one before ended with, where
    cont is not 0; ``reset_state()`` begins anew.
    """

    def __init__(
        self, inputs: int, num_output: int, static: int = 0, expose_hidden: bool = False
    ) -> None:
        super().__init__()
        self.W_xh = nn.Parameter(torch.empty(num_output, inputs))
        self.b_h = nn.Parameter(torch.empty(num_output))
        self.W_xh_static = nn.Parameter(torch.empty(num_output, static)) if static else None
        self.W_hh = nn.Parameter(torch.empty(num_output, num_output))
        self.W_ho = nn.Parameter(torch.empty(num_output, num_output))
        self.b_o = nn.Parameter(torch.empty(num_output))
        self.expose_hidden = expose_hidden
        self.state: Tensor | None
        self.register_buffer("state", None, persistent=False)

    def reset_state(self) -> None:
        """Forget the state that the last pass left."""
        self.state = None

    def forward(self, x: Tensor, cont: Tensor, *more: Tensor) -> tuple[Tensor, ...]:
        """x (T, N, ...), cont (T, N), perhaps x_static (N, ...) to o (T, N, H).

        With ``expose_hidden`` also h_0 (1, N, H) in and h_T (1, N, H) out; no gradient passes
        through these.
        """
        sums = functional.linear(x.flatten(2), self.W_xh, self.b_h)
        if self.W_xh_static is not None:
            sums = sums + functional.linear(more[0].flatten(1), self.W_xh_static)
        if self.expose_hidden:
            h = more[-1].detach().squeeze(0)
        else:
            h = carried(self.state, x, 1, self.W_hh.shape[1]).squeeze(0)
        states = []
        for inputs, go_on in zip(sums, cont.detach(), strict=True):
            h = torch.tanh(torch.addmm(inputs, go_on.unsqueeze(-1) * h, self.W_hh.t()))
            states.append(h)
        outputs = torch.tanh(functional.linear(torch.stack(states), self.W_ho, self.b_o))
        if self.expose_hidden:
            return outputs, ExposedState.apply(h)
        self.state = kept(self.state, h.unsqueeze(0))
        return (outputs,)


@caffe_layer(
    "RNN",
    bottoms=(2, 4),
    tops=(1, 2),
    exactness=accumulated(),
    indices=(1,),
    params=("recurrent_param",),
)
def rnn(layer: Setup) -> Plan:
    """h_t = tanh(W_hh (cont_t h) + W_xh x_t + b_h + W_xh_static x_static); o = tanh(W_ho h + b_o).

    bottoms  x         (T, N, ...)  T time steps of N streams of D features
             cont      (T, N)       0 where a new sequence begins, else 1; no gradient
             x_static  (N, ...)     optional, the same at every step
             h_0       (1, N, H)    with expose_hidden; no gradient
    tops     o         (T, N, H)
             h_T       (1, N, H)    with expose_hidden; gradients put on it are dropped
    blobs    W_xh (H, D);  b_h (H);  W_xh_static (H, D_s) with x_static;  W_hh (H, H);  W_ho (H, H);
             b_o (H)
    torch    nn.RNN's output is h, it has two biases, no cont, and begins with zeros each time
    Caffe    src/caffe/layers/recurrent_layer.cpp, rnn_layer.cpp; without expose_hidden a pass
             begins with the state that the pass before left (reset_state() of the net or layer
             forgets it). The fillers of W_hh, W_ho and b_o draw T times, the first is kept. Caffe
             keeps T fixed, here it may change
    """
    p = layer.param.recurrent_param
    size = sizes(layer, ("h",))
    weight, bias = filler(p, "weight_filler"), filler(p, "bias_filler")
    blobs = [Blob("W_xh", weight), Blob("b_h", bias)]
    if size.static:
        blobs.append(Blob("W_xh_static", weight))
    first = len(blobs)
    blobs += [Blob("W_hh", weight), Blob("W_ho", weight), Blob("b_o", bias)]
    options = {"static": size.static} if size.static else {}
    if p.expose_hidden:
        options["expose_hidden"] = True
    call = Call("torchcaffe.layers.rnn.RNN", size.features, p.num_output, **options)
    terms = size.steps * (size.features + 2 * p.num_output) + size.static
    order = (*range(first), *[first, first + 1, first + 2] * size.steps)
    return Plan(
        call,
        tuple(blobs),
        multiply_adds=size.streams * p.num_output * terms,
        fill_order=order,
        tops=size.tops,
    )
