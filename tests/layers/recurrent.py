"""What the tests of LSTM and RNN share."""

from __future__ import annotations

import numpy as np
import torch

from contract import Case, fill_blobs
from torchcaffe.net import CaffeNet

CONT = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
"""Four steps of three streams; the first step goes on in two of them."""


def body(options: str = "num_output: 2") -> str:
    fillers = 'weight_filler { type: "uniform" min: -1 } bias_filler { type: "uniform" }'
    return f"recurrent_param {{ {options} {fillers} }}"


def shared_cases(hidden: int) -> dict[str, Case]:
    """Cases of a layer with ``hidden`` states."""
    states = [(1, 3, 2)] * hidden
    exposed = body("num_output: 2 expose_hidden: true")
    return {
        "four-steps": Case(body(), [(4, 3, 2), CONT]),
        "one-step": Case(body("num_output: 3"), [(1, 3, 2), CONT[:1]]),
        "one-stream": Case(body("num_output: 3 debug_info: true"), [(4, 1, 2), CONT[:, :1]]),
        "one-number": Case(body("num_output: 1"), [(1, 1, 1), np.zeros((1, 1))]),
        "five-axes": Case(body("num_output: 3"), [(4, 3, 2, 1, 2), CONT]),
        "static": Case(body(), [(4, 3, 2), CONT, (3, 5)]),
        "static-four-axes": Case(body(), [(4, 3, 2), CONT, (3, 2, 1, 2)]),
        "exposed": Case(exposed, [(4, 3, 2), CONT, *states], 1 + hidden, gradcheck=False),
        "exposed-static": Case(
            exposed, [(4, 3, 2), CONT, (3, 4), *states], 1 + hidden, gradcheck=False
        ),
        "train": Case(body(), [(4, 3, 2), CONT], phase="TRAIN"),
        "not-finite": Case(
            body(), [np.full((2, 3, 1), [[[np.inf], [np.nan], [1]]]), CONT[:2]], gradcheck=False
        ),
    }


def shared_refusals(names: str) -> dict[str, tuple[Case, str]]:
    """Refusals of a layer with the states ``names``."""
    hidden = len(names)
    states = [(1, 3, 2)] * hidden
    exposed = body("num_output: 2 expose_hidden: true")
    x, cont = (4, 3, 2), (4, 3)
    inner = ", ".join(f"{name}_0" for name in names)
    return {
        "num-output": (Case(body(""), [x, cont]), "num_output must be positive, got 0"),
        "x-two-axes": (
            Case(body(), [(4, 3), cont]),
            'bottom 0, "b0", must be time steps x streams x features...; it is 4x3',
        ),
        "x-one-axis": (Case(body(), [(4,), cont]), "it is 4"),
        "empty": (Case(body(), [(4, 0, 2), (4, 0)]), "its bottom has no elements: 4x0x2"),
        "cont-steps": (
            Case(body(), [x, (3, 3)]),
            'bottom 1, "b1", must be 4x3, one number for each step and stream; it is 3x3',
        ),
        "cont-axes": (Case(body(), [x, (4, 3, 1)]), "it is 4x3x1"),
        "static-streams": (
            Case(body(), [x, cont, (2, 5)]),
            'bottom 2, "b2", must be 3 streams x features...; it is 2x5',
        ),
        "static-one-axis": (Case(body(), [x, cont, (3,)]), "it is 3"),
        "no-cont": (Case(body(), [x]), "bottoms"),
        "state-shape": (
            Case(exposed, [x, cont, *[(1, 3, 4)] * hidden], 1 + hidden),
            'bottom 2, "b2", must be 1x3x2; it is 1x3x4',
        ),
        "states-missing": (
            Case(exposed, [x, cont], 1 + hidden),
            f"takes {2 + hidden} or {3 + hidden} bottoms (x, cont, x_static if wanted, {inner}), "
            f"got 2; expose_hidden is true",
        ),
        "states-not-exposed": (
            Case(body(), [x, cont, (3, 4), *states]),
            f"takes 2 or 3 bottoms (x, cont, x_static if wanted), got {3 + hidden}; expose_hidden "
            f"is false",
        ),
        "tops-missing": (
            Case(exposed, [x, cont, *states]),
            f"takes {1 + hidden} tops (its output, {inner.replace('0', 'T')}), got 1",
        ),
        "tops-not-exposed": (
            Case(body(), [x, cont], 2),
            "takes 1 top (its output), got 2; expose_hidden is false",
        ),
    }


def build(caffe_type: str, streams: int = 3, options: str = "num_output: 2") -> CaffeNet:
    """A filled net of four steps."""
    net = CaffeNet(Case(body(options), [(4, streams, 2), (4, streams)]).net(caffe_type), "TEST")
    fill_blobs(net)
    return net


def passes(net: CaffeNet, streams: list[int]) -> list[np.ndarray]:
    """The tops of passes one after the other, cont 1 everywhere."""
    generator = np.random.default_rng(5)
    result = []
    for count in streams:
        x = generator.standard_normal((4, count, 2)).astype(np.float32)
        with torch.no_grad():
            top = net(b0=x, b1=np.ones((4, count), np.float32))["t0"]
        result.append(top.numpy())
    return result
