"""A training recipe as numbers: Caffe's to begin with, then with this or that changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import SolverParameter
from torchcaffe.solvers.lr_policy import learning_rate

Blob = str
"""A learnable blob by layer and index, such as "conv1/0"."""


def decimal(value: float) -> float:
    """The number that somebody wrote, of the float32 that the file's reader made of it."""
    return float(str(np.float32(value)))


@dataclass(frozen=True)
class Rule:
    """How an update is made of gradients.

    kind
        Caffe's solver types.
    rate_inside
        whether the momentum's history holds steps, with the rate they were made at (Caffe), or
        gradients (torch).
    decay_form
        "L2" or "L1" added to the gradient, or "decoupled": taken off the weight beside the step.
    epsilon
        where Adam's and RMSProp's small number is added: "outside" the root (Caffe), to the
        "corrected" root (torch's Adam), or "inside" the root.
    """

    kind: str
    momentum: float
    momentum2: float
    rms_decay: float
    delta: float
    rate_inside: bool = True
    decay_form: str = "L2"
    epsilon: str = "outside"


@dataclass(frozen=True)
class Clip:
    """How gradients are shortened, and when.

    ``form``  "sum" clips what the batches of an update add up to, before it is divided (Caffe);
    "mean" after it is divided; "each" every batch's gradient; "decayed" with weight decay added;
    "blob" each blob by itself; "value" each number by itself; "none".
    """

    form: str
    threshold: float


@dataclass(frozen=True)
class LossTerm:
    """What becomes of one loss: its raw sum is divided, and weighted."""

    weight: float
    divisor: str
    ignore: int | None


@dataclass(frozen=True)
class Recipe:
    """Everything of a training that is compared.

    ``rates`` and ``decays`` are those of each blob at the first iteration, multipliers included.
    """

    rule: Rule
    rates: Mapping[Blob, float]
    decays: Mapping[Blob, float]
    iter_size: int
    clip: Clip
    losses: Mapping[str, LossTerm] = field(default_factory=dict)
    zeroed: bool = True
    averaged: bool = True
    decayed_by_hand: bool = False
    ungraded: frozenset[Blob] = frozenset()
    """Blobs that decay, but get no gradients."""

    def change(self, **values: Any) -> Recipe:
        """Another recipe."""
        return replace(self, **values)

    def change_rule(self, **values: Any) -> Recipe:
        """Another recipe whose update rule differs."""
        return replace(self, rule=replace(self.rule, **values))


def caffe_recipe(solver: SolverParameter, net: CaffeNet) -> Recipe:
    """The recipe of a solver and its train net; the losses are the net's affair."""
    learnable = {f"{entry.layer}/{entry.index}": entry for entry in net.learnable}
    base = decimal(learning_rate(solver, 0, 0)[0])
    decay = decimal(solver.weight_decay)
    threshold = decimal(solver.clip_gradients)
    return Recipe(
        rule=Rule(
            solver.type,
            decimal(solver.momentum),
            decimal(solver.momentum2),
            decimal(solver.rms_decay),
            decimal(solver.delta),
            decay_form=solver.regularization_type,
        ),
        rates={blob: base * decimal(entry.lr_mult) for blob, entry in learnable.items()},
        decays={blob: decay * decimal(entry.decay_mult) for blob, entry in learnable.items()},
        iter_size=solver.iter_size,
        clip=Clip("sum" if threshold >= 0 else "none", threshold),
    )
