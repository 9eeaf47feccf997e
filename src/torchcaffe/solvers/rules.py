"""A solver's type to its update rule."""

from __future__ import annotations

from typing import Any

from torchcaffe.errors import SolverError
from torchcaffe.proto.schema import SolverParameter
from torchcaffe.solvers._base import CaffeOptimizer
from torchcaffe.solvers.adadelta import AdaDelta
from torchcaffe.solvers.adagrad import AdaGrad
from torchcaffe.solvers.adam import Adam
from torchcaffe.solvers.nesterov import Nesterov
from torchcaffe.solvers.rmsprop import RMSProp
from torchcaffe.solvers.sgd import SGD

RULES: dict[str, tuple[type[CaffeOptimizer], tuple[str, ...]]] = {
    "SGD": (SGD, ("momentum",)),
    "Nesterov": (Nesterov, ("momentum",)),
    "AdaGrad": (AdaGrad, ("delta",)),
    "RMSProp": (RMSProp, ("rms_decay", "delta")),
    "AdaDelta": (AdaDelta, ("momentum", "delta")),
    "Adam": (Adam, ("momentum", "momentum2", "delta")),
}
"""Caffe's types: the rule, and the fields of the solver that it reads."""


def make_optimizer(param: SolverParameter, groups: list[dict[str, Any]]) -> CaffeOptimizer:
    """The update rule of ``param`` for ``groups``, as ``param_groups`` gives them."""
    if not groups:
        raise SolverError("the train net has no parameters, so there is nothing to train")
    rule, fields = RULES[param.type]
    return rule(
        groups,
        lr=param.base_lr,
        weight_decay=param.weight_decay,
        regularization_type=param.regularization_type,
        clip_gradients=param.clip_gradients,
        iter_size=param.iter_size,
        **{field: getattr(param, field) for field in fields},
    )
