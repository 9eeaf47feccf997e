"""The port's calls that use weights, with their arguments under one set of names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from torchcaffe.diagnosis.tape import Op, Ref, Tape

CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
DECONV = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
NORM_RAW = ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps")

SIGNATURES: dict[str, tuple[str, ...]] = {
    **{f"conv{n}d": CONV for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": DECONV for n in (1, 2, 3)},
    "linear": ("input", "weight", "bias"),
    "batch_norm": NORM,
    "prelu": ("input", "weight"),
    "max_pool2d": (
        "input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices",
    ),
    "avg_pool2d": (
        "input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad",
        "divisor_override",
    ),
    "adaptive_avg_pool2d": ("input", "output_size"),
    "adaptive_max_pool2d": ("input", "output_size"),
    "local_response_norm": ("input", "size", "alpha", "beta", "k"),
    "dropout": ("input", "p", "training", "inplace"),
    "dropout2d": ("input", "p", "training", "inplace"),
    "alpha_dropout": ("input", "p", "training", "inplace"),
    "leaky_relu": ("input", "negative_slope", "inplace"),
    "softmax": ("input", "dim"),
    "log_softmax": ("input", "dim"),
    "cat": ("tensors", "dim"),
    "interpolate": ("input", "size", "scale_factor", "mode", "align_corners"),
    "pad": ("input", "pad", "mode", "value"),
}  # fmt: skip

DEFAULTS: dict[str, Any] = {
    "bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "output_padding": 0,
    "training": False, "eps": 1e-5, "ceil_mode": False, "count_include_pad": True,
    "divisor_override": None, "alpha": 1e-4, "beta": 0.75, "k": 1.0, "p": 0.5,
    "negative_slope": 0.01, "mode": "nearest", "align_corners": None, "dim": None,
}  # fmt: skip

KINDS = {
    **{f"conv{n}d": "conv" for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": "deconv" for n in (1, 2, 3)},
    "linear": "linear", "addmm": "linear", "matmul": "linear", "batch_norm": "norm",
    "prelu": "prelu",
}  # fmt: skip


def argument(op: Op, name: str) -> Any:
    """An argument of a call by its name; a Ref where it is a tensor."""
    if name in op.kwargs:
        return op.kwargs[name]
    signature = SIGNATURES.get(op.name, ())
    if op.name == "batch_norm" and op.func is not torch.nn.functional.batch_norm:
        signature = NORM_RAW
    if name in signature and signature.index(name) < len(op.args):
        return op.args[signature.index(name)]
    if name == "training" and "dropout" in op.name:
        return True
    if name == "stride" and "pool" in op.name:
        return argument(op, "kernel_size")
    return DEFAULTS.get(name)


@dataclass(frozen=True)
class Weighted:
    """A call with weights: ``data`` is the value it is applied to.

    ``weight`` and ``bias`` are values (None where there is none), ``turn`` makes Caffe's order of
    axes (outputs first) of the weight.
    """

    op: Op
    kind: str
    data: int
    weight: int | None
    bias: int | None
    turn: Callable[[Tensor], Tensor]

    def tensor(self, tape: Tape) -> Tensor:
        """The weight, outputs first."""
        assert self.weight is not None
        return self.turn(tape.values[self.weight].tensor)


def weighted(tape: Tape) -> list[Weighted]:
    """The calls of a tape whose weights do not depend on the net's inputs."""
    fed = tape.fed()
    found = []
    for op in tape.ops:
        if op.name in KINDS:
            each = _addmm(op) if op.name == "addmm" else _product(op, fed)
            each = each or (_named(op) if op.name in SIGNATURES else None)
            if each is None or each.weight is None or not fed[each.data]:
                continue
            if not fed[each.weight]:
                found.append(each)
    return found


def _itself(weight: Tensor) -> Tensor:
    return weight


def _value(leaf: Any) -> int | None:
    return leaf.value if isinstance(leaf, Ref) else None


def _named(op: Op) -> Weighted | None:
    data = _value(argument(op, "input"))
    if data is None:
        return None
    name = "running_mean" if op.name == "batch_norm" else "weight"
    weight = _value(argument(op, name))
    if op.name == "batch_norm" and weight is None:
        weight = _value(argument(op, "weight"))
    bias = _value(argument(op, "bias")) if op.name != "batch_norm" else None
    return Weighted(op, KINDS[op.name], data, weight, bias, _itself)


def _addmm(op: Op) -> Weighted | None:
    if len(op.args) < 3 or not all(isinstance(leaf, Ref) for leaf in op.args[:3]):
        return None
    bias, data, weight = (leaf.value for leaf in op.args[:3])
    return Weighted(op, "linear", data, weight, bias, lambda w: w.t())


def _product(op: Op, fed: list[frozenset[int]]) -> Weighted | None:
    """x @ w, or w @ x."""
    if op.name != "matmul" or len(op.args) < 2:
        return None
    left, right = _value(op.args[0]), _value(op.args[1])
    if left is None or right is None:
        return None
    if fed[right]:
        return None if fed[left] else Weighted(op, "linear", right, left, None, _itself)
    return Weighted(op, "linear", left, right, None, lambda w: w.t() if w.dim() == 2 else w)
