"""What LSTM and RNN share: their bottoms, and the state that goes from one pass to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._registry import Setup, Shape, shape_text


def carried(state: Tensor | None, x: Tensor, count: int, size: int) -> Tensor:
    """(count, N, size) that the last pass left: zeros at first, and for more streams than ever."""
    if state is None or state.shape[1] < x.shape[1]:
        return x.new_zeros(count, x.shape[1], size)
    return state[:, : x.shape[1]].clone()


def kept(state: Tensor | None, last: Tensor) -> Tensor:
    """``last`` (count, N, size) for the next pass; states of streams beyond N stay as they were."""
    last = last.detach()
    if state is None or state.shape[1] <= last.shape[1]:
        return last
    return torch.cat((last, state[:, last.shape[1] :]), 1)


class ExposedState(torch.autograd.Function):
    """The last state as a top of its own: (N, H) to (1, N, H), any gradient put on it dropped."""

    @staticmethod
    def forward(ctx: Any, state: Tensor) -> Tensor:
        """The state with an axis for its one time step."""
        return state.unsqueeze(0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> None:
        """Caffe gives the top a copy of the state, whose diff nothing reads."""
        return None


@dataclass(frozen=True)
class Sizes:
    """What the bottoms say: T steps, N streams, D features, D_s static ones (0 without).

    ``tops`` are the shapes of the output and, with expose_hidden, of the last states.
    """

    steps: int
    streams: int
    features: int
    static: int
    tops: tuple[Shape, ...]


def sizes(layer: Setup, hidden: tuple[str, ...]) -> Sizes:
    """Check the bottoms as Caffe does; ``hidden`` names the states, ("h", "c") for LSTM."""
    p = layer.param.recurrent_param
    exposed = hidden if p.expose_hidden else ()
    _check_count(layer, exposed)
    layer.require(p.num_output > 0, f"num_output must be positive, got {p.num_output}")
    x = layer.bottoms[0]
    _require_shape(layer, 0, len(x) >= 3, "time steps x streams x features...")
    steps, streams = x[:2]
    layer.require(0 not in x, f"its bottom has no elements: {shape_text(x)}; Caffe refuses that")
    wanted = f"{steps}x{streams}, one number for each step and stream"
    _require_shape(layer, 1, layer.bottoms[1] == (steps, streams), wanted)
    static = 0
    if len(layer.bottoms) - len(exposed) == 3:
        shape = layer.bottoms[2]
        fits = len(shape) >= 2 and shape[0] == streams and 0 not in shape
        _require_shape(layer, 2, fits, f"{streams} streams x features...")
        static = torch.Size(shape[1:]).numel()
    for index in range(len(layer.bottoms) - len(exposed), len(layer.bottoms)):
        state = (1, streams, p.num_output)
        _require_shape(layer, index, layer.bottoms[index] == state, shape_text(state))
    tops = ((steps, streams, p.num_output), *[(1, streams, p.num_output) for _ in exposed])
    return Sizes(steps, streams, torch.Size(x[2:]).numel(), static, tops)


def _check_count(layer: Setup, exposed: tuple[str, ...]) -> None:
    least, tops = 2 + len(exposed), 1 + len(exposed)
    named = "".join(f", {name}_0" for name in exposed)
    layer.require(
        least <= len(layer.bottoms) <= least + 1,
        f"takes {least} or {least + 1} bottoms (x, cont, x_static if wanted{named}), got "
        f"{len(layer.bottoms)}; expose_hidden is {'true' if exposed else 'false'}",
    )
    named = "".join(f", {name}_T" for name in exposed)
    layer.require(
        layer.tops == tops,
        f"takes {tops} top{'s' * (tops > 1)} (its output{named}), got {layer.tops}; expose_hidden "
        f"is {'true' if exposed else 'false'}",
    )


def _require_shape(layer: Setup, index: int, fits: bool, wanted: str) -> None:
    layer.require(
        fits,
        f'bottom {index}, "{layer.param.bottom[index]}", must be {wanted}; it is '
        f"{shape_text(layer.bottoms[index])}",
    )
